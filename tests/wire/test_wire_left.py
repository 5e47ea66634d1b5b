"""A loop that is left ends its request there, whatever the garbage collector does."""

import asyncio
import gc
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import aiohttp
import pytest

from aiocouch import CouchDB, Database, SessionClosedError

Loop = Callable[[Database], AsyncIterator[Any]]
LOOPS: dict[str, Loop] = {
    "docs": lambda base: base.docs(),
    "values": lambda base: base.values(),
    "akeys": lambda base: base.akeys(),
    "find": lambda base: base.find({}),
    "view rows": lambda base: base.view("d", "v").rows(),
    "view keys": lambda base: base.view("d", "v").row_keys(),
    "view akeys": lambda base: base.view("d", "v").akeys(),
    "view items": lambda base: base.view("d", "v").aitems(),
    "view values": lambda base: base.view("d", "v").avalues(),
    "view docs": lambda base: base.view("d", "v").docs(),
    "changes": lambda base: base.changes(),
    "longpoll": lambda base: base.changes(feed="longpoll"),
    "continuous": lambda base: base.changes(feed="continuous"),
    "eventsource": lambda base: base.changes(feed="eventsource"),
    "find_values": lambda base: base.find_values({}, fields=["a"]),
}
EVENT = b'{"seq":"1-a","id":"a","changes":[{"rev":"1-a"}]}'
TIMES = {"break": 100, "return": 10, "raise": 10}


@pytest.fixture(autouse=True)
def no_collection() -> Iterator[None]:
    """Objects go when nothing holds them, and what holds itself stays."""
    gc.collect()
    gc.disable()
    yield
    gc.enable()


def beginning(name: str) -> bytes:
    if name == "continuous":
        return EVENT + b"\n"
    if name == "eventsource":
        return b"data: " + EVENT + b"\n"
    if name in ("changes", "longpoll"):
        return b'{"results":[\n' + EVENT + b",\n"
    if name in ("find", "find_values"):
        return b'{"docs":[\r\n{"_id":"a","_rev":"1-a"},\r\n'
    return b'{"total_rows":9,"offset":0,"rows":[\r\n{"id":"a","key":1,"value":1,"doc":' + (
        b'{"_id":"a","_rev":"1-a"}},\r\n'
    )


class Endless(asyncio.Protocol):
    """A connection whose answer begins, and never ends."""

    def __init__(self, server: "EndlessServer") -> None:
        self.server = server
        self.transport: asyncio.Transport | None = None
        self.asked = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        self.server.open += 1

    def data_received(self, data: bytes) -> None:
        self.asked += data
        if b"\r\n\r\n" in self.asked and self.transport is not None:
            self.asked = b""
            text = self.server.text
            self.transport.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
            self.transport.write(b"%x\r\n%b\r\n" % (len(text), text))

    def connection_lost(self, exc: Exception | None) -> None:
        self.server.open -= 1
        self.server.changed.set()


class EndlessServer:
    """Counts the connections that are open."""

    def __init__(self) -> None:
        self.url = ""
        self.open = 0
        self.text = b""
        self.changed = asyncio.Event()

    async def only(self, count: int) -> None:
        """Wait until no more connections than that are open."""
        while self.open > count:
            self.changed.clear()
            await self.changed.wait()


@pytest.fixture
async def server() -> AsyncIterator[EndlessServer]:
    endless = EndlessServer()
    listening = await asyncio.get_running_loop().create_server(
        lambda: Endless(endless), "127.0.0.1", 0
    )
    endless.url = f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}"
    yield endless
    listening.close()


@pytest.fixture
async def base(server: EndlessServer) -> AsyncIterator[Database]:
    async with CouchDB(server.url) as couchdb:
        yield Database(couchdb, "db")


async def leave_by_break(loop: AsyncIterator[Any]) -> None:
    async for _ in loop:
        break


