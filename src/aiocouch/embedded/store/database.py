"""One database: documents by id and by sequence, read at once, written in grouped commits.

Reads are plain functions that answer from one indexed look-up or a bounded chunk; whoever reads
much asks chunk by chunk and lets others run in between (`await asyncio.sleep(0)`).
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import sqlite3
from typing import TYPE_CHECKING, Any, TypeVar, cast

import msgspec
from msgspec.structs import replace

from aiocouch.embedded.codec import decode, encode, encode_text
from aiocouch.embedded.store import attachments, schema, spares
from aiocouch.embedded.store.among import among
from aiocouch.embedded.store.attachments import Holds
from aiocouch.embedded.store.behind import Behind
from aiocouch.embedded.store.faults import explained
from aiocouch.embedded.store.ranks import Ranks
from aiocouch.embedded.store.records import Entry, Local, Revision
from aiocouch.embedded.store.snapshots import Snapshots
from aiocouch.embedded.store.writer import Owner, Traffic, Writer, to_the_end

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from concurrent.futures import Executor
    from pathlib import Path

    from aiocouch._wire.revision import Rev

T = TypeVar("T")

_log = logging.getLogger("aiocouch.embedded")

CHUNK = 500
_DOC = "seq, id, rev, deleted, body, attachments, tree"


class Counters(msgspec.Struct):
    """The numbers of a database that every commit brings up to date."""

    update_seq: int = 0
    doc_count: int = 0
    deleted_count: int = 0
    purge_seq: int = 0
    external_size: int = 0


class Designs:
    """Whether design documents are as they were: `version` is another one when they may not be."""

    def __init__(self) -> None:
        self.version = 0
        self._is_touched = False

    def touched(self) -> None:
        """Say that the running transaction changes one."""
        self._is_touched = True

    def committed(self) -> None:
        """Say that what was changed can be read."""
        self.version += self._is_touched
        self._is_touched = False


class Database(Owner):
    """A database that is open. `folder` is where its files are, None in memory.

    `name` is its name; `uuid` differs for every database ever created; `created` is the time of
    its creation in seconds since 1970; `partitioned` whether it was created so; `q` in how many
    shards it is said to be.
    """

    def __init__(
        self,
        name: str,
        folder: Path | None,
        executor: Executor | None,
        origin: schema.Origin | None = None,
        traffic: Traffic | None = None,
    ) -> None:
        """Open a database, or create it when `origin` is given."""
        self.name = name
        self.folder = folder
        self.closed = False
        self.visitors = 0
        """How many requests are at work in it; while there are any, it does not rest."""
        self._path = None if folder is None else folder / "database.sqlite"
        self._reader: sqlite3.Connection | None = None
        self.writer = Writer(self._connect, None if folder is None else executor, self, traffic)
        self.compacting = False
        self.ranks = Ranks()
        self.behind = Behind()
        """How many documents changed after a sequence (`pending`)."""
        self.snapshots = Snapshots(self)
        self.designs = Designs()
        self.rules_known = False
        """Whether a write has found out which validate functions there are; see `writing`."""
        self.uploads = Holds()
        """Contents of attachments that belong to no document yet; compaction leaves them."""
        self._listeners: dict[object, Callable[[Database], None]] = {}
        self._counters = Counters()
        self.committed = Counters()
        try:
            if origin is not None:
                make = schema.copy_tables if folder is None else schema.create_tables
                make(self.writer.connection, origin)
            self._load()
        except sqlite3.Error as error:
            self._let_go()
            raise explained(error, name) from error
        except BaseException:
            self._let_go()
            raise

    def _load(self) -> None:
        schema.check_format(self.reader, self.name)
        self._clean_up()
        meta = dict(self.reader.execute("SELECT key, value FROM meta").fetchall())
        self.uuid: str = meta["uuid"]
        self.created = int(meta["created"])
        self.partitioned = meta["partitioned"] == "1"
        self.q = int(meta.get("q", "1"))
        self.security: dict[str, Any] = decode(meta["security"])
        self.revs_limit = int(meta["revs_limit"])
        self.purged_infos_limit = int(meta["purged_infos_limit"])
        self._counters = Counters(**decode(meta["counters"]))
        self.committed = replace(self._counters)

    def _clean_up(self) -> None:
        """Remove what was being uploaded when the process was killed."""
        left = attachments.unfinished(self.reader)
        if not left:
            return
        with contextlib.suppress(sqlite3.OperationalError):  # where nothing can be written now
            for blob in left:
                attachments.remove(self.writer.connection, blob)

    def __repr__(self) -> str:
        return f"<Database {self.name!r}>"

    # connections

    @property
    def reader(self) -> sqlite3.Connection:
        """The connection for reads. It is not to be kept while other requests are served."""
        if self._reader is None:
            self._reader = self.writer.connection if self._path is None else self._connect()
        return self._reader

    def _connect(self) -> sqlite3.Connection:
        if self.closed:
            raise sqlite3.ProgrammingError(f"the database {self.name!r} is closed")
        return spares.take_spare() if self._path is None else schema.connect(self._path)

    @property
    def is_resting(self) -> bool:
        """Whether its files are closed until they are needed again."""
        return self._reader is None and self.writer.is_resting

    def rest(self) -> bool:
        """Close the files until they are needed again; False where that cannot be now."""
        if (
            self._path is None
            or self.visitors
            or self.compacting
            or self.uploads
            or self.snapshots
            or not self.writer.is_idle
        ):
            return False
        self._let_go()
        return True

    def _let_go(self) -> None:
        """Close the files."""
        reader, self._reader = self._reader, None
        try:
            self.writer.rest(sqlite3.Connection.close if self._path else spares.keep_spare)
        finally:
            if reader is not None and self._path is not None:
                reader.close()

    # numbers

    @property
    def update_seq(self) -> int:
        """The number of the latest change that is on disk."""
        return self.committed.update_seq

    @property
    def doc_count(self) -> int:
        """The number of documents that are not deleted."""
        return self.committed.doc_count

    @property
    def deleted_count(self) -> int:
        """The number of deleted documents."""
        return self.committed.deleted_count

    @property
    def purge_seq(self) -> int:
        """The number of the latest purge."""
        return self.committed.purge_seq

    def sizes(self) -> dict[str, int]:
        """Return sizes in bytes: of the file, of the documents as JSON, of what is in use.

        Where nothing was ever written nothing is in use, whatever SQLite needs for itself. What is
        in use is less than the file, as in CouchDB: SQLite's first page holds no documents.
        """
        pages, size, free = (
            self.reader.execute(f"PRAGMA {name}").fetchone()[0]
            for name in ("page_count", "page_size", "freelist_count")
        )
        external = self.committed.external_size
        active = (pages - free - 1) * size if self.update_seq else 0
        return {"file": pages * size, "external": external, "active": active}

    def sequence(self, number: int) -> str:
        """Return the text of a sequence, opaque to clients: `12-g1…`."""
        return f"{number}-g1{self.uuid}"

    # documents

    def get(self, doc_id: str) -> Entry | None:
        """Return a document, deleted ones included, or None."""
        row = self.reader.execute(f"SELECT {_DOC} FROM docs WHERE id = ?", (doc_id,)).fetchone()
        return None if row is None else Entry._make(row)

    def get_many(self, ids: Iterable[str]) -> dict[str, Entry]:
        """Return those of the documents that exist, by id."""
        condition, values = among(ids)
        rows = self.reader.execute(
            f"SELECT {_DOC} FROM docs WHERE id {condition}", values
        ).fetchall()
        return {row[1]: Entry._make(row) for row in rows}

    def revision(self, entry: Entry, rev: Rev) -> Revision | None:
        """Return a revision of a document, or None when its body is not (or no longer) there."""
        node = entry.tree.find(rev)
        if node is None or not node.pointer:
            return None
        return self.at(entry, node.pointer)

    def at(self, entry: Entry, pointer: int) -> Revision | None:
        """Return the revision of a document that a node of its tree points to, or None."""
        winner = entry.winner
        if pointer == winner.seq:
            return winner
        row = self.reader.execute(
            "SELECT rev, deleted, body, attachments FROM revs WHERE seq = ?", (pointer,)
        ).fetchone()
        return None if row is None else Revision(pointer, entry.id, *row)

    def changes(self, since: int, until: int, limit: int = CHUNK) -> list[Entry]:
        """Return documents by sequence: `since < seq <= until`, oldest change first."""
        rows = self.reader.execute(
            f"SELECT {_DOC} FROM docs WHERE seq > ? AND seq <= ? ORDER BY seq LIMIT ?",
            (since, until, limit),
        ).fetchall()
        return list(map(Entry._make, rows))

    def changes_back(self, before: int, since: int = 0, limit: int = CHUNK) -> list[Entry]:
        """Return documents by sequence: `since < seq < before`, latest change first."""
        rows = self.reader.execute(
            f"SELECT {_DOC} FROM docs WHERE seq < ? AND seq > ? ORDER BY seq DESC LIMIT ?",
            (before, since, limit),
        ).fetchall()
        return list(map(Entry._make, rows))

    # _local documents

    def local(self, doc_id: str) -> Local | None:
        """Return a `_local` document by its whole id, or None."""
        row = self.reader.execute(
            "SELECT id, rev, body FROM locals WHERE id = ?", (doc_id,)
        ).fetchone()
        return None if row is None else Local._make(row)

    # writing

    async def write(self, job: Callable[[sqlite3.Connection], T]) -> T:
        """Run a job in a write transaction; when this returns, its writes are on disk.

        The job is a plain, short function that writes on the connection it is given and returns
        what `write` returns. When it raises, what it wrote is undone. Other jobs may share the
        transaction. The job reads on that connection what is not committed yet.
        """
        return await self.writer.run(lambda: job(self.writer.connection))

    def begin_with(self, job: Callable[[Database, sqlite3.Connection], object]) -> None:
        """Run a job in the first transaction of a new database that nobody else has seen."""
        connection = self.writer.connection
        connection.execute("BEGIN")
        job(self, connection)
        self.before_commit()
        connection.execute("COMMIT")
        self.after_commit()

    async def set_meta(self, key: str, value: str) -> None:
        """Write one of the settings of the database."""

        def job(connection: sqlite3.Connection) -> None:
            connection.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", (key, value))

        await self.write(job)

    async def set_security(self, value: dict[str, Any]) -> None:
        """Replace the security object."""
        await to_the_end(self._set("security", value, encode(value).decode()))

    async def set_revs_limit(self, limit: int) -> None:
        """Set how many revisions each branch of a tree keeps."""
        await to_the_end(self._set("revs_limit", limit, str(limit)))

    async def set_purged_infos_limit(self, limit: int) -> None:
        """Set how many purges are remembered."""
        await to_the_end(self._set("purged_infos_limit", limit, str(limit)))

    async def _set(self, name: str, value: object, text: str) -> None:
        """Change a setting on disk and then in memory, where it must be the same."""
        await self.set_meta(name, text)
        setattr(self, name, value)

    # those who wait

    def subscribe(self, listener: Callable[[Database], None]) -> Callable[[], None]:
        """Call `listener(database)` after every commit and when the database goes away.

        Return the function that ends it.
        """
        key = object()
        self._listeners[key] = listener
        return lambda: cast("None", self._listeners.pop(key, None))

    async def changed_since(self, seq: int) -> bool:
        """Wait until `update_seq` is past `seq`; False when the database went away instead."""
        told = asyncio.Event()

        def tell(_database: Database) -> None:
            told.set()

        stop = self.subscribe(tell)
        try:
            while not self.closed and self.update_seq <= seq:
                told.clear()
                await told.wait()
        finally:
            stop()
        return not self.closed

    def _tell(self) -> None:
        for listener in list(self._listeners.values()):
            try:
                listener(self)
            except Exception:  # noqa: BLE001 - its fault is not one of the write
                _log.exception("a listener to %r failed", self)

    # for the writer

    @property
    def pending(self) -> Counters:
        """The numbers as the running transaction sees and changes them."""
        return self._counters

    def save(self) -> Counters:
        return replace(self._counters)

    def restore(self, state: Counters) -> None:
        self._counters = replace(state)

    def before_commit(self) -> None:
        if self._counters != self.committed:
            numbers = encode_text(self._counters).decode()
            self.writer.connection.execute(
                "UPDATE meta SET value = ? WHERE key = 'counters'", (numbers,)
            )

    def after_commit(self) -> None:
        if self._counters != self.committed:
            self.committed = replace(self._counters)
            self.designs.committed()
            self.snapshots.committed()
            self._tell()

    # the end

    async def checkpoint(self) -> None:
        """Move what was committed from the write-ahead log into the file, and cut the log."""
        await self.writer.pause(_checkpoint)

    def mark_closed(self) -> None:
        """Open no files any more, and tell those who wait that it is the end; `close` does all."""
        if not self.closed:
            self.closed = True
            self._tell()

    async def close(self) -> None:
        """Finish what is being written and close the file."""
        self.mark_closed()
        await self.writer.wait()
        self._let_go()

    def abandon(self) -> None:
        """Close the file though nobody can finish what he does: the event loop is closed."""
        self.closed = True
        self._let_go()


def _checkpoint(connection: sqlite3.Connection) -> None:
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
