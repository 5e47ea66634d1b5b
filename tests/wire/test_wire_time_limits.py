"""How long is waited for a server that says nothing, or takes nothing."""

from __future__ import annotations

import asyncio
import json
import time
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import pytest
from aiohttp import ClientTimeout
from aiohttp.client_proto import ResponseHandler

from aiocouch import (
    CouchDB,
    Database,
    Document,
    InvalidTypeError,
    NotFoundError,
    RetryPolicy,
    TransportError,
)
from aiocouch._tracked import of_text
from aiocouch._transport import body
from aiocouch._transport.limits import silence_of
from aiocouch.changes import options
from tests.wire.canned import Answer, CannedServer, doc_row, json_answer, rows_text

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator

SILENCE = ClientTimeout(total=None, sock_read=0.2)
LARGE = 50_000_000


@asynccontextmanager
async def deaf_server() -> AsyncIterator[str]:
    """A server that takes connections and reads nothing of what is sent."""
    left = asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await left.wait()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0, limit=1)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        left.set()
        server.close()


async def never() -> AsyncGenerator[bytes, None]:
    await asyncio.Event().wait()
    yield b""


async def test_what_is_short_is_limited_in_all() -> None:
    async with CouchDB("http://127.0.0.1:1") as couchdb:
        limits = couchdb.remote.session().timeout
    assert (limits.total, limits.sock_connect) == (300, 30)
    long = silence_of(limits)
    assert (long.total, long.sock_connect, long.sock_read) == (None, 30, 300)


async def test_an_answer_that_does_not_begin(canned: CannedServer) -> None:
    canned.say(Answer(raw=b"", pieces=never()))
    async with CouchDB(canned.url, timeout=SILENCE, retry=None) as couchdb:
        with pytest.raises(TransportError, match="GET /db: no whole answer"):
            await Database(couchdb, "db").info()


async def test_an_answer_that_stops(canned: CannedServer) -> None:
    canned.say(Answer(raw=b'HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n{"db', pieces=never()))
    async with CouchDB(canned.url, timeout=SILENCE, retry=None) as couchdb:
        with pytest.raises(TransportError, match="GET /db: no whole answer"):
            await Database(couchdb, "db").info()


async def pieces(piece: bytes, count: int) -> AsyncGenerator[bytes, None]:
    for _ in range(count):
        yield piece


@pytest.mark.parametrize("total", [None, 0.2])
async def test_an_attachment_that_the_server_does_not_take(total: float | None) -> None:
    limits = SILENCE if total is None else ClientTimeout(total=total)
    async with deaf_server() as url, CouchDB(url, timeout=limits, retry=None) as couchdb:
        doc = of_text(Document, Database(couchdb, "db"), "a", b'{"_id":"a","_rev":"1-a"}')
        with pytest.raises(TransportError, match=r"took nothing of the body for 0\.2 seconds"):
            await doc.attachment("x").save(pieces(bytes(1_000_000), 50), "text/plain")


async def test_a_document_that_the_server_does_not_take() -> None:
    async with deaf_server() as url, CouchDB(url, timeout=SILENCE, retry=None) as couchdb:
        with pytest.raises(TransportError, match="took nothing of the body"):
            await Document(Database(couchdb, "db"), "a", {"text": "x" * LARGE}).save()


async def test_documents_that_the_server_does_not_take() -> None:
    async with deaf_server() as url, CouchDB(url, timeout=SILENCE, retry=None) as couchdb:
        base = Database(couchdb, "db")
        with pytest.raises(TransportError, match="took nothing of the body"):
            await base.bulk_docs([{"_id": "a", "text": "x" * LARGE}])


async def slowly() -> AsyncGenerator[bytes, None]:
    for _ in range(4):
        yield b"piece"
        await asyncio.sleep(0.15)


@pytest.mark.parametrize("limits", [SILENCE, ClientTimeout(total=0.2)])
async def test_a_slow_upload_is_not_cut(canned: CannedServer, limits: ClientTimeout) -> None:
    """What its source takes is the program's own time."""
    canned.say(
        json_answer({"ok": True, "id": "a", "rev": "2-b"}, 201),
        json_answer({"_id": "a", "_rev": "2-b"}),
    )
    async with CouchDB(canned.url, timeout=limits, retry=None) as couchdb:
        doc = of_text(Document, Database(couchdb, "db"), "a", b'{"_id":"a","_rev":"1-a"}')
        await doc.attachment("x").save(slowly(), "text/plain")
    assert canned.requests[0].body == b"piece" * 4


