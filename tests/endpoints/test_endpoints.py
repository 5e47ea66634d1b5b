"""The list of endpoints is sound; whether all are called is seen at the end of a run of all tests."""

from __future__ import annotations

import importlib
from typing import Any

import pytest

from tests.endpoints import ROWS, Row, Sent
from tests.endpoints.__main__ import PAGE
from tests.endpoints.page import page


def test_the_list_is_whole() -> None:
    assert [row.number for row in ROWS] == list(range(1, 152))
    assert all(len(row.peers) == 5 for row in ROWS)


@pytest.mark.parametrize("row", [row for row in ROWS if row.ours], ids=lambda row: str(row.number))
def test_our_names_are_there(row: Row) -> None:
    found: Any = importlib.import_module("aiocouch")
    for name in row.ours.split("."):
        if not hasattr(found, name):
            found = importlib.import_module(f"{found.__name__}.{name}")
        else:
            found = getattr(found, name)
    assert callable(found)


@pytest.mark.parametrize(
    ("method", "target", "number"),
    [
        ("GET", "/", 1),
        ("GET", "/db/_all_docs?limit=1", 62),
        ("GET", "/db/doc", 95),
        ("GET", "/db/doc?open_revs=all", 96),
        ("GET", "/db/doc/a/b.txt", 103),
        ("PUT", "/db/_design/d", 115),
        ("GET", "/db/_design/d/_view/v", 123),
        ("GET", "/db/_design/d/_list/f/v", 130),
        ("GET", "/db/_design/d/_list/f/o/v", 132),
        ("DELETE", "/db/_local/x", 111),
        ("PATCH", "/db/_design/d/_rewrite/a/b?c", 136),
        ("GET", "/_node/_local/_all_dbs", 35),
    ],
)
def test_requests_are_told_apart(method: str, target: str, number: int) -> None:
    (row,) = [row for row in ROWS if row.number == number]
    assert row.is_met_by(Sent(method, target))
    assert not row.is_met_by(Sent("OPTIONS" if method != "PATCH" else "X", target))


def test_special_paths_are_no_documents() -> None:
    documents = [row for row in ROWS if row.path == "/{db}/{docid}" and not row.type]
    for path in ("/db/_all_docs", "/db/_design/d", "/db/_local/d", "/db/a/b"):
        assert not any(row.is_met_by(Sent("GET", path)) for row in documents)


def test_the_page_is_that_of_the_list() -> None:
    assert PAGE.read_text("utf-8") == page(), "run `python -m tests.endpoints`"
