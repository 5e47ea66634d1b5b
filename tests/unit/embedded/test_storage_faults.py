"""What goes wrong below the store: no space, damaged files, no locks, writers that are stopped."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import fcntl
import sqlite3
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import pytest

from aiocouch.embedded.documents.attachment import Compression
from aiocouch.embedded.documents.edits import read_edit
from aiocouch.embedded.errors import CouchError
from aiocouch.embedded.identity import SYSTEM
from aiocouch.embedded.node.config import Configuration
from aiocouch.embedded.state import Server
from aiocouch.embedded.store.faults import StorageError, explained, sync_folder
from aiocouch.embedded.store.registry import Databases, FolderInUseError
from tests.unit.embedded.server_client import ServerClient

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from aiocouch.embedded.store.database import Database
    from aiocouch.embedded.views.index import Index

FULL = (507, "insufficient_storage")


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[Server]:
    server = Server(tmp_path)
    yield server
    await server.close()


@pytest.fixture(params=["memory", "folder"])
async def client(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[ServerClient]:
    async with ServerClient(tmp_path if request.param == "folder" else None) as client:
        yield client


async def put(server: Server, database: Database, doc_id: str) -> str:
    update = server.update(database, SYSTEM)
    return (await update.write(read_edit({"_id": doc_id}, Compression()))).rev


def allow_pages(database: Database, number: int) -> None:
    """Let the file grow no further, as on a full disk; -1 gives back what there was."""
    database.writer.connection.execute(f"PRAGMA max_page_count = {number}")


async def opened(client: ServerClient, name: str) -> Database:
    assert (await client("PUT", f"/{name}")).status == 201
    database = client.embedded.server.databases.open(name)
    assert database is not None
    return database


# no space


async def test_a_write_without_space_is_told_so_and_later_ones_work(client: ServerClient) -> None:
    database = await opened(client, "db")
    await client("PUT", "/db/kept", {"n": 1})
    big = {"_id": "big", "text": "x" * 200_000}
    allow_pages(database, 30)
    requests = [
        ("PUT", "/db/big", big),
        ("POST", "/db/_bulk_docs", {"docs": [{"_id": "a"}, big, {"_id": "b"}]}),
    ]
    for request in requests:
        answer = await client(*request)
        assert (answer.status, answer.json["error"]) == FULL
        assert answer.json["reason"] == "There is no space left: nothing was written."
    put_large = await client("PUT", "/db/d/x", data=b"x" * 900_000, Content_Type="x/y")
    assert (put_large.status, put_large.json["error"]) == FULL
    assert (await client("GET", "/db/a")).status == 404
    info = (await client("GET", "/db")).json
    assert (info["doc_count"], info["update_seq"].partition("-")[0]) == (1, "1")
    allow_pages(database, 100_000)
    assert (await client("PUT", "/db/big", big)).status == 201
    rows = (await client("GET", "/db/_changes")).json["results"]
    assert [row["id"] for row in rows] == ["kept", "big"]


async def test_writes_that_share_a_transaction_share_its_failure_and_no_other(
    client: ServerClient,
) -> None:
    database = await opened(client, "db")
    allow_pages(database, 30)
    wanted = {f"d{number}": {"text": "x" * 30_000} for number in range(20)}
    answers = await asyncio.gather(
        *(client("PUT", f"/db/{name}", body) for name, body in wanted.items())
    )
    assert {answer.status for answer in answers} == {201, 507}
    for name, answer in zip(wanted, answers, strict=True):
        found = await client("GET", f"/db/{name}")
        assert found.status == (200 if answer.status == 201 else 404)
    count = sum(answer.status == 201 for answer in answers)
    assert (await client("GET", "/db")).json["doc_count"] == count


async def test_settings_on_a_full_disk_stay_what_they_were(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    before = server.config.sections()
    monkeypatch.setattr("os.fsync", fail)
    with pytest.raises(OSError, match="No space left") as caught:
        server.config.put("log", "level", "debug")
    told = explained(caught.value)
    assert isinstance(told, CouchError)
    assert (told.status, told.error) == FULL
    with pytest.raises(OSError, match="No space left"):
        server.config.delete("couchdb", "uuid")
    monkeypatch.undo()
    assert server.config.sections() == before


@pytest.mark.parametrize("number", [errno.EINVAL, errno.ENOSPC])
def test_a_file_system_that_cannot_sync_folders_is_good_enough(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    def fail(*_: object) -> None:
        raise OSError(number, "no")

    monkeypatch.setattr("os.fsync", fail)
    with contextlib.nullcontext() if number == errno.EINVAL else pytest.raises(OSError, match="no"):
        sync_folder(tmp_path)


# files that cannot be read


async def test_a_damaged_database_is_told_so_and_harms_no_other(tmp_path: Path) -> None:
    async with ServerClient(tmp_path) as client:
        for name in ("a", "b"):
            await client("PUT", f"/{name}")
    file = tmp_path / "databases" / "a" / "database.sqlite"
    file.write_bytes(b"no database at all" * 1000)
    async with ServerClient(tmp_path) as client:
        for method, path in [("GET", "/a"), ("PUT", "/a/d"), ("GET", "/a/_all_docs")]:
            answer = await client(method, path, {} if method == "PUT" else None)
            assert (answer.status, answer.json["error"]) == (500, "damaged_database")
            assert answer.json["reason"] == (
                "The database 'a' is damaged (file is not a database)."
            )
        assert (await client("PUT", "/b/d", {})).status == 201
        infos = (await client("POST", "/_dbs_info", {"keys": ["a", "b"]})).json
        assert infos[0] == {"key": "a", "error": "damaged_database"}
        assert infos[1]["info"]["doc_count"] == 1
    assert file.read_bytes()[:18] == b"no database at all"


async def test_pages_that_are_damaged_are_told_when_they_are_read(tmp_path: Path) -> None:
    async with ServerClient(tmp_path) as client:
        await client("PUT", "/a")
        docs = [{"_id": f"{number:04}", "text": "x" * 900} for number in range(400)]
        await client("POST", "/a/_bulk_docs", {"docs": docs})
    file = tmp_path / "databases" / "a" / "database.sqlite"
    data = file.read_bytes()
    file.write_bytes(data[:60_000] + b"\x7f" * 200_000 + data[260_000:])
    async with ServerClient(tmp_path) as client:
        statuses = set()
        for number in range(0, 400, 10):
            answer = await client("GET", f"/a/{number:04}")
            statuses.add(answer.status)
            if answer.status != 200:
                assert answer.json["error"] == "damaged_database"
        assert 500 in statuses


async def test_a_file_of_settings_that_is_no_text_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "local.ini"
    path.write_bytes(b"[a]\nb = \xff\n")
    with pytest.raises(StorageError, match=r"local.ini is not UTF-8 text"):
        Configuration(path)


# locks, and closing


async def test_a_file_system_without_locks_is_not_called_in_use(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "flock", fail)
    with pytest.raises(StorageError, match=r"cannot be locked \(No locks available\)"):
        Databases(tmp_path)
    monkeypatch.undo()
    await Databases(tmp_path).close()


async def test_the_lock_is_released_when_a_server_cannot_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise PermissionError

    with monkeypatch.context() as patch:
        patch.setattr(Path, "iterdir", fail)
        with pytest.raises(PermissionError):
            Databases(tmp_path)
    with monkeypatch.context() as patch:
        patch.setattr(Configuration, "put", fail)
        with pytest.raises(PermissionError):
            Server(tmp_path)
    await Databases(tmp_path).close()


async def test_one_database_that_cannot_be_closed_keeps_no_other_open(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    databases = Databases(tmp_path)
    first, second = databases.create("first"), databases.create("second")

    async def fail() -> None:
        raise OSError("no")

    with monkeypatch.context() as patch:
        patch.setattr(first, "close", fail)
        await databases.close()
    assert second.closed
    assert "<Database 'first'> could not be closed" in caplog.text
    await first.close()
    await Databases(tmp_path).close()


async def test_a_database_that_cannot_be_removed_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise PermissionError

    databases = Databases(tmp_path)
    databases.create("a")
    with monkeypatch.context() as patch:
        patch.setattr(Path, "rename", fail)
        with pytest.raises(PermissionError):
            await databases.delete("a")
    found = databases.open("a")
    assert found is not None
    await found.set_revs_limit(7)
    assert databases.names() == ["a"]
    await databases.close()


async def test_a_resting_database_that_is_deleted_opens_no_files_of_the_next_one(
    tmp_path: Path,
) -> None:
    databases = Databases(tmp_path)
    old = databases.create("a")
    assert old.rest()
    deleting = asyncio.create_task(databases.delete("a"))
    await asyncio.sleep(0)
    databases.create("a")
    with pytest.raises(sqlite3.ProgrammingError, match="is closed"):
        old.get("d")
    with pytest.raises(sqlite3.ProgrammingError, match="is closed"):
        await old.set_revs_limit(1)
    await deleting
    await databases.close()


async def test_a_folder_is_locked_by_one_and_the_other_is_told_so(tmp_path: Path) -> None:
    databases = Databases(tmp_path)
    with pytest.raises(FolderInUseError):
        Databases(tmp_path)
    await databases.close()


# those who wait


async def test_a_write_after_the_end_is_refused(tmp_path: Path) -> None:
    server = Server(tmp_path)
    database = server.databases.create("db")
    await server.close()
    with pytest.raises(sqlite3.ProgrammingError):
        await asyncio.wait_for(put(server, database, "late"), 20)


@pytest.mark.parametrize("turns", range(12))
async def test_nobody_waits_for_ever_when_the_writer_is_cancelled(
    server: Server, turns: int
) -> None:
    database = server.databases.create("db")
    known = asyncio.all_tasks()
    writes = [asyncio.create_task(put(server, database, f"d{number}")) for number in range(30)]
    for _ in range(turns):
        await asyncio.sleep(0)
    for task in asyncio.all_tasks() - known - {*writes}:
        task.cancel()
    done = await asyncio.wait_for(asyncio.gather(*writes, return_exceptions=True), 20)
    stored = [outcome for outcome in done if isinstance(outcome, str)]
    assert database.doc_count == len(stored) == 30
    await put(server, database, "later")


async def test_a_commit_is_waited_for_though_all_is_cancelled(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As when a program ends: asyncio cancels all tasks there are, twice here."""
    server = Server(tmp_path)
    database = server.databases.create("db")
    committing, go_on = threading.Event(), threading.Event()
    before = database.before_commit

    def held_up() -> None:
        committing.set()
        assert go_on.wait(20)
        before()

    monkeypatch.setattr(database, "before_commit", held_up)
    known = asyncio.all_tasks()
    asked = asyncio.create_task(put(server, database, "d"))
    await asyncio.to_thread(committing.wait, 20)
    tasks = asyncio.all_tasks() - known
    for _ in range(2):
        for task in tasks:
            task.cancel()
        await asyncio.sleep(0)
    go_on.set()
    with contextlib.suppress(asyncio.CancelledError):
        await asked
    monkeypatch.undo()
    assert await put(server, database, "next")
    assert database.doc_count == 2
    await server.close()