async def test_a_slow_loop_is_not_cut(canned: CannedServer) -> None:
    rows = [doc_row(f"{number}", text="x" * 100_000) for number in range(20)]
    canned.say(Answer(body=rows_text(rows)))
    async with CouchDB(canned.url, timeout=ClientTimeout(total=0.3)) as couchdb:
        count = 0
        async for _ in Database(couchdb, "db").docs():
            count += 1
            await asyncio.sleep(0.05)
    assert count == 20


async def rows_and_silence(row: str | None, over: asyncio.Event) -> AsyncGenerator[bytes, None]:
    yield b'{"total_rows":9,"offset":0,"rows":[\r\n'
    if row is not None:
        yield json.dumps(doc_row(row)).encode() + b",\r\n"
    await over.wait()


async def test_rows_that_stop_again_and_again(canned: CannedServer) -> None:
    """Each row begins the count anew; the limit of silence is not multiplied by the tries."""
    over = asyncio.Event()
    canned.say(*(Answer(pieces=rows_and_silence(row, over)) for row in ("a", "b", None)))
    async with CouchDB(canned.url, timeout=SILENCE, retry=RetryPolicy(first_wait=0)) as couchdb:
        docs = Database(couchdb, "db").docs()
        assert [(await anext(docs)).id, (await anext(docs)).id] == ["a", "b"]
        with pytest.raises(TransportError) as caught:
            await anext(docs)
    over.set()
    assert isinstance(caught.value, TimeoutError)
    assert len(canned.requests) == 3


async def test_many_callers_of_one_document_wait_no_longer_than_one(canned: CannedServer) -> None:
    canned.handler = lambda request: Answer(raw=b"", pieces=never())
    async with CouchDB(canned.url, timeout=SILENCE, retry=None) as couchdb:
        base = Database(couchdb, "db").batched()
        start = time.monotonic()
        found = await asyncio.gather(*(base["a"] for _ in range(10)), return_exceptions=True)
        assert time.monotonic() - start < 2 * 0.2 + 1
    assert len(canned.requests) == 1
    errors = [one for one in found if isinstance(one, TransportError)]
    assert len({id(error) for error in errors}) == 10


async def test_many_callers_of_one_document_read_it_once_alone(canned: CannedServer) -> None:
    canned.say(json_answer({"rows": []}), json_answer({"_id": "a", "_rev": "1-a"}))
    async with CouchDB(canned.url) as couchdb:
        base = Database(couchdb, "db").batched()
        docs = await asyncio.gather(*(base["a"] for _ in range(10)))
    assert [doc.rev for doc in docs] == ["1-a"] * 10


@pytest.mark.parametrize("timeout", [5, 0.5, "5"])
def test_a_timeout_is_one_of_aiohttp(timeout: Any) -> None:
    with pytest.raises(InvalidTypeError, match=r"must be an aiohttp\.ClientTimeout, not"):
        CouchDB("http://127.0.0.1:1", timeout=timeout)


@asynccontextmanager
async def server_of_deleted_database() -> AsyncIterator[str]:
    """A server whose feeds begin, and then say nothing: the database is gone."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked = await reader.readuntil(b"\r\n\r\n")
        if asked.startswith(b"HEAD"):
            writer.write(b"HTTP/1.1 404 Object Not Found\r\nContent-Length: 3\r\n\r\n")
        else:
            writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
            writer.write(b'e\r\n{"results":[\n\n\r\n')
        await reader.read()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"


@pytest.mark.parametrize("keeps_its_limit", [True, False])
async def test_a_feed_of_a_database_that_is_gone_does_not_hang(
    monkeypatch: pytest.MonkeyPatch, keeps_its_limit: bool
) -> None:
    monkeypatch.setattr(options, "_LEAST_PATIENCE", 0.2)
    monkeypatch.setattr(body, "_LATER", 0.2)
    if not keeps_its_limit:  # as aiohttp's own may be lost
        monkeypatch.setattr(ResponseHandler, "_on_read_timeout", lambda _: None)
    async with server_of_deleted_database() as url, CouchDB(url, retry=None) as couchdb:
        feed = Database(couchdb, "db").changes(feed="longpoll", heartbeat=20)
        with pytest.raises(NotFoundError):
            await asyncio.wait_for(anext(feed), 5)
