"""Many listeners at once: each gets every change once and in order, however slowly it reads."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from aiocouch.embedded.feeds.feed import Patience, Waiting
from tests.unit.embedded.server_client import ServerClient

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

PLAIN = "feed=continuous&since=now&heartbeat=60000"
EVENTS = "feed=eventsource&since=now&heartbeat=60000"
SPECIAL = PLAIN + "&include_docs=true"
LISTENERS = 30


@pytest.fixture(params=["memory", "folder"])
async def client(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[ServerClient]:
    async with ServerClient(tmp_path if request.param == "folder" else None) as client:
        await client("PUT", "/db")
        yield client


class Listener:
    """A feed read from a plain socket, as fast as the test wants."""

    def __init__(self, reader: asyncio.StreamReader) -> None:
        self._reader = reader

    async def row(self) -> Any:
        """Read the next row."""
        while True:
            line = (await self._reader.readline()).removeprefix(b"data: ")
            assert line, "the feed has ended"
            if line.startswith(b'{"'):
                return msgspec.json.decode(line)

    async def rows(self, last_id: str) -> list[Any]:
        """Read rows up to the one of a document."""
        rows = [await self.row()]
        while rows[-1]["id"] != last_id:
            rows.append(await self.row())
        return rows

    async def beat(self) -> None:
        """Wait for a sign of life."""
        while await self._reader.readline() != b"\n":
            pass

    async def rest(self) -> bytes:
        """Read until the end of the answer."""
        return await self._reader.readuntil(b"\r\n0\r\n\r\n")


@contextlib.asynccontextmanager
async def listening(
    client: ServerClient, query: str, version: str = "1.1"
) -> AsyncIterator[Listener]:
    host, port = client.embedded.url.removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    head = f"GET /db/_changes?{query} HTTP/{version}\r\nHost: x\r\n"
    writer.write(f"{head}Authorization: Basic YWRtaW46YWRtaW4=\r\n\r\n".encode())
    await reader.readuntil(b"\r\n\r\n")
    try:
        yield Listener(reader)
    finally:
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()


@pytest.mark.parametrize(
    ("query", "version"), [(PLAIN, "1.1"), (PLAIN, "1.0"), (EVENTS, "1.1"), (SPECIAL, "1.1")]
)
async def test_every_listener_gets_every_change_once_and_in_order(
    client: ServerClient, query: str, version: str
) -> None:
    async with contextlib.AsyncExitStack() as stack:
        listeners = [
            await stack.enter_async_context(listening(client, query, version))
            for _ in range(LISTENERS)
        ]
        wanted = [f"d{number:02}" for number in range(40)]
        readers = [asyncio.create_task(listener.rows("end")) for listener in listeners]
        await asyncio.gather(*(client("PUT", f"/db/{name}", {}) for name in wanted))
        await client("PUT", "/db/end", {})
        stored = (await client("GET", "/db/_changes")).json["results"]
        for rows in await asyncio.gather(*readers):
            assert [{**row, "doc": None} for row in rows] == [
                {**row, "doc": None} for row in stored
            ]


async def test_more_changes_at_once_than_are_shared_come_all_the_same(client: ServerClient) -> None:
    async with listening(client, PLAIN) as listener:
        docs = [{"_id": f"{number:04}"} for number in range(450)]
        await client("POST", "/db/_bulk_docs", {"docs": docs})
        rows = await listener.rows("0449")
    assert [row["id"] for row in rows] == [doc["_id"] for doc in docs]


async def test_a_listener_that_does_not_read_holds_up_nobody_and_misses_nothing(
    client: ServerClient,
) -> None:
    # more than all buffers on the way hold
    wanted = [f"{number:05}" + "x" * 3000 for number in range(4000)]
    async with listening(client, PLAIN) as slow, listening(client, PLAIN) as quick:
        reading = asyncio.create_task(quick.rows("end"))
        for start in range(0, len(wanted), 50):
            docs = [{"_id": doc_id} for doc_id in wanted[start : start + 50]]
            await client("POST", "/db/_bulk_docs", {"docs": docs})
        await client("PUT", "/db/end", {})
        assert [row["id"] for row in await reading] == [*wanted, "end"]
        assert [row["id"] for row in await slow.rows("end")] == [*wanted, "end"]


async def test_what_is_purged_moves_the_feed_on(client: ServerClient) -> None:
    await client("PUT", "/db/a", {})
    rev = (await client("GET", "/db/a")).json["_rev"]
    async with listening(client, PLAIN) as listener:
        await client("POST", "/db/_purge", {"a": [rev]})
        await client("PUT", "/db/b", {})
        row = await listener.row()
        assert (row["id"], row["seq"].partition("-")[0]) == ("b", "3")


async def test_a_shared_feed_ends_with_its_database(client: ServerClient) -> None:
    async with listening(client, PLAIN) as listener:
        await client("PUT", "/db/a", {})
        await listener.row()
        await client("DELETE", "/db")
        assert b'"last_seq":"1-' in await listener.rest()


async def test_a_client_that_hangs_up_is_forgotten(client: ServerClient) -> None:
    async with listening(client, PLAIN) as stays:
        async with listening(client, PLAIN) as goes:
            await client("PUT", "/db/a", {})
            await goes.row()
        await client("PUT", "/db/b", {})
        assert [row["id"] for row in await stays.rows("b")] == ["a", "b"]
    database = client.embedded.server.databases.open("db")
    assert database is not None
    while database.visitors:
        await client("GET", "/")


async def test_news_that_wake_nobody_make_a_feed_wait_longer() -> None:
    """A feed without heartbeats ends when nothing has come for so long, not before."""
    loop = asyncio.get_running_loop()
    asked: list[float] = []

    async def never() -> bool:
        await asyncio.Event().wait()
        return True

    async def no_beat() -> None:
        raise AssertionError

    def latest() -> float:
        asked.append(loop.time())
        return loop.time() if len(asked) < 3 else 0.0

    assert await Waiting().for_news(never, Patience(0.01), no_beat, latest) is False
    assert len(asked) == 3