async def test_a_setting_is_the_same_on_disk_and_in_memory_whoever_hung_up(
    server: Server, tmp_path: Path
) -> None:
    database = server.databases.create("db")
    for turns in range(8):
        asked = asyncio.create_task(database.set_revs_limit(turns + 5))
        for _ in range(turns):
            await asyncio.sleep(0)
        asked.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await asked
        await database.writer.wait()
        await asyncio.sleep(0)
        query = "SELECT value FROM meta WHERE key = 'revs_limit'"
        assert database.reader.execute(query).fetchone() == (str(database.revs_limit),)


async def test_a_checkpoint_goes_on_though_nobody_waits_for_it(server: Server) -> None:
    database = server.databases.create("db")
    await put(server, database, "a")
    working, go_on, over = threading.Event(), threading.Event(), threading.Event()

    def work(_: sqlite3.Connection) -> None:
        working.set()
        assert go_on.wait(20)
        over.set()

    asked = asyncio.create_task(database.writer.pause(work))
    await asyncio.to_thread(working.wait, 20)
    asked.cancel()
    writing = asyncio.create_task(put(server, database, "b"))
    for _ in range(10):
        await asyncio.sleep(0)
    assert not over.is_set()
    # no transaction has begun: the connection is in use
    assert not database.writer.connection.in_transaction
    go_on.set()
    await writing
    assert database.doc_count == 2


