"""The store: databases by name, transactions, ranges, compaction, what survives a restart."""

from __future__ import annotations

import asyncio
import sqlite3
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest

from aiocouch._wire.revision import parse_revision
from aiocouch.embedded.documents.attachment import Compression
from aiocouch.embedded.documents.edits import read_edit
from aiocouch.embedded.errors import CouchError
from aiocouch.embedded.identity import SYSTEM
from aiocouch.embedded.state import Server
from aiocouch.embedded.store.compaction import compact
from aiocouch.embedded.store.purging import purge, purges
from aiocouch.embedded.store.registry import Databases, FolderInUseError
from aiocouch.embedded.store.spans import Span, entries, revs
from aiocouch.embedded.store.writer import Owner, Writer

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from aiocouch.embedded.store.database import Database
    from aiocouch.embedded.writing.update import Outcome

NAME = "some/db"


@pytest.fixture(params=["memory", "folder"])
async def server(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Server]:
    server = Server(tmp_path if request.param == "folder" else None)
    yield server
    await server.close()


@pytest.fixture
def database(server: Server) -> Database:
    return server.databases.create(NAME)


async def put(server: Server, doc_id: str, rev: str | None = None, **body: Any) -> Outcome:
    """Write one document into the database."""
    value = {"_id": doc_id, **body} if rev is None else {"_id": doc_id, "_rev": rev, **body}
    database = server.databases.open(NAME)
    assert database is not None
    return await server.update(database, SYSTEM).write(read_edit(value, Compression()))


def size(database: Database) -> int:
    """Give the bytes that the file of a database has."""
    return database.sizes()["file"]


# databases by name


def test_databases_are_made_once_and_listed_in_order(server: Server) -> None:
    for name in ("b", "a/b", "_users"):
        server.databases.create(name)
    assert server.databases.names() == ["_users", "a/b", "b"]
    with pytest.raises(CouchError) as caught:
        server.databases.create("b")
    assert (caught.value.status, caught.value.error) == (412, "file_exists")


@pytest.mark.parametrize("name", ["A", "1a", "_other", "a.b", "", "../a", "a b"])
def test_a_name_that_couchdb_refuses_is_refused(server: Server, name: str) -> None:
    with pytest.raises(CouchError) as caught:
        server.databases.create(name)
    assert (caught.value.status, caught.value.error) == (400, "illegal_database_name")


async def test_a_deleted_database_leaves_nothing_behind(server: Server, tmp_path: Path) -> None:
    server.databases.create(NAME)
    await put(server, "a")
    assert await server.databases.delete(NAME)
    assert not await server.databases.delete(NAME)
    assert server.databases.open(NAME) is None
    assert [*await asyncio.to_thread(tmp_path.glob, "databases/*")] == []
    assert server.databases.create(NAME).doc_count == 0


async def test_listeners_hear_of_every_event(server: Server) -> None:
    heard: list[tuple[str, str]] = []
    stop = server.databases.listen(lambda name, event: heard.append((name, event)))
    server.databases.create(NAME)
    await put(server, "a")
    await server.databases.delete(NAME)
    stop()
    server.databases.create("silent")
    assert heard == [(NAME, "created"), (NAME, "updated"), (NAME, "deleted")]


async def test_a_folder_has_one_owner(tmp_path: Path) -> None:
    first = Databases(tmp_path)
    with pytest.raises(FolderInUseError, match=str(tmp_path)):
        Databases(tmp_path)
    await first.close()
    await Databases(tmp_path).close()


async def test_what_was_written_is_there_after_a_restart(tmp_path: Path) -> None:
    server = Server(tmp_path)
    database = server.databases.create(NAME, partitioned=False)
    first = await put(server, "a", n=1)
    second = await put(server, "a", first.rev, n=2)
    await put(server, "_local/l", n=3)
    await database.set_security({"admins": {"names": ["x"]}})
    await database.set_revs_limit(7)
    uuid, update_seq = database.uuid, database.update_seq
    await server.close()

    again = Server(tmp_path)
    found = again.databases.open(NAME)
    assert found is not None
    assert (found.uuid, found.update_seq, found.doc_count) == (uuid, update_seq, 1)
    assert (found.security, found.revs_limit) == ({"admins": {"names": ["x"]}}, 7)
    entry = found.get("a")
    assert entry is not None
    assert (entry.rev, entry.body) == (second.rev, b'{"n":2}')
    old = found.revision(entry, parse_revision(first.rev))
    assert old is not None
    assert old.body == b'{"n":1}'
    local = found.local("_local/l")
    assert local is not None
    assert local.body == b'{"n":3}'
    await again.close()


