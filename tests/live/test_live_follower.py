"""Followers of a server that lives: filters, checkpoints, all databases, and streams that are cut."""

from __future__ import annotations

import asyncio
import contextlib
from contextlib import aclosing
from typing import TYPE_CHECKING, Any

import pytest

import aiocouch
from aiocouch import CouchDB, Database
from aiocouch._transport.policy import RetryPolicy
from aiocouch.answers import DatabaseEvent
from aiocouch.changes import FollowedDeletion, LocalCheckpoint
from aiocouch.testing import CouchDBServer, Faults
from tests.support.shapes import misfits

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

PATIENCE = 60
AT_ONCE = RetryPolicy(tries=1000, first_wait=0, longest_wait=0)


async def write(db: Database, *ids: str, **data: Any) -> None:
    rows = await db.bulk_docs([{"_id": id, **data} for id in ids])
    assert not [row for row in rows if "error" in row]


async def take(events: AsyncIterator[Any], count: int) -> list[Any]:
    async with asyncio.timeout(PATIENCE):
        return [await anext(events) for _ in range(count)]


def ids_of(events: list[Any]) -> list[str]:
    return sorted(event.id for event in events)


async def test_what_was_and_what_comes(db: Database) -> None:
    await write(db, "a", "b")
    async with db.follow() as follower, aclosing(aiter(follower)) as events:
        assert ids_of(await take(events, 2)) == ["a", "b"]
        await (await db["a"]).delete()
        (gone,) = await take(events, 1)
        assert isinstance(gone, FollowedDeletion)
        assert gone.id == "a"


async def test_a_local_checkpoint(db: Database) -> None:
    await write(db, "a", "b", "c")
    async with db.follow(checkpoint="über/all", explicit_acks=True) as follower:
        events = aiter(follower)
        first, second, third = await take(events, 3)
        first.ack()
        third.ack()
        assert await follower.pending() == 2
    assert await LocalCheckpoint(db, "über/all").load() == first.sequence
    async with db.follow(checkpoint="über/all") as follower, aclosing(aiter(follower)) as events:
        assert ids_of(await take(events, 2)) == ids_of([second, third])


@pytest.mark.parametrize("kind", ["path", "name"])
async def test_now(db: Database, tmp_path: Path, kind: str) -> None:
    await write(db, "a")
    checkpoint = tmp_path / "it" if kind == "path" else "it"
    async with db.follow(since="now", checkpoint=checkpoint) as follower:
        waiting = asyncio.ensure_future(anext(aiter(follower)))
        for _ in range(100_000):
            if follower.sequence is not None:
                break
            await asyncio.sleep(0)
        await write(db, "b")
        async with asyncio.timeout(PATIENCE):
            assert (await waiting).id == "b"


async def test_documents_come_along(db: Database) -> None:
    await write(db, "a", n=1)
    async with db.follow(include_docs=True) as follower, aclosing(aiter(follower)) as events:
        (event,) = await take(events, 1)
        assert (await event.doc())["n"] == 1


@pytest.mark.parametrize(
    "options",
    [
        {"selector": {"n": 1}},
        {"doc_ids": ["x"]},
        {"filter": "_view", "view": "d/v"},
        {"filter": "d/f", "wanted": "1"},
    ],
)
async def test_filters(db: Database, options: dict[str, Any]) -> None:
    await db.bulk_docs(
        [
            {
                "_id": "_design/d",
                "views": {"v": {"map": "function (doc) { if (doc.n == 1) emit(null); }"}},
                "filters": {"f": "function (doc, req) { return doc.n == req.query.wanted; }"},
            }
        ]
    )
    await write(db, "w", "y", n=2)
    await write(db, "x", n=1)
    async with db.follow(**options) as follower, aclosing(aiter(follower)) as events:
        (event,) = await take(events, 1)
        assert event.id == "x"


async def test_design_documents_only(db: Database) -> None:
    await write(db, "a", "_design/d")
    async with db.follow(filter="_design") as follower, aclosing(aiter(follower)) as events:
        assert ids_of(await take(events, 1)) == ["_design/d"]


async def test_a_deleted_database_ends_it(db: Database, couchdb_server: CouchDBServer) -> None:
    follower = db.follow()
    await write(db, "a")

    async def loop() -> None:
        async for _ in follower:
            async with couchdb_server.connect() as other:
                await (await other[db.id]).delete()

    async with asyncio.timeout(PATIENCE):
        with pytest.raises(aiocouch.NotFoundError):
            await loop()


async def test_a_missing_filter_ends_it(db: Database) -> None:
    async with asyncio.timeout(PATIENCE):
        with pytest.raises(aiocouch.NotFoundError):
            await anext(aiter(db.follow(filter="none/none")))


async def test_workers_handle_everything(db: Database) -> None:
    await write(db, *(f"d{number}" for number in range(300)))
    seen: list[str] = []

    async def handler(event: Any) -> None:
        seen.append((await event.doc()).id)
        if len(seen) == 300:
            follower.stop()

    async with db.follow(checkpoint="me") as follower, asyncio.timeout(PATIENCE):
        await follower.run(handler, workers=5)
    assert sorted(seen) == sorted(f"d{number}" for number in range(300))
    assert await LocalCheckpoint(db, "me").load() == follower.sequence
    assert await follower.pending() == 0


