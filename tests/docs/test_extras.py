"""What is said of the extras agrees with those that there are."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[2]
EXTRAS = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"][
    "optional-dependencies"
]
TEXTS = [
    *sorted((ROOT / "docs").glob("*.md")),
    *sorted((ROOT / "src").rglob("*.py")),
    *(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "Makefile", "pyproject.toml")),
]
_NAMED = re.compile(r"(.)(?:aiocouch|\.)\[([a-z][a-z,]*)\](.)")


def named() -> list[tuple[Path, str, list[str], str]]:
    """What names extras: where, what stands before and behind, and which ones."""
    return [
        (path, before, extras.split(","), after)
        for path in TEXTS
        if path.exists()
        for before, extras, after in _NAMED.findall(path.read_text("utf-8"))
    ]


def test_every_extra_that_is_named_exists() -> None:
    found = named()
    assert {path.name for path, *_ in found} >= {"README.md", "models.md", "places.py"}
    wrong = [(path.name, extras) for path, _, extras, _ in found if not set(extras) <= set(EXTRAS)]
    assert wrong == []


def test_every_shell_takes_what_is_to_be_typed() -> None:
    # To zsh brackets are a pattern.
    bare = [
        (path.name, extras)
        for path, before, extras, after in named()
        if before + after not in ('""', "''")
    ]
    assert bare == []


def test_extras_for_users_are_said_to_exist() -> None:
    said = {extra for path, _, extras, _ in named() if path.suffix == ".md" for extra in extras}
    assert set(EXTRAS) - {"demo", "dev"} <= said
