"""Closing a session wakes everybody who waits in it, by `SessionClosedError`."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import aiohttp
import pytest

from aiocouch import CouchDB, Database, Document, SessionClosedError, TransportError
from aiocouch._tracked import of_text
from tests.wire.canned import Answer, CannedServer, json_answer
from tests.wire.test_wire_time_limits import deaf_server, never, pieces

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable


@pytest.fixture
async def silent(canned: CannedServer) -> AsyncIterator[CannedServer]:
    """A server that takes requests and answers nothing."""
    canned.handler = lambda request: Answer(raw=b"", pieces=never())
    async with asyncio.timeout(60):
        yield canned


CALLS: dict[str, Callable[[Database], Awaitable[Any]]] = {
    "info": lambda db: db.info(),
    "get": lambda db: db["a"],
    "batched": lambda db: db.batched()["a"],
    "save": lambda db: Document(db, "a", {"n": 1}).save(),
    "docs": lambda db: anext(db.docs()),
    "find": lambda db: anext(db.find({})),
    "changes": lambda db: anext(db.changes(feed="continuous")),
    "attachment": lambda db: Document(db, "a").attachment("x").fetch(),
}


@pytest.mark.parametrize("name", CALLS)
async def test_who_waits_for_an_answer(silent: CannedServer, name: str) -> None:
    couchdb = CouchDB(silent.url)
    waiting = asyncio.ensure_future(CALLS[name](Database(couchdb, "db")))
    await silent.requested(1)
    await couchdb.close()
    with pytest.raises(SessionClosedError, match=r"(GET|PUT|POST) /db.*: the session was closed"):
        await waiting


@pytest.mark.parametrize("name", CALLS)
async def test_who_waits_with_a_connector_that_is_shared(silent: CannedServer, name: str) -> None:
    async with aiohttp.TCPConnector() as connector:
        couchdb = CouchDB(silent.url, connector=connector, connector_owner=False)
        waiting = asyncio.ensure_future(CALLS[name](Database(couchdb, "db")))
        await silent.requested(1)
        await couchdb.close()
        with pytest.raises(SessionClosedError, match="the session was closed"):
            await waiting


@pytest.mark.parametrize("name", ["info", "docs", "attachment"])
async def test_who_waits_for_a_connection(silent: CannedServer, name: str) -> None:
    couchdb = CouchDB(silent.url, connector=aiohttp.TCPConnector(limit=1))
    base = Database(couchdb, "db")
    first = asyncio.ensure_future(base.info())
    await silent.requested(1)
    second = asyncio.ensure_future(CALLS[name](base))
    await asyncio.sleep(0)
    await couchdb.close()
    for waiting in (first, second):
        with pytest.raises(SessionClosedError):
            await waiting
    assert len(silent.requests) == 1


async def test_who_sends_a_body() -> None:
    async with asyncio.timeout(60), deaf_server() as url:
        couchdb = CouchDB(url)
        doc = of_text(Document, Database(couchdb, "db"), "a", b'{"_id":"a","_rev":"1-a"}')
        begun = asyncio.Event()

        async def content() -> AsyncGenerator[bytes, None]:
            async for piece in pieces(bytes(1_000_000), 50):
                begun.set()
                yield piece

        saving = asyncio.ensure_future(doc.attachment("x").save(content(), "text/plain"))
        await begun.wait()
        await couchdb.close()
        with pytest.raises(SessionClosedError):
            await saving


async def test_who_is_cancelled_is_cancelled(silent: CannedServer) -> None:
    couchdb = CouchDB(silent.url)
    waiting = asyncio.ensure_future(couchdb.info())
    await silent.requested(1)
    waiting.cancel()
    await couchdb.close()
    with pytest.raises(asyncio.CancelledError):
        await waiting


async def test_who_reads_an_attachment(canned: CannedServer) -> None:
    head = b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\nsome"
    canned.say(Answer(raw=head, pieces=never()))
    couchdb = CouchDB(canned.url)
    content = Document(Database(couchdb, "db"), "a").attachment("x").stream()
    assert await anext(content) == b"some"
    waiting = asyncio.ensure_future(anext(content))
    await asyncio.sleep(0)
    await couchdb.close()
    with pytest.raises(SessionClosedError, match="GET /db/a/x: the session was closed"):
        await waiting


def test_a_batch_whose_loop_is_gone_does_not_wait() -> None:
    couchdb = CouchDB("http://127.0.0.1:1")
    base = Database(couchdb, "db").batched(delay=0.01)

    async def left() -> None:
        waiting = asyncio.ensure_future(base["a"])
        await asyncio.sleep(0)  # now its timer runs, in a loop that ends
        waiting.cancel()

    async def other() -> None:
        async with couchdb, asyncio.timeout(60):
            await base["b"]

    asyncio.run(left())
    with pytest.raises(TransportError, match="Cannot connect"):
        asyncio.run(other())


async def test_a_session_can_be_closed_when_nobody_waits(canned: CannedServer) -> None:
    canned.say(json_answer({"couchdb": "Welcome"}))
    couchdb = CouchDB(canned.url)
    await couchdb.info()
    await couchdb.close()
    with pytest.raises(SessionClosedError, match="the session is closed"):
        await couchdb.info()
