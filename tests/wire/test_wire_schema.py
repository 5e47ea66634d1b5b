"""What goes out when views are built beside those that are in use."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from aiocouch import InvalidInputError, InvalidTypeError
from aiocouch.schema import Index, Progress, Schema, apply, designs_in, diff
from tests.wire.canned import Answer, doc_row, error_answer, json_answer, rows_text

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator
    from pathlib import Path

    from aiocouch import Database
    from tests.wire.canned import CannedServer, Request

VIEWS = {"lib": {"x": "1"}, "v": {"map": "new"}}
RULE = "function () {}"
WANTED = Schema(designs={"d": {"views": VIEWS, "validate_doc_update": RULE}})
BESIDE = "/db/_design/d~next"


def test_what_is_compared_are_schemas(base: Database) -> None:
    wrong: Any = base
    with pytest.raises(InvalidTypeError, match=r"diff\(wanted, await read\(db\)\)"):
        diff(wrong, WANTED)
    with pytest.raises(InvalidTypeError, match="found must be a Schema, not Database"):
        diff(WANTED, wrong)


@pytest.mark.parametrize(
    ("parts", "words"),
    [
        ({"designs": ["a"]}, r"designs_in\(folder\)"),
        ({"indexes": ["a"]}, "a list of Index"),
        ({"security": ["a"]}, "security= is a dict"),
        ({"security": {"admins": ["a"]}}, "the admins must be a dict"),
        ({"security": {"members": {"roles": "a"}}}, "the roles of members must be a list"),
        ({"options": {"partitoned": True}}, "did you mean 'partitioned'"),
    ],
)
def test_a_wrong_schema_says_what_is_wrong(parts: dict[str, Any], words: str) -> None:
    with pytest.raises(InvalidTypeError, match=words):
        Schema(**parts)


def test_a_wrong_field_of_an_index_is_named() -> None:
    fields: Any = [5]
    with pytest.raises(InvalidTypeError, match="the field 5 of the index 'a'"):
        Index("a", fields)


@pytest.mark.parametrize(
    ("parts", "words"),
    [
        ({"name": 5}, "the name of an index must be a text, not 5"),
        ({"ddoc": ["a"]}, "the name of an index must be a text"),
        ({"partial_filter_selector": 5}, "the selector of the index 'a' must be a dict"),
    ],
)
def test_a_wrong_index_says_what_is_wrong(parts: dict[str, Any], words: str) -> None:
    with pytest.raises(InvalidTypeError, match=words):
        Index(**{"name": "a", "fields": ["b"], **parts})


def test_fields_of_an_index_are_a_list() -> None:
    wrong: list[Any] = [5, "a", [], {"a": "desc"}]
    for fields in wrong:
        with pytest.raises(InvalidInputError, match="the index 'a' needs a list of fields"):
            Index("a", fields)


@pytest.mark.parametrize("name", ["a.js", "a.json"])
def test_a_file_that_is_not_text_is_named(tmp_path: Path, name: str) -> None:
    (tmp_path / "design").mkdir()
    (tmp_path / "design" / name).write_bytes(b"\xff")
    with pytest.raises(InvalidInputError, match=f"{name} is not text in UTF-8"):
        designs_in(tmp_path)


class Server:
    """Has an old design document, and is not done with the new view before it was asked how far it is."""

    def __init__(self) -> None:
        self.beside = False
        self.asked = asyncio.Event()

    def answer(self, request: Request) -> Answer:
        if request.path == "/db/_design_docs":
            return Answer(body=rows_text([doc_row("_design/d", views={"v": {"map": "old"}})], 1))
        if request.path == f"{BESIDE}/_view/v":
            return Answer(pieces=self._built())
        if request.path == "/_active_tasks":
            self.asked.set()
            task = {"design_document": "_design/d~next", "changes_done": 3, "total_changes": 4}
            return json_answer([task, {"type": "replication"}])
        if request.method == "GET" and request.path == BESIDE:
            return self._next()
        if request.method == "GET" and request.path == "/db/_design/d":
            return json_answer({"_id": "_design/d", "_rev": "1-a", "views": {}})
        return json_answer(FIXED[request.path], 201 if request.method == "PUT" else 200)

    def _next(self) -> Answer:
        if self.beside:
            return json_answer({"_id": "_design/d~next", "_rev": "1-b"})
        self.beside = True
        return error_answer(404, "not_found", "missing")

    async def _built(self) -> AsyncGenerator[bytes, None]:
        await self.asked.wait()
        yield rows_text([])


FIXED = {
    "/db": {"db_name": "db", "props": {}},
    "/db/_security": {},
    "/db/_index": {"total_rows": 0, "indexes": []},
    BESIDE: {"ok": True, "id": "_design/d~next", "rev": "1-b"},
    "/db/_design/d": {"ok": True, "id": "_design/d", "rev": "2-a"},
    "/db/_view_cleanup": {"ok": True},
}


async def test_the_old_views_stay_until_the_new_ones_are_built(
    canned: CannedServer, base: Database
) -> None:
    canned.handler = Server().answer
    told: list[Progress] = []
    (change,) = await apply(base, WANTED, progress=told.append)
    assert canned.lines[-9:] == [
        "GET /db/_design/d~next",
        "PUT /db/_design/d~next",
        "GET /db/_design/d~next/_view/v?limit=0&reduce=false",
        "GET /_active_tasks",
        "GET /db/_design/d",
        "PUT /db/_design/d",
        "GET /db/_design/d~next",
        "DELETE /db/_design/d~next?rev=1-b",
        "POST /db/_view_cleanup",
    ]
    states = [(one.state, one.percent) for one in told]
    assert states == [("begun", None), ("building", 75), ("done", None)]
    assert {one.change for one in told} == {change}
    puts = [request.json() for request in canned.requests if request.method == "PUT"]
    assert [put["views"] for put in puts] == [VIEWS] * 2
    # Beside the old one only views are built: it validates nothing yet.
    assert [put.get("validate_doc_update") for put in puts] == [None, RULE]
