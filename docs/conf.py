"""How Sphinx builds the documentation."""

import re
import tomllib
from collections.abc import Iterator
from importlib.metadata import version as version_of
from pathlib import Path
from typing import get_type_hints, is_typeddict

from docutils.nodes import document, literal, reference, title
from sphinx.addnodes import desc_signature
from sphinx.application import Sphinx
from sphinx.util.typing import stringify_annotation

ROOT = Path(__file__).parent.parent
QUALIFIERS = re.compile(r"~?\b(?:\w+\.)+")

project = "aiocouch"
author = "the aiocouch authors"
copyright = f"2026, {author}"
release = version_of("aiocouch")
version = release

extensions = ["myst_parser", "sphinx.ext.autodoc"]
myst_enable_extensions = ["colon_fence", "deflist", "fieldlist"]
myst_heading_anchors = 3
default_role = "code"
exclude_patterns = ["_build"]

autodoc_member_order = "bysource"
autodoc_typehints_format = "short"
autodoc_default_options = {"members": True, "show-inheritance": True}
python_use_unqualified_type_names = True
python_maximum_signature_line_length = 80

html_theme = "furo"
html_title = f"aiocouch {release}"
html_static_path: list[str] = []


def exceptions_table() -> str:
    """Write the list of known differences, as the conformance tests have it."""
    text = (ROOT / "tests/conformance/exceptions.toml").read_text(encoding="utf-8")
    lines = ["| scenario | exchanges | why |", "|---|---|---|"]
    for entry in tomllib.loads(text).get("exception", []):
        steps = ", ".join(f"#{step}" for step in entry["steps"])
        lines.append(f"| `{entry['scenario']}` | {steps} | {entry['reason']} |")
    return "\n".join(lines) if len(lines) > 2 else "None: every exchange passes."


def toctrees(index: str) -> str:
    """Write the tables of contents that the lists of the first page are, for those who read it here."""
    trees = []
    for section in index.split("\n## ")[1:]:
        pages = "\n".join(re.findall(r"^- \[.*\]\((.*)\.md\)$", section, re.MULTILINE))
        caption = section.partition("\n")[0]
        trees.append(f"```{{toctree}}\n:caption: {caption}\n:hidden:\n\n{pages}\n```")
    return "\n\n".join(trees)


def fill_in(_app: Sphinx, name: str, source: list[str]) -> None:
    """Put the list of exceptions where the page asks for it, and the tables of contents."""
    if name == "conformance":
        source[0] = source[0].replace("@EXCEPTIONS@", exceptions_table())
    if name == "index":
        source[0] += "\n" + toctrees(source[0])


def ends_of(name: str) -> Iterator[str]:
    """Yield what a name may be written as: `aiocouch.Database.find` is `Database.find`, too."""
    parts = name.split(".")
    for start in range(len(parts)):
        if parts[start][:1].isupper() or start < len(parts) - 1:
            yield ".".join(parts[start:])


def link_names(app: Sphinx, page: document, name: str) -> None:
    """Make links of the public names in the text. The pages are read on a forge, too: no roles there."""
    objects = app.env.domains.python_domain.objects
    found: dict[str, set[str]] = {}
    for full in objects:
        for end in ends_of(full):
            found.setdefault(end, set()).add(full)
    for code in list(page.findall(literal)):
        names = found.get(code.astext().removesuffix("()"), set())
        if len(names) == 1 and not isinstance(code.parent, reference | title | desc_signature):
            target = objects[next(iter(names))]
            uri = app.builder.get_relative_uri(name, target.docname)
            link = reference("", "", internal=True, refuri=f"{uri}#{target.node_id}")
            code.replace_self(link)
            link += code


def leave_out_dicts(_app: Sphinx, page: document) -> None:
    """Take out the signatures that tell type checkers only that options may come out of a dict."""
    for signature in list(page.findall(desc_signature)):
        if "_: object" in signature.astext():
            signature.parent.remove(signature)


def list_members(
    _app: Sphinx, _what: str, name: str, thing: object, _options: object, lines: list[str]
) -> None:
    """List the members of an answer. As objects of their own they would be taken for names in the text."""
    if is_typeddict(thing) and name.startswith("aiocouch.answers."):
        hints = get_type_hints(thing, include_extras=True)
        texts = {member: stringify_annotation(hint) for member, hint in hints.items()}
        shown = (f"{member}: {QUALIFIERS.sub('', text)}" for member, text in texts.items())
        lines += ["", ".. code-block:: python", "", *(f"   {line}" for line in shown), ""]


def setup(app: Sphinx) -> None:
    """Connect to Sphinx."""
    app.connect("autodoc-process-docstring", list_members)
    app.connect("doctree-read", leave_out_dicts)
    app.connect("doctree-resolved", link_names)
    app.connect("source-read", fill_in)
