"""How Sphinx builds the documentation."""

import tomllib
from importlib.metadata import version as version_of
from pathlib import Path

from sphinx.application import Sphinx

from aiocouch import Database, event

ROOT = Path(__file__).parent.parent

project = "aiocouch"
author = "the aiocouch authors"
copyright = f"2026, {author}"
release = version_of("aiocouch")
version = release

# The type of a member that the module imports for type checkers only; Sphinx looks it up.
vars(event)["Database"] = Database

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


def setup(app: Sphinx) -> None:
    """Connect to Sphinx."""
    app.connect("source-read", fill_in)
