"""The docstrings speak one dialect, that of PEP 257: say what is returned, raised and yielded.

ruff looks at the form (D2, D3, D4); what it cannot know is here.
"""

from __future__ import annotations

import ast
import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[2]
SOURCES = sorted((ROOT / "src").rglob("*.py"))

#: Where each is found, say the other.
REFUSED = {
    r"^Gives? (the|an?|what|how|all|its|one)\b": "Return, or Yield",
    r"^Tells? whether\b": "Return whether",
    r"^Whether\b": "Return whether",
    r"[.;]\s+[Gg]ives\b": "return",
    r"[.;]\s+[Rr](eturns|aises)\b": "Return, Raise",
    r":(param|returns?|raises?|rtype)\b": "a sentence",
}
REFUSED_ANYWHERE = {
    r"\b(is|are) no (JSON|Unicode|gzip|text|mapping|list|document|revision|leaf|number|str)\b": "is not",
    r"\bin the end\b": "at the end",
    r"\b(in|out)side of\b": "inside, outside",
    r"\bdata (are|have)\b": "data is, data has",
}

_Documented = ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef


def documented(source: Path) -> Iterator[tuple[_Documented, str]]:
    """Yield what has a docstring in a file, with that."""
    for node in ast.walk(ast.parse(source.read_text("utf-8"))):
        if isinstance(node, _Documented) and (text := ast.get_docstring(node)):
            yield node, text


def is_plain_function(node: _Documented) -> bool:
    """Return whether it is called: a property is described as what it is."""
    if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
        return False
    return not any("property" in ast.unparse(one).lower() for one in node.decorator_list)


def offences(source: Path) -> list[str]:
    """Return what stands in the docstrings of a file and should not, with what to say instead."""
    found = []
    for node, text in documented(source):
        refused = REFUSED_ANYWHERE | (REFUSED if is_plain_function(node) else {})
        for pattern, better in refused.items():
            if said := re.search(pattern, text):
                found.append(f"{source.name}:{getattr(node, 'lineno', 1)}: {said[0]!r}: {better}")
    return found


@pytest.mark.parametrize("source", SOURCES, ids=lambda path: str(path.relative_to(ROOT / "src")))
def test_docstrings_speak_one_dialect(source: Path) -> None:
    assert offences(source) == []


def test_the_other_dialects_are_noticed(tmp_path: Path) -> None:
    file = tmp_path / "odd.py"
    file.write_text(
        'def odd():\n    """Give what is no JSON.\n\n    :param x: gone\n    """\n', "utf-8"
    )
    assert len(offences(file)) == 3
