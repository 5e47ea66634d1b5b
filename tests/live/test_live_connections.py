"""Loops over rows never block the session: what is suspended gives its connection up to others."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import aclosing
from typing import Any

import aiohttp
import pytest

from aiocouch import CouchDB, CouchDBError, Database, TruncatedError
from aiocouch.testing import CouchDBServer

COUNT = 120
TEXT = "x" * 15_000  # so that no answer fits into the buffers of a connection
MAP = "function (doc) { emit(doc._id, doc.text) }"

Loop = Callable[[Database], AsyncGenerator[Any, None]]
LOOPS: dict[str, Loop] = {
    "docs": lambda db: db.docs(),
    "slices": lambda db: db.docs(streams=4),
    "find": lambda db: db.find({"n": {"$gte": 0}}),
    "rows": lambda db: db.view("d", "v").rows(),
    "view docs": lambda db: db.view("d", "v").docs(),
    "changes": lambda db: db.changes(include_docs=True),
}


@pytest.fixture
async def many(db: Database) -> Database:
    async with db.create_docs([f"d{number:04}" for number in range(COUNT)]) as bulk:
        for number, doc in enumerate(bulk):
            doc.update({"text": TEXT, "n": number})
    ddoc = await db.design_doc("d")
    await ddoc.create_view("v", MAP)
    assert len((await db.view("d", "v").get()).rows) == COUNT
    return db


@pytest.fixture
async def narrow(
    many: Database, couchdb_server: CouchDBServer
) -> AsyncIterator[Callable[[int], Database]]:
    """The database through a connector of the user with so many connections."""
    sessions: list[CouchDB] = []

    def made(limit: int) -> Database:
        connector = aiohttp.TCPConnector(limit=limit)
        sessions.append(couchdb_server.connect(connector=connector))
        return Database(sessions[-1], many.id)

    yield made
    for session in sessions:
        await session.close()


def expected(name: str) -> int:
    return COUNT + 1 if name == "changes" else COUNT  # the design document


@pytest.mark.parametrize("name", LOOPS)
async def test_requests_in_a_loop_with_one_connection(
    narrow: Callable[[int], Database], name: str
) -> None:
    db = narrow(1)
    seen = 0
    async with asyncio.timeout(60):
        async for _ in LOOPS[name](db):
            await db["d0000"]
            seen += 1
    assert seen == expected(name)


async def test_saves_in_a_loop_with_one_connection(narrow: Callable[[int], Database]) -> None:
    db = narrow(1)
    async with asyncio.timeout(60):
        async for doc in db.docs():
            doc["seen"] = True
            await doc.save()
    assert [doc["seen"] async for doc in db.docs()] == [True] * COUNT


@pytest.mark.parametrize("name", LOOPS)
async def test_nested_loops_with_two_connections(
    narrow: Callable[[int], Database], name: str
) -> None:
    db = narrow(2)
    seen = 0
    async with asyncio.timeout(60):
        async with aclosing(LOOPS[name](db)) as outer:
            for _ in range(3):
                await anext(outer)
                async for _ in db.docs():
                    seen += 1
                    if seen % 50 == 0:
                        await db["d0001"]
                        async for _ in db.docs(limit=3):
                            await db["d0002"]
    assert seen == 3 * COUNT


@pytest.mark.parametrize("name", LOOPS)
async def test_a_hundred_loops_with_a_request_in_each(
    many: Database, couchdb_server: CouchDBServer, name: str
) -> None:
    at_the_first_row = asyncio.Barrier(100)

    async def one(db: Database, number: int) -> int:
        async with aclosing(LOOPS[name](db)) as rows:
            await anext(rows)
            await at_the_first_row.wait()  # every loop has its connection now
            await db["d0000"]
            return 1 + len([row async for row in rows]) if number % 10 == 0 else 0

    async with couchdb_server.connect() as session, asyncio.timeout(100):
        db = Database(session, many.id)
        seen = await asyncio.gather(*(one(db, number) for number in range(100)))
    assert [count for count in seen if count] == [expected(name)] * 10


async def test_sessions_that_share_a_connector_know_of_each_other(
    many: Database, couchdb_server: CouchDBServer
) -> None:
    connector = aiohttp.TCPConnector(limit=1)
    shared = {"connector": connector, "connector_owner": False}
    async with couchdb_server.connect(**shared) as one, couchdb_server.connect(**shared) as other:
        async with asyncio.timeout(60):
            seen = [await Database(other, many.id)["d0000"] async for _ in one_loop(one, many.id)]
    await connector.close()
    assert len(seen) == COUNT


def one_loop(session: CouchDB, name: str) -> AsyncGenerator[Any, None]:
    return Database(session, name).docs()


async def test_a_limit_for_each_host_counts(many: Database, couchdb_server: CouchDBServer) -> None:
    connector = aiohttp.TCPConnector(limit=100, limit_per_host=1)
    async with couchdb_server.connect(connector=connector) as session, asyncio.timeout(60):
        db = Database(session, many.id)
        assert len([await db["d0000"] async for _ in db.docs()]) == COUNT


async def test_attachments_give_their_connection_up(narrow: Callable[[int], Database]) -> None:
    db = narrow(1)
    content = bytes(range(256)) * 10_000
    doc = await db["d0000"]
    await doc.attachment("a").save(content, "application/octet-stream")
    pieces: list[bytes] = []
    async with asyncio.timeout(60):
        async for piece in doc.attachment("a"):
            pieces.append(piece)
            await db["d0001"]
    assert b"".join(pieces) == content


async def test_an_attachment_can_be_copied_over_one_connection(
    narrow: Callable[[int], Database],
) -> None:
    db = narrow(1)
    content = bytes(range(256)) * 10_000
    doc = await db["d0000"]
    await doc.attachment("a").save(content, "application/octet-stream")
    target = (await db["d0001"]).attachment("b")
    async with asyncio.timeout(60):
        await target.save(doc.attachment("a").stream(), "application/octet-stream")
        assert await target.fetch() == content


async def test_feeds_that_wait_take_no_connection_from_others(
    many: Database, couchdb_server: CouchDBServer
) -> None:
    async with couchdb_server.connect() as session, asyncio.timeout(100):
        db = Database(session, many.id)
        feeds = [db.changes(feed="continuous") for _ in range(101)]
        for feed in feeds:
            await anext(feed)
        await db["d0000"]
        assert len([doc async for doc in db.docs()]) == COUNT
        for feed in feeds:
            await feed.aclose()


FEEDS: dict[str, Any] = {
    "continuous": {"feed": "continuous"},
    "continuous with a timeout": {"feed": "continuous", "timeout": 50_000},
    "longpoll": {"feed": "longpoll", "heartbeat": 5_000},
}


@pytest.mark.parametrize("name", FEEDS)
async def test_feeds_that_fill_the_connector_of_the_user_are_an_error_in_words(
    narrow: Callable[[int], Database], name: str
) -> None:
    db = narrow(1)
    last = [event.sequence async for event in db.changes()][-1]
    await db["d0000"]
    async with asyncio.timeout(40), aclosing(db.changes(last, **FEEDS[name])) as feed:
        waiting = asyncio.ensure_future(anext(feed, None))
        await asyncio.sleep(0)
        with pytest.raises(CouchDBError, match="feeds that wait hold all 1 connections"):
            await db["d0000"]
        with pytest.raises(CouchDBError, match="feeds that wait"):
            await anext(db.docs())
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
    await db["d0000"]


@pytest.mark.parametrize("name", [name for name in LOOPS if name != "slices"])
async def test_deleting_the_database_ends_a_loop_over_it(
    narrow: Callable[[int], Database], name: str
) -> None:
    db = narrow(2)
    async with asyncio.timeout(30), aclosing(LOOPS[name](db)) as rows:
        await anext(rows)
        await db.delete()
        seen = 1
        try:
            async for _ in rows:
                seen += 1
        except TruncatedError:
            return
        assert seen == expected(name)  # all had come before