async def test_all_databases(couchdb: CouchDB, fresh_name: str, db: Database) -> None:
    with contextlib.suppress(aiocouch.PreconditionFailedError):
        await couchdb.create("_global_changes")
    checkpoint = LocalCheckpoint(db, "updates")
    told = []
    async with couchdb.follow_updates(since="now", checkpoint=checkpoint) as follower:
        events = aiter(follower)
        waiting = asyncio.ensure_future(anext(events))
        for _ in range(100_000):
            if follower.sequence is not None:
                break
            await asyncio.sleep(0)
        await (await couchdb.create(fresh_name)).delete()
        async with asyncio.timeout(PATIENCE):
            event = await waiting
            assert list(misfits(event.json, DatabaseEvent)) == []
            while (event.id, event.type) != (fresh_name, "deleted"):
                told.append((event.id, event.type))
                event = await anext(events)
        assert (fresh_name, "created") in told
        assert await follower.pending() is None
    assert await checkpoint.load() is not None


async def test_what_has_happened_to_databases(couchdb: CouchDB, fresh_name: str) -> None:
    with contextlib.suppress(aiocouch.PreconditionFailedError):
        await couchdb.create("_global_changes")
    made = await couchdb.create(fresh_name)
    try:
        async with asyncio.timeout(PATIENCE):
            while True:
                rows = [row async for row in couchdb.db_updates()]
                if (fresh_name, "created") in [(row["db_name"], row["type"]) for row in rows]:
                    break
                await asyncio.sleep(0.02)
    finally:
        await made.delete()
    assert [row async for row in couchdb.db_updates(since="now")] == []
    assert len([row async for row in couchdb.db_updates(limit=1, descending=True)]) == 1


# -- streams that are cut


@pytest.fixture
async def cutting(
    couchdb_server: CouchDBServer, db: Database
) -> AsyncIterator[tuple[Database, Faults]]:
    """The database by way of a proxy."""
    async with Faults(couchdb_server) as faults, faults.server.connect(retry=AT_ONCE) as session:
        yield session.database(db.id), faults


def look(number: int) -> dict[str, Any]:
    return {"_id": f"d{number:04}", "n": number % 7, "text": "ü" * (number % 50)}


async def fill(db: Database, count: int = 400) -> list[str]:
    docs = [look(number) for number in range(count)]
    await db.bulk_docs(docs)
    view = {"map": "function (doc) { emit(doc.n, doc.text); emit(doc.n, 1); }", "reduce": "_count"}
    await db.bulk_docs([{"_id": "_design/d", "views": {"v": view}}])
    assert [row async for row in db.view("d", "v").rows(reduce=False, limit=1)]
    await db.index({"fields": ["n"]})
    return [doc["_id"] for doc in docs]


CUTS = 12


async def test_documents_go_on(db: Database, cutting: tuple[Database, Faults]) -> None:
    ids = await fill(db)
    through, faults = cutting
    for down in (False, True):
        faults.cut(range(6000), path="*/_all_docs", times=CUTS)
        found = [doc.id async for doc in through.docs(descending=down)]
        assert found == sorted(ids, reverse=down)
    faults.cut(range(3000), path="*/_all_docs", times=CUTS)
    expected = [id async for id in db.akeys(skip=3, limit=200)]
    assert len(expected) == 200
    assert [id async for id in through.akeys(skip=3, limit=200)] == expected
    faults.cut(range(6000), path="*/_all_docs", times=CUTS)
    some = [*ids[300:], "none", *ids[:50]]
    assert [doc.id async for doc in through.docs(some, create=True)] == some


async def test_rows_of_a_view_go_on(db: Database, cutting: tuple[Database, Faults]) -> None:
    await fill(db)
    through, faults = cutting
    whole = [row async for row in db.view("d", "v").rows(reduce=False)]
    for options in ({}, {"descending": True}, {"skip": 5, "limit": 300}, {"key": 3}):
        asked: Any = {"reduce": False, **options}
        expected = [row async for row in db.view("d", "v").rows(**asked)]
        faults.cut(range(6000), path="*/_view/v", times=CUTS)
        assert [row async for row in through.view("d", "v").rows(**asked)] == expected
    assert len(whole) == 800
    faults.cut(range(6000), path="*/_view/v", times=CUTS)
    expected_ids = [id async for id in db.view("d", "v").ids([5, 1, 3])]
    assert [id async for id in through.view("d", "v").ids([5, 1, 3])] == expected_ids


async def test_groups_go_on(db: Database, cutting: tuple[Database, Faults]) -> None:
    await fill(db)
    through, faults = cutting
    expected = [row async for row in db.view("d", "v").rows(group=True)]
    faults.cut(range(150), path="*/_view/v", times=CUTS)
    assert [row async for row in through.view("d", "v").rows(group=True)] == expected


async def test_found_documents_go_on(db: Database, cutting: tuple[Database, Faults]) -> None:
    await fill(db)
    through, faults = cutting
    for options in ({}, {"skip": 10, "limit": 150}):
        asked: Any = options
        expected = [doc.id async for doc in db.find({"n": {"$gt": 1}}, **asked)]
        faults.cut(range(6000), path="*/_find", times=CUTS)
        assert [doc.id async for doc in through.find({"n": {"$gt": 1}}, **asked)] == expected
        assert faults.broken["cut"]
