"""`database.sync`: devices with databases of their own, and a server that comes and goes."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Any

import pytest

from aiocouch import CouchDB, Database, InvalidInputError, InvalidTypeError, NotFoundError
from aiocouch.embedded import EmbeddedCouchDB
from aiocouch.exception import CouchDBError, TransportError, UnauthorizedError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path

    from aiocouch.replication import Sync

SETTINGS = {"chttpd_auth": {"iterations": "10"}}


@pytest.fixture
async def device() -> AsyncIterator[Callable[[], Any]]:
    """Make a database on a device of its own."""
    async with AsyncExitStack() as stack:

        async def make() -> Database:
            couchdb = EmbeddedCouchDB(settings=SETTINGS).connect()
            await stack.enter_async_context(couchdb)
            return await couchdb.create("notes")

        yield make


@pytest.fixture
async def server() -> AsyncIterator[EmbeddedCouchDB]:
    """A server with a database for all devices."""
    async with EmbeddedCouchDB(settings=SETTINGS) as server, server.connect() as couchdb:
        await couchdb.create("shared")
        yield server


def url_of(server: EmbeddedCouchDB) -> str:
    return f"{server.url_with_credentials}/shared"


async def write(db: Database, id: str, **content: Any) -> None:
    doc = await db.create(id, exists_ok=True)
    doc.update(content)
    await doc.save()


async def state_of(db: Database) -> dict[str, set[str]]:
    """Return all leaves."""
    rows = await db.couchdb.request("GET", f"{db.endpoint}/_changes?style=all_docs")
    return {row["id"]: {one["rev"] for one in row["changes"]} for row in rows.json()["results"]}


async def until(sync: Sync, wanted: str) -> asyncio.Task[Any]:
    """Let it run until it is in a state; return the task."""
    reached = asyncio.Event()

    async def run() -> None:
        async for progress in sync:
            if progress.state == wanted:
                reached.set()

    task = asyncio.ensure_future(run())
    waiting = asyncio.ensure_future(reached.wait())
    await asyncio.wait([task, waiting], return_when=asyncio.FIRST_COMPLETED)
    waiting.cancel()
    if task.done():
        await task
    return task


async def has(db: Database, id: str) -> None:
    """Wait until a document is there."""
    async for change in db.changes(feed="continuous", since="0", doc_ids=[id]):
        assert change.id == id
        return


async def test_both_become_equal(device: Any, server: EmbeddedCouchDB) -> None:
    one, other = await device(), await device()
    await write(one, "a", text="of one")
    await write(other, "b", text="of the other")
    for db in (one, other, one):
        done = await db.sync(url_of(server))
        assert done.push is not None
        assert done.pull is not None
    assert await state_of(one) == await state_of(other)
    assert set(await state_of(one)) == {"a", "b"}
    await one.sync(url_of(server))  # looks at what it has pulled
    again = await one.sync(url_of(server))
    assert again.push is not None
    assert again.push.missing_checked == 0


async def test_edits_on_two_devices_are_conflicts(device: Any, server: EmbeddedCouchDB) -> None:
    one, other = await device(), await device()
    await write(one, "a", text="first")
    for db in (one, other):
        await db.sync(url_of(server))
    await write(one, "a", text="of one")
    await write(other, "a", text="of the other")
    for db in (one, other, one):
        await db.sync(url_of(server))
    found = [conflict async for conflict in one.conflicts()]
    assert [conflict.id for conflict in found] == ["a"]
    assert found == [conflict async for conflict in other.conflicts()]


async def test_a_live_one_goes_on(device: Any, server: EmbeddedCouchDB) -> None:
    one, other = await device(), await device()
    syncs = [db.sync(url_of(server), live=True) for db in (one, other)]
    tasks = [await until(sync, "idle") for sync in syncs]
    await write(one, "a", text="now")
    await asyncio.wait_for(has(other, "a"), 30)
    await write(other, "b", text="later")
    await asyncio.wait_for(has(one, "b"), 30)
    for sync, task in zip(syncs, tasks, strict=True):
        sync.stop()
        await task
        assert sync.state == "ended"
        assert sync.result is not None
        assert sync.result.push is not None
        assert sync.result.push.docs_written >= 1


async def test_it_waits_for_a_server_that_is_away(device: Any, tmp_path: Path) -> None:
    db = await device()
    await write(db, "a", text="offline")
    async with EmbeddedCouchDB(tmp_path, settings=SETTINGS) as server:
        port = int(server.url.rpartition(":")[2])
        url = url_of(server)
    sync = db.sync(url, live=True, push={"create_target": True})
    task = await until(sync, "away")
    assert isinstance(sync.progress.error, TransportError)
    async with EmbeddedCouchDB(tmp_path, port=port, settings=SETTINGS) as server:
        async with server.connect() as couchdb:
            shared = await couchdb.create("shared", exists_ok=True)
            await asyncio.wait_for(has(shared, "a"), 60)
            while sync.state != "idle":
                await asyncio.wait_for(_news(sync), 60)
        assert sync.progress.error is None
    while sync.state != "away":
        await asyncio.wait_for(_news(sync), 60)
    sync.stop()
    await asyncio.wait_for(task, 10)
    assert sync.result is not None


async def test_it_is_stopped_at_once_while_the_server_is_away(device: Any, tmp_path: Path) -> None:
    """No checkpoint is tried there, again and again; the next sync goes on from the last one."""
    db = await device()
    await write(db, "a", text="offline")
    async with EmbeddedCouchDB(tmp_path, settings=SETTINGS) as server:
        port, url = int(server.url.rpartition(":")[2]), url_of(server)
        sync = db.sync(url, live=True, push={"create_target": True})
        task = await until(sync, "idle")
    while sync.state != "away":
        await asyncio.wait_for(_news(sync), 60)
    sync.stop()
    await asyncio.wait_for(task, 2)
    assert sync.state == "ended"
    assert sync.result is not None
    assert sync.result.push is not None
    assert sync.result.push.docs_written == 1
    await write(db, "b", text="later")
    async with EmbeddedCouchDB(tmp_path, port=port, settings=SETTINGS):
        done = await db.sync(url)
        assert done.push is not None
        assert done.push.docs_written == 1


async def _news(sync: Sync) -> None:
    """Wait a moment: the loop over the sync is in another task."""
    before = sync.progress
    for _ in range(100):
        await asyncio.sleep(0.01)
        if sync.progress != before:
            return


async def test_one_direction_and_filters(device: Any, server: EmbeddedCouchDB) -> None:
    one = await device()
    await write(one, "mine", kind="note")
    async with server.connect() as couchdb:
        shared = await couchdb["shared"]
        await write(shared, "note", kind="note")
        await write(shared, "secret", kind="diary")
        done = await one.sync(url_of(server), push=False, pull={"selector": {"kind": "note"}})
        assert done.push is None
        assert set(await state_of(one)) == {"mine", "note"}
        assert "mine" not in await state_of(shared)
        await one.sync(shared, pull=False, doc_ids=["mine"])
        assert "mine" in await state_of(shared)
        await shared.create("still", exists_ok=True)  # the session of a database stays open


async def test_what_does_not_pass_is_raised(device: Any, server: EmbeddedCouchDB) -> None:
    one = await device()
    with pytest.raises(NotFoundError):
        await one.sync(url_of(server) + "-elsewhere", live=True)
    with pytest.raises((UnauthorizedError, CouchDBError)) as caught:
        await one.sync(f"{server.url}/shared", user="admin", password="hidden", live=True)
    assert caught.value.status == 401
    assert "hidden" not in f"{caught.value} {caught.value!r}"


async def test_two_devices_with_the_same_path_have_checkpoints_of_their_own(
    server: EmbeddedCouchDB, tmp_path: Path
) -> None:
    """Their addresses are equal, as on two machines."""
    names = set()
    for machine in ("one", "other"):
        folder = tmp_path / "notes"
        async with CouchDB(f"embedded://{folder}") as couchdb:
            db = await couchdb.create("notes")
            sync = db.sync(url_of(server))
            done = await sync
            assert done.push is not None
            names.add(done.push.replication_id)
        folder.rename(tmp_path / machine)
    assert len(names) == 2


@pytest.mark.parametrize(
    "url", ["https://host", "https://user:hidden@host/", "notes", "https://host/db?q=1"]
)
async def test_urls_that_are_none_of_a_database(device: Any, url: str) -> None:
    db = await device()
    with pytest.raises(InvalidInputError) as caught:
        db.sync(url)
    assert "hidden" not in str(caught.value)


async def test_options_that_make_no_sense(device: Any) -> None:
    db, other = await device(), await device()
    wrong: list[dict[str, Any]] = [
        {"push": False, "pull": False},
        {"continuous": True},
        {"user": "anna"},
    ]
    for options in wrong:
        with pytest.raises(InvalidInputError):
            db.sync(other, **options)
    for options in ({"push": 7}, {"pull": {"live": True}}, {"alive": True}):
        with pytest.raises(InvalidTypeError):
            db.sync(other, **options)
    with pytest.raises(InvalidTypeError, match="must be a Database or a URL"):
        db.sync(7)
    assert "hidden" not in repr(db.sync("https://anna:hidden@host/notes"))
