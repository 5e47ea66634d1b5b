"""Every promise of the documentation names tests, and they are there."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "guarantees.md"
_NAMED = re.compile(r"`(tests/[\w/]+\.py)(?:::(\w+))?`")
_ROW = re.compile(r"^\| (?!promise \||-)(.*)\|$", re.MULTILINE)


def named_tests() -> list[tuple[str, str]]:
    """Give the files and the functions that the page names; an empty name is the whole file."""
    return sorted({(file, name) for file, name in _NAMED.findall(PAGE.read_text("utf-8"))})


def functions_of(file: Path) -> set[str]:
    """Name the functions of a file."""
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef)
    tree = ast.parse(file.read_text("utf-8"))
    return {node.name for node in ast.walk(tree) if isinstance(node, kinds)}


@pytest.mark.parametrize(("file", "name"), named_tests())
def test_the_named_tests_exist(file: str, name: str) -> None:
    functions = functions_of(ROOT / file)
    assert name in functions or (not name and any(one.startswith("test_") for one in functions))


def test_every_promise_names_one() -> None:
    rows = _ROW.findall(PAGE.read_text("utf-8"))
    promises = [row for row in rows if not row.startswith("|")]
    assert len(promises) > 20
    assert [row for row in promises if not _NAMED.search(row.split("|")[1])] == []