async def leave_by_return(loop: AsyncIterator[Any]) -> Any:
    async for found in loop:
        return found
    return None


async def leave_by_error(loop: AsyncIterator[Any]) -> None:
    with pytest.raises(KeyError):
        await raising(loop)


async def raising(loop: AsyncIterator[Any]) -> None:
    async for _ in loop:
        raise KeyError


WAYS = {"break": leave_by_break, "return": leave_by_return, "raise": leave_by_error}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("name", LOOPS)
async def test_the_socket_is_closed(
    server: EndlessServer, base: Database, name: str, way: str
) -> None:
    server.text = beginning(name)
    async with asyncio.timeout(60):
        for _ in range(TIMES[way]):
            await WAYS[way](LOOPS[name](base))
        await server.only(0)


async def test_a_feed_that_is_kept_is_left_as_well(server: EndlessServer, base: Database) -> None:
    server.text = beginning("continuous")
    feeds = [base.changes(feed="continuous") for _ in range(10)]
    async with asyncio.timeout(60):
        for feed in feeds:
            await leave_by_break(aiter(feed))
        await server.only(0)
    assert [feed.last_sequence for feed in feeds] == [None] * 10  # it was in hand


async def test_a_feed_that_is_asked_by_hand_stays_until_it_is_closed(
    server: EndlessServer, base: Database
) -> None:
    server.text = beginning("continuous")
    feed = base.changes(feed="continuous")
    assert (await anext(feed)).id == "a"
    assert server.open == 1
    await feed.aclose()
    await server.only(0)
    assert [event async for event in feed] == []


async def test_closing_a_feed_after_its_loop_was_left(
    server: EndlessServer, base: Database
) -> None:
    server.text = beginning("continuous")
    feed = base.changes(feed="continuous")
    await leave_by_break(feed)
    await feed.aclose()
    await server.only(0)


async def test_a_feed_goes_on_behind_a_cancelled_wait(
    server: EndlessServer, base: Database
) -> None:
    server.text = beginning("continuous")
    feed = base.changes(feed="continuous")
    async with asyncio.timeout(60):
        assert (await anext(feed)).id == "a"
        waiting = asyncio.ensure_future(anext(feed))
        await asyncio.sleep(0)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        assert (await anext(feed)).id == "a"  # of a second request
        await feed.aclose()
        await server.only(0)


@pytest.mark.parametrize("name", LOOPS)
async def test_closing_the_session_ends_a_loop_that_waits(server: EndlessServer, name: str) -> None:
    server.text = beginning(name)
    session = CouchDB(server.url)
    loop = LOOPS[name](Database(session, "db"))
    await anext(loop)
    waiting = asyncio.ensure_future(anext(loop))
    await asyncio.sleep(0)
    async with asyncio.timeout(60):
        await session.close()
        with pytest.raises(SessionClosedError, match="the session was closed"):
            await waiting
        await server.only(0)


@pytest.mark.parametrize("name", LOOPS)
async def test_closing_the_session_ends_a_loop_that_is_elsewhere(
    server: EndlessServer, name: str
) -> None:
    server.text = beginning(name)
    async with CouchDB(server.url) as session, asyncio.timeout(60):
        loop = LOOPS[name](Database(session, "db"))
        await anext(loop)
        await session.close()
        with pytest.raises(SessionClosedError, match="the session was closed"):
            await anext(loop)


async def test_closing_the_session_ends_a_request_that_waits(server: EndlessServer) -> None:
    server.text = b'{"couchdb":'
    has_head = asyncio.Event()

    async def note(*_: object) -> None:
        has_head.set()

    trace = aiohttp.TraceConfig()
    trace.on_request_end.append(note)
    session = CouchDB(server.url, trace_configs=[trace])
    waiting = asyncio.ensure_future(session.info())
    async with asyncio.timeout(60):
        await has_head.wait()
        await session.close()
        with pytest.raises(SessionClosedError, match="GET /: the session was closed"):
            await waiting
