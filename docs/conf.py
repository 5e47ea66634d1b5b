"""How Sphinx builds the documentation."""

import tomllib
from importlib.metadata import version as version_of
from pathlib import Path

from docutils.nodes import document
from sphinx.addnodes import desc_signature
from sphinx.application import Sphinx

ROOT = Path(__file__).parent.parent

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


def fill_in(_app: Sphinx, name: str, source: list[str]) -> None:
    """Put the list of exceptions where the page asks for it."""
    if name == "conformance":
        source[0] = source[0].replace("@EXCEPTIONS@", exceptions_table())


def leave_out_dicts(_app: Sphinx, page: document) -> None:
    """Take out the signatures that tell type checkers only that options may come out of a dict."""
    for signature in list(page.findall(desc_signature)):
        if "_: object" in signature.astext():
            signature.parent.remove(signature)


def setup(app: Sphinx) -> None:
    """Connect to Sphinx."""
    app.connect("doctree-read", leave_out_dicts)
    app.connect("source-read", fill_in)
