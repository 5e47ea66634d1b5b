"""The reference describes every public class, and none twice."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
import re
from collections import Counter
from pathlib import Path

import pytest

DOCS = Path(__file__).parents[2] / "docs"
FACES = [
    "aiocouch",
    "aiocouch.answers",
    "aiocouch.auth",
    "aiocouch.changes",
    "aiocouch.dumping",
    "aiocouch.embedded",
    "aiocouch.hooks",
    "aiocouch.models",
    "aiocouch.queries",
    "aiocouch.replication",
    "aiocouch.schema",
    "aiocouch.server",
    "aiocouch.testing",
    "aiocouch.topics",
    "aiocouch.typing",
]
_DESCRIBED = re.compile(r"^\.\. auto(?:class|exception|function):: ([\w.]+)", re.MULTILINE)
# What a way of one's own to say who one is needs to annotate, and no more.
_ONLY_ANNOTATED = {"aiocouch.auth.Answer"}


def described() -> Counter[object]:
    """Count how often each object is described."""
    pages = [page.read_text("utf-8") for page in DOCS.glob("*.md")]
    return Counter(
        pkgutil.resolve_name(name) for page in pages for name in _DESCRIBED.findall(page)
    )


def public(face: str) -> dict[str, object]:
    """Return the public classes of a module by their paths."""
    module = importlib.import_module(face)
    names = {f"{face}.{name}": getattr(module, name) for name in module.__all__}
    return {path: found for path, found in names.items() if inspect.isclass(found)}


@pytest.mark.parametrize("face", FACES)
def test_every_public_class_is_described(face: str) -> None:
    found = described()
    missing = {path for path, thing in public(face).items() if not found[thing]}
    assert missing <= _ONLY_ANNOTATED


def test_none_is_described_twice() -> None:
    assert [thing for thing, times in described().items() if times > 1] == []
