"""Calls to a server in this process, of which the test plays the server."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import aiohttp
import pytest

from aiocouch import CouchDB, SessionClosedError
from aiocouch._view_rows import DOCUMENT_ROWS, rescued_document
from aiocouch._wire.ready_row import ReadyRow
from aiocouch.exception import TransportError
from aiocouch.remote import silent_for

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    Route = Callable[[Any], Awaitable[Any]]

PIECE = b"x" * 100_000


class Whole:
    """An answer."""

    def __init__(self, status: int, headers: dict[str, str], body: bytes = b"") -> None:
        self.status = status
        self.headers = headers
        self.body = body


class Host:
    """A server with one route for everything."""

    url = "embedded:"
    user = None
    address = "localhost"

    def __init__(self, route: Route) -> None:
        self._route = route
        self.loop = asyncio.get_running_loop()
        self.guests = 0

    async def enter(self) -> Host:
        self.guests += 1
        return self

    async def leave(self, entrance: Any) -> None:
        assert entrance is self
        self.guests -= 1

    async def answer(self, call: Any) -> Any:
        return await self._route(call)

    def phrase(self, status: int) -> str:
        return "" if status else "no status"


async def test_a_route_waits_while_nobody_reads() -> None:
    written = 0

    async def route(call: Any) -> None:
        nonlocal written
        out = await call.begin(200, {"Content-Type": "text/plain"})
        for _ in range(50):
            await out.write(PIECE)
            written += 1
        await out.write_eof()

    async with CouchDB(Host(route)) as couchdb:
        async with couchdb.remote.stream("GET", "/") as stream:
            for _ in range(100):
                await asyncio.sleep(0)
            assert written < 5
            size = 0
            while piece := await stream.chunk():
                size += len(piece)
                assert len(piece) <= 5 * len(PIECE)
        assert size == 50 * len(PIECE)


@pytest.mark.parametrize("by", ["leaving", "cutting"])
async def test_a_stream_that_is_left_ends_its_route(by: str) -> None:
    ended = asyncio.Event()

    async def route(call: Any) -> None:
        out = await call.begin(200, {})
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()
            assert not out.push(b"to nobody")

    async with CouchDB(Host(route)) as couchdb:
        stream = couchdb.remote.stream("GET", "/db/x")
        await stream.opened_for(None)
        if by == "cutting":
            couchdb.remote.cut_streams("/db", "deleted")
            with pytest.raises(TransportError, match="deleted"):
                await stream.chunk()
        await stream.close()
        await asyncio.wait_for(ended.wait(), 5)


async def test_what_came_before_a_break_is_given_first() -> None:
    async def route(call: Any) -> None:
        out = await call.begin(200, {})
        await out.write(b"so far")
        call.abort()

    async with CouchDB(Host(route), retry=None) as couchdb:
        async with couchdb.remote.stream("GET", "/") as stream:
            assert await stream.chunk() == b"so far"
            with pytest.raises(TransportError, match="broke off") as caught:
                await stream.chunk()
            assert isinstance(caught.value, aiohttp.ClientPayloadError)
        with pytest.raises(TransportError, match="broke off"):
            await couchdb.request("GET", "/")


HEAD, END = b'{"total_rows":3,"offset":0,"rows":[\r\n', b"\r\n]}\n"


async def _read(stream: Any) -> list[str]:
    found: list[str] = []
    while batch := await stream.batch(DOCUMENT_ROWS, rescued_document):
        found += [row.id for row in batch]
    return found


async def test_rows_are_read_in_their_place() -> None:
    waited = []

    async def route(call: Any) -> None:
        out = await call.begin(200, {})
        await out.write(HEAD)
        for id in "abc":
            await call.write_rows([ReadyRow(id, id, None, b"{}")])
            waited.append(id)
        await out.write(END)

    async with (
        CouchDB(Host(route)) as couchdb,
        couchdb.remote.stream("GET", "/", rows=True) as stream,
    ):
        for _ in range(20):
            await asyncio.sleep(0)
        assert waited == []  # nobody has read what stands before
        assert await _read(stream) == ["a", "b", "c"]
        assert stream.meta == {"total_rows": 3, "offset": 0, "rows": []}


@pytest.mark.parametrize("end", ["cut", "aborted", "left"])
async def test_rows_that_break_off(end: str) -> None:
    async def route(call: Any) -> None:
        out = await call.begin(200, {})
        await out.write(HEAD)
        await call.write_rows([ReadyRow("a", "a", None, b"{}")])
        if end == "aborted":
            call.abort()
        elif end == "left":
            await call.write_rows([ReadyRow("b", "b", None, b"{}")])

    async with CouchDB(Host(route), retry=None) as couchdb:
        stream = await couchdb.remote.stream("GET", "/", rows=True).__aenter__()
        (row,) = await stream.batch(DOCUMENT_ROWS, rescued_document)
        assert row.id == "a"
        if end != "left":
            with pytest.raises(TransportError):
                await stream.batch(DOCUMENT_ROWS, rescued_document)
        await stream.close()


async def test_rows_have_a_time_limit() -> None:
    async def route(call: Any) -> None:
        out = await call.begin(200, {})
        await out.write(HEAD)
        await asyncio.Event().wait()

    limits = silent_for(0.05)
    async with (
        CouchDB(Host(route), retry=None) as couchdb,
        couchdb.remote.stream("GET", "/", timeout=limits, rows=True) as stream,
    ):
        with pytest.raises(TransportError) as caught:
            await _read(stream)
        assert isinstance(caught.value, TimeoutError)


async def test_time_limits() -> None:
    async def route(call: Any) -> None:
        if call.raw_path == "/later":
            await call.begin(200, {})
        await asyncio.Event().wait()

    limits = aiohttp.ClientTimeout(total=0.05)
    async with CouchDB(Host(route), retry=None, timeout=limits) as couchdb:
        with pytest.raises(TransportError) as caught:
            await couchdb.request("GET", "/")
        assert isinstance(caught.value, TimeoutError)
        for path in ("/never", "/later"):
            with pytest.raises(TransportError):
                async with couchdb.remote.stream("GET", path) as stream:
                    await stream.chunk()


async def test_the_last_who_leaves_waits_for_routes() -> None:
    steps: list[str] = []

    async def route(call: Any) -> None:
        await call.begin(200, {})
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0)
            steps.append("ended")

    host = Host(route)
    couchdb = CouchDB(host)
    stream = couchdb.remote.stream("GET", "/")
    await stream.opened_for(None)
    assert host.guests == 1
    await couchdb.close()
    steps.append("left")
    assert steps == ["ended", "left"]
    assert host.guests == 0
    with pytest.raises(SessionClosedError):
        await stream.chunk()


async def test_redirects_stay_on_the_server() -> None:
    async def route(call: Any) -> Any:
        places = {"/a": "http://localhost/b", "/c": "http://elsewhere/b"}
        if call.raw_path in places:
            return Whole(301, {"Location": places[call.raw_path]})
        return Whole(200, {}, b"{}")

    async with CouchDB(Host(route)) as couchdb:
        assert (await couchdb.request("GET", "/a")).status == 200
        with pytest.raises(Exception, match="elsewhere"):
            await couchdb.request("GET", "/c")


async def test_an_answer_that_was_cut_raises_though_its_route_has_ended() -> None:
    async def route(call: Any) -> None:
        out = await call.begin(200, {"Content-Type": "text/plain"})
        await out.write(b"all of it")
        await out.write_eof()

    async with (
        CouchDB(Host(route), retry=None) as couchdb,
        couchdb.remote.stream("GET", "/") as stream,
    ):
        for _ in range(10):
            await asyncio.sleep(0)  # the route ends meanwhile
        stream.cut("that is enough")
        assert await stream.chunk() == b"all of it"
        with pytest.raises(TransportError, match="enough"):
            await stream.chunk()
