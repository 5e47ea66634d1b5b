"""The journal of what happens to databases, and the feeds that tell it."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import msgspec
import pytest

from aiocouch.embedded.db_updates import DatabaseUpdates, descending
from aiocouch.embedded.db_updates import Update as Event
from aiocouch.embedded.store.edits import NewRevision, store
from aiocouch.embedded.store.registry import Databases
from tests.unit.embedded.server_client import ServerClient

if TYPE_CHECKING:
    from aiocouch.embedded.store.database import Database


async def touch(database: Database, doc_id: str) -> None:
    """Write a document."""
    revision = NewRevision(doc_id, ((1, bytes(16)),), False, b"{}")
    await database.write(lambda connection: store(database, connection, revision))


async def test_each_kind_of_event_is_kept_once() -> None:
    databases = Databases(None)
    updates = DatabaseUpdates(databases)
    a, b = databases.create("a"), databases.create("b")
    for database, doc_id in ((a, "x"), (b, "x"), (a, "y")):
        await touch(database, doc_id)
    assert updates.since(0) == [
        Event(1, "a", "created"),
        Event(2, "b", "created"),
        Event(4, "b", "updated"),
        Event(5, "a", "updated"),
    ]
    assert updates.since(4) == [Event(5, "a", "updated")]
    assert [item.seq for item in descending(updates.since(0))] == [5, 4, 2, 1]
    await databases.close()


async def test_waiting_ends_with_the_next_event() -> None:
    databases = Databases(None)
    updates = DatabaseUpdates(databases)
    waiter = asyncio.create_task(updates.changed_since(updates.seq))
    await asyncio.sleep(0)
    assert not waiter.done()
    databases.create("a")
    assert await waiter is True
    updates.close()
    databases.create("b")
    assert updates.seq == 1


def rows(body: bytes) -> list[tuple[str, str]]:
    return [(row["db_name"], row["type"]) for row in msgspec.json.decode(body)["results"]]


async def test_the_normal_feed() -> None:
    async with ServerClient() as client:
        await client("PUT", "/a")
        await client("PUT", "/a/doc", {})
        await client("DELETE", "/a")
        answer = await client("GET", "/_db_updates")
        assert rows(answer.body)[-3:] == [("a", "created"), ("a", "updated"), ("a", "deleted")]
        limited = (await client("GET", "/_db_updates?descending=true&limit=1")).json
        assert [row["type"] for row in limited["results"]] == ["deleted"]
        since = limited["last_seq"]
        assert rows((await client("GET", f"/_db_updates?since={since}")).body) == []
        again = await client("GET", "/_db_updates", If_None_Match=answer.headers["ETag"])
        assert again.status == 304


async def test_the_other_feeds() -> None:
    async with ServerClient() as client:
        waiting = asyncio.create_task(client("GET", "/_db_updates?feed=longpoll&since=now"))
        await client("GET", "/")
        await client("PUT", "/b")
        assert rows((await waiting).body) == [("b", "created")]
        lines = await client("GET", "/_db_updates?feed=continuous&limit=1&timeout=1")
        first, last = lines.body.splitlines()
        assert b'"db_name"' in first
        assert set(msgspec.json.decode(last)) == {"last_seq"}
        events = await client("GET", "/_db_updates?feed=eventsource&limit=1&timeout=1")
        assert events.headers["Content-Type"] == "text/event-stream"
        assert events.body.startswith(b"data: {")


BAD = ["feed=x", "feed=", "since=5", "since=x", "since=%22now%22", "timeout=x", "timeout=-1"]


@pytest.mark.parametrize("query", [*BAD, "limit=x", "limit=-1", "heartbeat=x", "heartbeat=-1"])
async def test_what_is_refused(query: str) -> None:
    async with ServerClient() as client:
        assert (await client("GET", f"/_db_updates?{query}")).status == 400
        assert (await client("GET", "/_db_updates", auth=None)).status == 401


@pytest.mark.parametrize("heartbeat", ["0", "false", "true", "1000"])
async def test_heartbeats(heartbeat: str) -> None:
    async with ServerClient() as client:
        path = f"/_db_updates?feed=longpoll&timeout=1&limit=1&heartbeat={heartbeat}"
        assert rows((await client("GET", path)).body) == [("_users", "created")]
