"""A database becomes what its schema says, on a server."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from aiocouch import BadRequestError, Database
from aiocouch.schema import Index, Progress, Schema, apply, diff, read

if TYPE_CHECKING:
    from aiocouch import CouchDB
    from aiocouch.typing import DatabaseOptions

MAP = "function (doc) { emit(doc.title); }"
WANTED = Schema(
    designs={
        "shop": {"views": {"titles": {"map": MAP, "reduce": "_count"}}, "language": "javascript"},
        "rules": {"validate_doc_update": "function (newDoc) {}"},
    },
    indexes=[
        Index("by-title", ["title"]),
        Index("long", ["pages", {"title": "asc"}], "books", {"pages": {"$gt": 5}, "type": "book"}),
    ],
    security={"members": {"names": ["ann"]}},
)


async def test_a_new_database_gets_all(couchdb: CouchDB, missing: Database) -> None:
    db = missing
    assert await read(db) is None
    done = await apply(db, WANTED)
    assert [str(change) for change in done] == [
        "create database",
        "change security: members.names",
        "create index by-title/by-title",
        "create index books/long",
        "create design shop",
        "create design rules",
    ]
    assert diff(WANTED, await read(db)) == []
    assert await apply(db, WANTED) == []


async def test_a_view_is_built_beside_the_old_one(db: Database) -> None:
    await apply(db, WANTED)
    await db.write([{"_id": str(n), "title": f"T{n}", "pages": n} for n in range(50)])
    assert len([row async for row in db.view("shop", "titles").ids()]) == 50
    views = {"titles": {"map": MAP}, "pages": {"map": "function (doc) { emit(doc.pages); }"}}
    wanted = Schema(designs={"shop": {"views": views, "language": "javascript"}})
    told: list[Progress] = []
    (change,) = await apply(db, wanted, progress=told.append)
    assert str(change) == "change design shop: -views.titles.reduce, +views.pages"
    assert [one.state for one in told if one.state != "building"] == ["begun", "done"]
    assert [row.key async for row in db.view("shop", "pages").rows()] == list(range(50))
    assert await apply(db, wanted) == []
    ids = {id async for id in db.design_docs.ids()}
    assert "_design/shop~next" not in ids
    assert {"_design/shop", "_design/rules"} <= ids


async def test_views_that_cannot_be_built_leave_the_old_ones(db: Database) -> None:
    await apply(db, WANTED)
    wanted = Schema(designs={"shop": {"views": {"titles": {"map": "function (doc) {"}}}})
    with pytest.raises(BadRequestError):
        await apply(db, wanted)
    assert diff(WANTED, await read(db)) == []


async def test_it_goes_on_where_it_was_interrupted(db: Database) -> None:
    shop: dict[str, Any] = dict(WANTED.designs["shop"])
    await db.upsert("_design/shop~next", {"views": {"old": {"map": MAP}}})
    await apply(db, Schema(designs={"shop": shop}))
    assert [id async for id in db.design_docs.ids()] == ["_design/shop"]
    assert (await db["_design/shop"]).json == shop


async def test_a_partitioned_database(missing: Database) -> None:
    db = missing
    options: DatabaseOptions = {"partitioned": True}
    wanted = Schema(designs={"d": {"views": {"v": {"map": MAP}}}}, options=options)
    assert [change.kind for change in await apply(db, wanted)] == ["database", "design"]
    assert await apply(db, wanted) == []
    assert (await db.info())["props"]["partitioned"] is True
    both = {"d": {"views": {"w": {"map": MAP}}, "options": {"partitioned": False}}}
    await apply(db, Schema(designs=both))
    assert [id async for id in db.design_docs.ids()] == ["_design/d"]


async def test_an_index_is_changed(db: Database) -> None:
    await apply(db, WANTED)
    wanted = Schema(indexes=[Index("by-title", ["title", "pages"])])
    assert [str(change) for change in await apply(db, wanted)] == [
        "change index by-title/by-title: fields"
    ]
    assert await apply(db, wanted) == []


@pytest.mark.parametrize(
    "content",
    [
        {"views": ["a"]},
        {"views": {"a": "function (doc) { emit(1); }"}},
        {"views": {"a": {"map": "function (doc) {}"}}, "options": []},
    ],
)
async def test_what_no_server_takes_is_told_by_it(db: Database, content: dict[str, Any]) -> None:
    with pytest.raises(BadRequestError):
        await apply(db, Schema(designs={"a": content}))
    assert [id async for id in db.design_docs.ids()] == []