async def test_what_a_listener_does_harms_nobody_who_writes(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    database = server.databases.create("db")

    def fail() -> None:
        raise RuntimeError("after the commit")

    monkeypatch.setattr(database, "after_commit", fail)
    known = asyncio.all_tasks()
    assert await asyncio.wait_for(put(server, database, "a"), 20)
    for task in asyncio.all_tasks() - known:
        with pytest.raises(RuntimeError, match="after the commit"):
            await task
    monkeypatch.undo()


@pytest.mark.parametrize("part", ["replicator", "peruser", "auth"])
async def test_what_fails_at_the_end_keeps_no_folder_locked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, part: str
) -> None:
    client = ServerClient(tmp_path)
    await client.__aenter__()
    await client("PUT", "/db")

    def fail() -> None:
        raise RuntimeError("at the end")

    with monkeypatch.context() as patch:
        patch.setattr(getattr(client.embedded.server, part), "close", fail)
        with pytest.raises(RuntimeError, match="at the end"):
            await client.__aexit__(None, None, None)
    async with ServerClient(tmp_path) as again:
        assert (await again("GET", "/db")).status == 200


# indexes


VIEW = {"views": {"v": {"map": "function (doc) { emit(doc._id, doc.text); }"}}}


class FailsToCommit:
    """A connection on a disk that is full when a transaction ends."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def __getattr__(self, name: str) -> Any:
        return getattr(self._connection, name)

    def execute(self, statement: str, *values: Any) -> sqlite3.Cursor:
        if statement == "COMMIT":
            raise OSError(errno.ENOSPC, "No space left on device")
        return self._connection.execute(statement, *values)


async def view_with(client: ServerClient, count: int) -> tuple[Index, str]:
    """Write documents and build a view over them; give its index and its path."""
    database = await opened(client, "db")
    await client("PUT", "/db/_design/d", VIEW)
    docs = [{"_id": f"{number:04}", "text": "x" * 3000} for number in range(count)]
    await client("POST", "/db/_bulk_docs", {"docs": docs[:10]})
    assert (await client("GET", "/db/_design/d/_view/v")).json["total_rows"] == 10
    indexes = client.embedded.server.indexes
    design = database.get("_design/d")
    assert design is not None
    index = indexes.find(database, indexes.definition(database, design).signature)
    assert index is not None
    await client("POST", "/db/_bulk_docs", {"docs": docs[10:]})
    return index, "/db/_design/d/_view/v?limit=0"


async def test_an_index_without_space_is_told_so_and_built_later(client: ServerClient) -> None:
    index, path = await view_with(client, 300)
    index.tables.connection.execute("PRAGMA max_page_count = 60")
    for _ in range(2):
        answer = await client("GET", path)
        assert (answer.status, answer.json["error"]) == FULL
    index.tables.connection.execute("PRAGMA max_page_count = 100000")
    assert (await client("GET", path)).json["total_rows"] == 300


async def test_an_index_whose_commit_failed_is_built_later(client: ServerClient) -> None:
    index, path = await view_with(client, 50)
    connection = index.tables.connection
    index.tables.connection = cast("sqlite3.Connection", FailsToCommit(connection))
    for _ in range(2):
        answer = await client("GET", path)
        assert (answer.status, answer.json["error"]) == FULL
    index.tables.connection = connection
    assert (await client("GET", path)).json["total_rows"] == 50


# those who hang up


@pytest.mark.parametrize("turns", range(0, 40, 3))
async def test_a_bulk_write_that_is_cut_short_leaves_whole_documents(
    server: Server, turns: int
) -> None:
    database = server.databases.create("db")
    edits = [
        read_edit({"_id": f"{number:04}", "n": number}, Compression()) for number in range(1200)
    ]
    writing = asyncio.create_task(server.update(database, SYSTEM).run(edits))
    for _ in range(turns):
        await asyncio.sleep(0)
    writing.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await writing
    await database.writer.wait()
    await put(server, database, "after")
    entries = database.changes(0, database.update_seq, 2000)
    assert len(entries) == database.doc_count == database.update_seq
    assert [entry.seq for entry in entries] == [*range(1, len(entries) + 1)]
    assert all(entry.body == b'{"n":%d}' % int(entry.id) for entry in entries[:-1])
    total = database.reader.execute("SELECT sum(length(body)) FROM docs").fetchone()
    assert total == (database.sizes()["external"],)


# other programs


async def test_a_lock_of_another_program_holds_up_writes_and_nothing_else(
    server: Server, tmp_path: Path
) -> None:
    database = server.databases.create("db")
    await put(server, database, "a")
    path = tmp_path / "databases" / "db" / "database.sqlite"
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        writing = asyncio.create_task(put(server, database, "b"))
        loop = asyncio.get_running_loop()
        begun = loop.time()
        await asyncio.wait([writing], timeout=0.05)
        assert loop.time() - begun < 5
        assert not writing.done()
        assert database.get("a") is not None
        other.execute("ROLLBACK")
        assert await writing
    assert database.doc_count == 2