async def test_many_databases_hold_few_files_open(tmp_path: Path) -> None:
    server = Server(tmp_path)
    server.databases.most_awake = 4
    names = [f"d{number}" for number in range(12)]
    for name in names:
        update = server.update(server.databases.create(name), SYSTEM)
        await update.write(read_edit({"_id": "a", "name": name}, Compression()))
    found = [server.databases.open(name) for name in names]
    assert sum(not database.is_resting for database in found if database) <= 4
    for name, database in zip(names, found, strict=True):
        assert database is not None
        entry = database.get("a")
        assert entry is not None
        assert entry.body == b'{"name":"%b"}' % name.encode()
        await put_into(server, database)
        assert database.doc_count == 2
    await server.close()


async def test_databases_that_are_only_written_hold_few_files_open(tmp_path: Path) -> None:
    server = Server(tmp_path)
    server.databases.most_awake = 4
    names = [f"d{number}" for number in range(12)]
    made = [server.databases.create(name) for name in names]
    assert all(database.rest() for database in made)
    for name in names:
        database = server.databases.open(name)
        assert database is not None
        await database.set_revs_limit(7)
    assert sum(not database.is_resting for database in made) <= 4
    await server.close()


async def put_into(server: Server, database: Database) -> None:
    await server.update(database, SYSTEM).write(read_edit({"_id": "b"}, Compression()))


async def test_a_database_at_work_does_not_rest(tmp_path: Path) -> None:
    server = Server(tmp_path)
    database = server.databases.create(NAME)
    writing = asyncio.create_task(put_into(server, database))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert not database.rest()
    await writing
    database.visitors = 1
    assert not database.rest()
    database.visitors = 0
    assert database.rest()
    assert database.is_resting
    assert database.get("b") is not None
    assert not database.is_resting
    await server.close()


# transactions


class Counting(Owner):
    """Counts commits, and fails when it is told to."""

    def __init__(self) -> None:
        self.commits = 0
        self.fails = False

    def save(self) -> Any:
        return None

    def restore(self, state: Any) -> None:
        pass

    def before_commit(self) -> None:
        if self.fails:
            raise OSError("the disk is full")

    def after_commit(self) -> None:
        self.commits += 1


async def test_writes_that_come_during_a_commit_share_the_next_one(server: Server) -> None:
    database = server.databases.create(NAME)
    heard: list[int] = []
    stop = database.subscribe(lambda database: heard.append(database.update_seq))
    await asyncio.gather(*(put(server, f"d{n}") for n in range(50)))
    stop()
    assert heard[-1] == database.update_seq == database.doc_count == 50
    if database.folder is not None:
        assert len(heard) < 25


async def test_a_job_that_fails_is_undone_alone(database: Database) -> None:
    def bad(connection: sqlite3.Connection) -> None:
        connection.execute("INSERT INTO locals VALUES ('_local/bad', 1, '{}')")
        raise ValueError("no")

    def good(connection: sqlite3.Connection) -> int:
        connection.execute("INSERT INTO locals VALUES ('_local/good', 1, '{}')")
        return 5

    results = await asyncio.gather(
        database.write(bad), database.write(good), return_exceptions=True
    )
    assert isinstance(results[0], ValueError)
    assert results[1] == 5
    assert database.local("_local/bad") is None
    assert database.local("_local/good") is not None


async def test_when_the_commit_fails_every_caller_hears_of_it(tmp_path: Path) -> None:
    connection = sqlite3.connect(tmp_path / "a", isolation_level=None, check_same_thread=False)
    connection.execute("CREATE TABLE t (n)")
    owner = Counting()
    writer = Writer(lambda: connection, None, owner)
    owner.fails = True
    with pytest.raises(OSError, match="the disk is full"):
        await writer.run(lambda: connection.execute("INSERT INTO t VALUES (1)"))
    owner.fails = False
    await writer.run(lambda: connection.execute("INSERT INTO t VALUES (2)"))
    assert connection.execute("SELECT n FROM t").fetchall() == [(2,)]
    assert owner.commits == 1
    connection.close()


