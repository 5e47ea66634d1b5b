"""Whether a write was stored by as many nodes as were asked for: 201 or 202."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from aiocouch import CouchDB
from tests.wire.canned import json_answer

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from aiocouch import Database, Document
    from tests.wire.canned import Answer, CannedServer, Request

STATUSES = pytest.mark.parametrize(("status", "only"), [(201, False), (202, True)])


class Book(msgspec.Struct):
    title: str


class Tale(msgspec.Struct):
    title: str = ""


def written(status: int) -> Callable[[Request], Answer]:
    """An answer to any write of the document `x`, or of several."""

    def answer(request: Request) -> Answer:
        sent: dict[str, Any] = request.json() if request.body.startswith(b"{") else {}
        row = {"ok": True, "rev": "1-a"} | ({"accepted": True} if status == 202 else {})
        if "docs" in sent:
            return json_answer([{**row, "id": doc["_id"]} for doc in sent["docs"]], 201)
        if request.method == "GET":
            return json_answer({"_id": "x", "_rev": "1-a"})
        return json_answer({"ok": True, "id": "x", "rev": "1-a"}, status)

    return answer


async def saved(db: Database) -> Document:
    doc = db.document("x", {"n": 1})
    await doc.save()
    return doc


async def saved_with(db: Database) -> Document:
    doc = db.document("x", {"n": 1})
    await doc.save_with({"a": (b"1", "text/plain")})
    return doc


async def in_a_collection(db: Database) -> Document:
    return (await db.collection(Book).create(Book("Emma"), id="x")).document


async def in_bulk(db: Database) -> Document:
    async with db.bulk() as bulk:
        bulk.create("x", {"n": 1})
    assert bulk.ok is not None
    return bulk.ok[0]


async def in_a_stream(db: Database) -> Document:
    doc = db.document("x", {"n": 1})
    (outcome,) = [outcome async for outcome in db.write([doc])]
    assert outcome.accepted_only is doc.accepted_only
    return doc


async def added(db: Database) -> Document:
    return await db.add({"n": 1})


async def updated(db: Database) -> Document:
    return await db.update("x", lambda doc: doc.update(n=2))


async def local(db: Database) -> Document:
    doc = db.document("_local/x", {"n": 1})
    await doc.save()
    return doc


async def deleted(db: Database) -> Document:
    doc = await db["x"]
    response = await doc.delete()
    assert response.json()["rev"] == "1-a"
    assert (response.status == 202) is doc.accepted_only
    return doc


async def deleted_from_a_collection(db: Database) -> Document:
    books = db.collection(Tale)
    book = await books["x"]
    response = await books.delete(book)
    assert (response.status == 202) is book.document.accepted_only
    return book.document


async def with_an_attachment(db: Database) -> Document:
    doc = await db["x"]
    response = await doc.attachment("a").save(b"1", "text/plain")
    assert (response.status == 202) is doc.accepted_only
    return doc


async def without_an_attachment(db: Database) -> Document:
    doc = await db["x"]
    await doc.attachment("a").delete()
    return doc


WRITES = [
    saved,
    saved_with,
    in_a_collection,
    in_bulk,
    in_a_stream,
    added,
    updated,
    local,
    deleted,
    deleted_from_a_collection,
    with_an_attachment,
    without_an_attachment,
]


@STATUSES
@pytest.mark.parametrize("write", WRITES)
async def test_a_write_tells(
    canned: CannedServer,
    base: Database,
    write: Callable[[Database], Awaitable[Document]],
    status: int,
    only: bool,
) -> None:
    canned.handler = written(status)
    assert (await write(base)).accepted_only is only


async def test_it_is_about_the_last_write(canned: CannedServer, base: Database) -> None:
    canned.handler = written(202)
    doc = await saved(base)
    canned.handler = written(201)
    doc["n"] = 2
    assert doc.accepted_only
    await doc.save()
    assert not doc.accepted_only
    canned.handler = written(202)
    doc["n"] = 3
    await doc.save()
    await doc.fetch()
    assert not doc.accepted_only
    assert not base.document("y").accepted_only


@STATUSES
async def test_a_copy_tells(canned: CannedServer, base: Database, status: int, only: bool) -> None:
    canned.handler = written(status)
    response = await (await base["x"]).copy("y")
    assert (response.status == 202) is only
    assert response.json()["rev"] == "1-a"


@STATUSES
async def test_a_purge_tells(canned: CannedServer, base: Database, status: int, only: bool) -> None:
    purged = {"purge_seq": None, "purged": {"x": ["1-a"]}}
    canned.say(json_answer(purged, status))
    assert await base.purge({"x": ["1-a"]}) == purged | ({"accepted": True} if only else {})


@STATUSES
async def test_a_database_tells(canned: CannedServer, status: int, only: bool) -> None:
    canned.say(json_answer({"ok": True}, status), json_answer({"ok": True}, status))
    async with CouchDB(canned.url) as couchdb:
        db = await couchdb.create("db")
        assert db.accepted_only is only
        assert not couchdb.database("db").accepted_only
        db = couchdb.database("db")
        await db.delete()
        assert db.accepted_only is only
