"""The journal of what happens to databases, and the feeds that tell it."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import msgspec
import pytest

from aiocouch.embedded.feeds.db_updates import DatabaseEvent as Event
from aiocouch.embedded.feeds.db_updates import DatabaseUpdates, descending
from aiocouch.embedded.store.new_revisions import NewRevision, store
from aiocouch.embedded.store.registry import Databases
from tests.unit.embedded.server_client import ServerClient

if TYPE_CHECKING:
    from pathlib import Path

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
    await databases.close()


async def events_of(databases: Databases) -> list[tuple[str, str]]:
    """Open the journal, close it, and give what it told in between."""
    updates = DatabaseUpdates(databases)
    found: list[tuple[str, str]] = [(item.database, item.kind) for item in updates.since(0)]
    updates.close()
    return found


async def test_events_outlive_the_server(tmp_path: Path) -> None:
    databases = Databases(tmp_path)
    updates = DatabaseUpdates(databases)
    await touch(databases.create("a"), "x")
    databases.create("b")
    await databases.delete("b")
    before = updates.since(0)
    updates.close()
    await databases.close()
    databases = Databases(tmp_path)
    updates = DatabaseUpdates(databases)
    assert updates.since(0) == before
    assert updates.seq == before[-1].seq
    updates.close()
    await databases.close()


async def test_events_of_a_process_that_dies_are_made_good(tmp_path: Path) -> None:
    databases = Databases(tmp_path)
    updates = DatabaseUpdates(databases)
    databases.create("a")
    databases.create("b")
    await databases.delete("b")
    last = updates.seq
    # nothing of that is in the file yet
    lost = DatabaseUpdates(databases)
    assert ("a", "updated") in [(item.database, item.kind) for item in lost.since(last)]
    lost.close()
    updates.close()
    await databases.close()


async def test_what_happened_to_the_folder_meanwhile(tmp_path: Path) -> None:
    databases = Databases(tmp_path)
    for name in ("a", "b"):
        databases.create(name)
    assert await events_of(databases) == [("a", "updated"), ("b", "updated")]
    await databases.delete("a")
    databases.create("c")
    again = [("a", "updated"), ("b", "updated"), ("c", "updated"), ("a", "deleted")]
    assert await events_of(databases) == again
    await databases.close()


async def test_a_journal_that_is_no_file_of_sqlite_stops_nobody(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    databases = Databases(tmp_path)
    databases.create("a")
    (tmp_path / "db_updates.sqlite").write_bytes(b"no database" * 1000)
    assert await events_of(databases) == [("a", "updated")]
    assert "cannot be read" in caplog.text
    await databases.close()


async def test_the_feed_goes_on_after_a_restart(tmp_path: Path) -> None:
    async with ServerClient(tmp_path) as client:
        await client("PUT", "/_global_changes")
        await client("PUT", "/a")
        since = (await client("GET", "/_db_updates")).json["last_seq"]
        await client("PUT", "/b")
    async with ServerClient(tmp_path) as client:
        answer = await client("GET", f"/_db_updates?since={since}")
        assert rows(answer.body) == [("b", "created")]


def rows(body: bytes) -> list[tuple[str, str]]:
    return [(row["db_name"], row["type"]) for row in msgspec.json.decode(body)["results"]]


async def test_the_normal_feed() -> None:
    async with ServerClient() as client:
        await client("PUT", "/_global_changes")
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
        await client("PUT", "/_global_changes")
        waiting = asyncio.create_task(client("GET", "/_db_updates?feed=longpoll&since=now"))
        made: list[str] = []
        while not waiting.done():  # nobody outside can tell when it has taken note of now
            made.append(f"b{len(made)}")
            await client("PUT", f"/{made[-1]}")
        assert rows((await waiting).body)[0] in [(name, "created") for name in made]
        lines = await client("GET", "/_db_updates?feed=continuous&limit=1&timeout=1")
        first, last, empty = lines.body.splitlines()
        assert not empty
        assert b'"db_name"' in first
        assert set(msgspec.json.decode(last)) == {"last_seq"}
        events = await client("GET", "/_db_updates?feed=eventsource&limit=1&timeout=1")
        assert events.headers["Content-Type"] == "text/event-stream"
        assert events.body.startswith(b"data: {")


BAD = ["feed=x", "feed=", "since=5", "since=x", "since=%22now%22", "timeout=x", "timeout=-1"]


@pytest.mark.parametrize("query", [*BAD, "limit=x", "limit=-1", "heartbeat=x", "heartbeat=-1"])
async def test_what_is_refused(query: str) -> None:
    async with ServerClient() as client:
        await client("PUT", "/_global_changes")
        assert (await client("GET", f"/_db_updates?{query}")).status == 400
        assert (await client("GET", "/_db_updates", auth=None)).status == 401


@pytest.mark.parametrize("heartbeat", ["0", "false", "true", "1000"])
async def test_heartbeats(heartbeat: str) -> None:
    async with ServerClient() as client:
        await client("PUT", "/_global_changes")
        path = f"/_db_updates?feed=longpoll&timeout=1&limit=1&heartbeat={heartbeat}"
        assert rows((await client("GET", path)).body) == [("_users", "created")]


@pytest.mark.parametrize("feed", ["normal", "longpoll", "continuous", "eventsource"])
async def test_without_its_database_there_is_no_feed(feed: str) -> None:
    async with ServerClient() as client:
        answer = await client("GET", f"/_db_updates?feed={feed}")
        assert answer.status == 404
        assert answer.json == {"error": "not_found", "reason": "Database does not exist."}
        assert (await client("GET", f"/_db_updates?feed={feed}&limit=x")).status == 400
        await client("PUT", "/_global_changes")
        assert (await client("GET", f"/_db_updates?feed={feed}&limit=1")).status == 200
        await client("DELETE", "/_global_changes")
        assert (await client("GET", f"/_db_updates?feed={feed}")).status == 404