async def test_when_no_transaction_can_begin_the_caller_hears_of_it(server: Server) -> None:
    database = server.databases.create(NAME)
    await server.databases.delete(NAME)
    with pytest.raises(sqlite3.ProgrammingError):
        await database.write(lambda _: None)


async def test_of_two_edits_of_one_revision_one_is_a_conflict(server: Server) -> None:
    server.databases.create(NAME)
    first = await put(server, "a", n=1)
    done = await asyncio.gather(
        *(put(server, "a", first.rev, n=n) for n in range(2, 6)), return_exceptions=True
    )
    refused = [error for error in done if isinstance(error, CouchError)]
    assert [error.error for error in refused] == ["conflict"] * 3


async def test_waiting_for_a_change_ends_with_it_or_with_the_database(
    server: Server, database: Database
) -> None:
    waiting = asyncio.create_task(database.changed_since(0))
    await put(server, "a")
    assert await waiting
    waiting = asyncio.create_task(database.changed_since(database.update_seq))
    await asyncio.sleep(0)
    await server.databases.delete(NAME)
    assert not await waiting


# ranges


async def test_ranges_are_in_the_order_of_bytes_and_end_where_they_are_told(
    server: Server, database: Database
) -> None:
    for doc_id in ("b", "a", "é", "Z", "a\u0000b", "😀"):
        await put(server, doc_id)
    await put(server, "gone", _deleted=True)
    names = ["Z", "a", "a\u0000b", "b", "é", "😀"]
    assert [entry.id for entry in entries(database.reader, Span())] == names
    backwards = revs(database.reader, Span("a", "é", descending=True, high_open=True))
    assert [doc_id for doc_id, _ in backwards] == ["b", "a\u0000b", "a"]
    assert [doc_id for doc_id, _ in revs(database.reader, Span().after("b"))] == ["é", "😀"]
    assert [doc_id for doc_id, _ in revs(database.reader, Span(), 2, 1)] == names[1:3]


async def test_ranks_follow_what_is_written(server: Server, database: Database) -> None:
    for doc_id in "acegi":
        await put(server, doc_id)
    wanted = {"a": 0, "c": 1, "d": 2, "z": 5}
    for doc_id, rank in [*wanted.items(), *reversed(wanted.items())]:
        assert await database.ranks.before(database, doc_id) == rank
    await put(server, "b")
    assert await database.ranks.before(database, "d") == 3


# keeping it small


async def test_compaction_gives_space_back(server: Server, database: Database) -> None:
    rev = None
    for n in range(40):
        rev = (await put(server, "a", rev, n=n, text="x" * 20_000)).rev
    before = size(database)
    await compact(database)
    assert size(database) < before / 4
    entry = database.get("a")
    assert entry is not None
    assert entry.rev == rev
    assert database.revision(entry, entry.tree.nodes[0].rev) is None
    assert len(entry.tree.nodes) == 40


async def test_compaction_drops_contents_that_no_revision_has(
    server: Server, database: Database
) -> None:
    first = await put(server, "a", _attachments={"x": {"data": "eHh4"}})
    await put(server, "b", _attachments={"y": {"data": "eXl5"}})
    await put(server, "a", first.rev)
    await compact(database)
    blobs = database.reader.execute("SELECT count(*) FROM attachment_blobs").fetchone()
    assert blobs == (1,)


async def test_branches_keep_no_more_revisions_than_the_limit(
    server: Server, database: Database
) -> None:
    await database.set_revs_limit(3)
    rev = None
    for n in range(6):
        rev = (await put(server, "a", rev, n=n)).rev
    entry = database.get("a")
    assert entry is not None
    assert [node.rev[0] for node in entry.tree.nodes] == [4, 5, 6]


def _purge_nothing(database: Database, doc_id: str, connection: sqlite3.Connection) -> None:
    assert purge(database, connection, doc_id, []) == []


async def test_old_purges_are_forgotten_when_the_database_is_compacted(database: Database) -> None:
    await database.set_purged_infos_limit(2)
    for n in range(5):
        await database.write(partial(_purge_nothing, database, f"d{n}"))
    assert database.purge_seq == 5
    await compact(database)
    assert purges(database.reader) == [("d3", []), ("d4", [])]
