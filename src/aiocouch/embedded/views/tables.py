"""The SQLite file of one index: rows in order of their keys, and what belongs to which document.

A row stands at a place `(sort key, document id, number)`; the number tells the rows of one
document apart. A range is two places, the first included, the last not.
"""

from __future__ import annotations

import contextlib
import itertools
import operator
import sqlite3
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from aiocouch.embedded.store.among import among

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

    from aiocouch.embedded.javascript.protocol import Row

#: (sort key, document id, number)
Place = tuple[bytes, str, int]

FIRST: Place = (b"", "", 0)
"""Before every row."""
LAST: Place = (b"\xff", "", 0)
"""After every row."""
LAST_NUMBER = (1 << 62) - 1

FORMAT = 2
_FIRST_BATCH = 64
_BATCH = 512
_BATCH_BYTES = 1 << 20
_SPARE = 4

_TABLES = """
CREATE TABLE state (name TEXT PRIMARY KEY, value) WITHOUT ROWID;
CREATE TABLE documents (id TEXT PRIMARY KEY, places BLOB NOT NULL) WITHOUT ROWID;
"""
_TREE_TABLES = """
CREATE TABLE rows_{0} (
    key BLOB, id TEXT, n INTEGER, json BLOB NOT NULL, value BLOB NOT NULL,
    PRIMARY KEY (key, id, n)
) WITHOUT ROWID;
CREATE TABLE pages_{0} (
    key BLOB, id TEXT, n INTEGER, page INTEGER NOT NULL, rows INTEGER NOT NULL,
    PRIMARY KEY (key, id, n)
) WITHOUT ROWID;
CREATE TABLE partials_{0} (
    page INTEGER, reduce INTEGER, value BLOB NOT NULL, PRIMARY KEY (page, reduce)
) WITHOUT ROWID;
"""

_decode_places = msgspec.msgpack.Decoder(list[tuple[int, bytes]]).decode
_encode_json = msgspec.json.Encoder().encode


class IndexRow(NamedTuple):
    """A row as it is stored; `json` is the emitted key and `value` the value, JSON both."""

    key: bytes
    id: str
    n: int
    json: bytes
    value: bytes

    @property
    def place(self) -> Place:
        """The place of the row."""
        return self.key, self.id, self.n


def backwards(rows: Sequence[IndexRow]) -> list[IndexRow]:
    """Return rows in the other order; what one document emitted under one key keeps its order."""
    if not any(row.n for row in rows):
        return [*reversed(rows)]
    groups = [[*group] for _, group in itertools.groupby(rows, operator.itemgetter(0, 1))]
    return [row for group in reversed(groups) for row in group]


class State(msgspec.Struct):
    """How far an index is: `seq` of the database, `purge_seq`, and the rows of each tree.

    `documents` counts the documents that have rows or had a chance to.
    """

    seq: int = 0
    purge_seq: int = 0
    documents: int = 0
    rows: list[int] = msgspec.field(default_factory=list)
    external: int = 0


class Pace:
    """How many rows to take at once, so that a few large ones do not fill the memory."""

    def __init__(self) -> None:
        self.size = _FIRST_BATCH

    def took(self, size: int) -> None:
        """Note how many bytes the rows had."""
        if size > _BATCH_BYTES:
            self.size = max(1, self.size * _BATCH_BYTES // size)
        else:
            self.size = min(_BATCH, self.size * 2)


class StaleIndexError(Exception):
    """An index file of another database or another format: it must be built anew."""


def connect_index(path: Path | None) -> sqlite3.Connection:
    """Open the file of an index, None one in memory."""
    connection = sqlite3.connect(
        ":memory:" if path is None else path, isolation_level=None, check_same_thread=False
    )
    connection.execute("PRAGMA cache_size = -16000")
    if path is None:
        connection.execute("PRAGMA journal_mode = MEMORY")
    else:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = NORMAL")
        connection.execute("PRAGMA wal_autocheckpoint = 0")
        connection.execute("PRAGMA busy_timeout = 10000")
    return connection


class Tables:
    """The tables of one index through the one connection that writes them."""

    def __init__(self, path: Path | None, trees: int, owner: str) -> None:
        """Open or create an index for the database `owner` (its uuid).

        Raise StaleIndexError when the file belongs to something else.
        """
        self.path = path
        self.trees = trees
        self.connection = connect_index(path)
        self._owner = owner
        self._spare: list[sqlite3.Connection] = []
        self._reading: set[IndexSnapshot] = set()
        self._copies: dict[sqlite3.Connection, int] = {}
        try:
            self.state = self._load()
        except BaseException:
            self.connection.close()
            raise

    def _load(self) -> State:
        (format_,) = self.connection.execute("PRAGMA user_version").fetchone()
        if format_ == 0:
            self._create()
        elif format_ != FORMAT:
            raise StaleIndexError
        return self._read_state()

    def _create(self) -> None:
        trees = "".join(_TREE_TABLES.format(tree) for tree in range(self.trees))
        self.connection.executescript(
            f"BEGIN;{_TABLES}{trees}PRAGMA user_version = {FORMAT};COMMIT;"
        )
        self.connection.execute("INSERT INTO state VALUES ('owner', ?)", (self._owner,))
        self.save_state(State(rows=[0] * self.trees))

    def _read_state(self) -> State:
        values = dict(self.connection.execute("SELECT name, value FROM state").fetchall())
        if values.get("owner") != self._owner:
            raise StaleIndexError
        state: State = msgspec.json.decode(values["state"], type=State)
        if len(state.rows) != self.trees:
            raise StaleIndexError
        return state

    def save_state(self, state: State) -> None:
        """Write the state; it counts when the transaction is committed."""
        self.connection.execute(
            "INSERT OR REPLACE INTO state VALUES ('state', ?)", (_encode_json(state),)
        )
        self.state = state

    @contextlib.contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """Write all of it or nothing."""
        self.spare_readers()
        state = self.state
        self.connection.execute("BEGIN")
        try:
            yield self.connection
            self.connection.execute("COMMIT")
        except BaseException:
            if self.connection.in_transaction:  # where the disk is full SQLite may have ended it
                self.connection.execute("ROLLBACK")
            self.state = state
            raise

    def clear(self) -> None:
        """Empty the index."""
        with self.transaction() as connection:
            names = ["documents"]
            for tree in range(self.trees):
                names += [f"rows_{tree}", f"pages_{tree}", f"partials_{tree}"]
            for name in names:
                connection.execute(f"DELETE FROM {name}")
            self.save_state(State(rows=[0] * self.trees))

    # rows of documents

    def places(self, ids: Sequence[str]) -> Iterator[tuple[str, list[tuple[int, bytes]]]]:
        """Return (id, [(tree, sort key)]) for those of the documents that are in the index."""
        condition, values = among(ids)
        found = self.connection.execute(
            f"SELECT id, places FROM documents WHERE id {condition}", values
        ).fetchall()
        return ((id_, _decode_places(places)) for id_, places in found)

    def take_out(self, tree: int, keys: Iterable[tuple[bytes, str]]) -> int:
        """Delete the rows with these (sort key, id); return how many there were."""
        statement = f"DELETE FROM rows_{tree} WHERE key = ? AND id = ?"
        return self.connection.executemany(statement, keys).rowcount

    def forget(self, ids: Sequence[str]) -> None:
        """Delete what is known of documents, after their rows are out."""
        condition, values = among(ids)
        self.connection.execute(f"DELETE FROM documents WHERE id {condition}", values)

    def put_in(self, tree: int, rows: list[Row]) -> None:
        """Insert rows."""
        self.connection.executemany(f"INSERT INTO rows_{tree} VALUES (?, ?, ?, ?, ?)", rows)

    def remember(self, documents: Iterable[tuple[str, bytes]]) -> None:
        """Note for each document (id, places) what it has in the index."""
        self.connection.executemany("INSERT OR REPLACE INTO documents VALUES (?, ?)", documents)

    # reading

    @contextlib.contextmanager
    def snapshot(self) -> Iterator[IndexSnapshot]:
        """Yield the rows as they are now; later changes are not seen."""
        if self.path is None:
            with self._in_memory() as snapshot:
                yield snapshot
            return
        connection = self._spare.pop() if self._spare else connect_index(self.path)
        connection.execute("BEGIN")
        try:
            yield IndexSnapshot(connection, self._committed(connection))
        finally:
            with contextlib.suppress(sqlite3.Error):
                connection.execute("ROLLBACK")
                self._keep(connection)

    @contextlib.contextmanager
    def _in_memory(self) -> Iterator[IndexSnapshot]:
        snapshot = IndexSnapshot(self.connection, self.state)
        self._reading.add(snapshot)
        try:
            yield snapshot
        finally:
            self._reading.discard(snapshot)
            self._let_go(snapshot.connection)

    def spare_readers(self) -> None:
        """Give those who read in memory a copy of what there is, before something is written."""
        if not self._reading:
            return
        copy = connect_index(None)
        copy.deserialize(self.connection.serialize())
        for snapshot in self._reading:
            snapshot.connection = copy
        self._copies[copy] = len(self._reading)
        self._reading.clear()

    def _let_go(self, connection: sqlite3.Connection) -> None:
        """Close a copy when the last one who reads it is done."""
        if connection not in self._copies:
            return
        self._copies[connection] -= 1
        if not self._copies[connection]:
            del self._copies[connection]
            connection.close()

    def _keep(self, connection: sqlite3.Connection) -> None:
        if len(self._spare) < _SPARE:
            self._spare.append(connection)
        else:
            connection.close()

    def unsaved(self) -> IndexSnapshot:
        """Return the rows as the running transaction sees them."""
        return IndexSnapshot(self.connection, self.state)

    @staticmethod
    def _committed(connection: sqlite3.Connection) -> State:
        (text,) = connection.execute("SELECT value FROM state WHERE name = 'state'").fetchone()
        return msgspec.json.decode(text, type=State)

    def checkpoint(self) -> None:
        """Move the log into the file, so that neither grows without end. Runs in a thread."""
        if self.path is not None:
            with contextlib.closing(connect_index(self.path)) as connection:
                connection.execute("PRAGMA wal_checkpoint(PASSIVE)")

    def log_size(self) -> int:
        """Return the size of the log in bytes."""
        if self.path is None:
            return 0
        try:
            return self.path.with_name(self.path.name + "-wal").stat().st_size
        except OSError:
            return 0

    def file_size(self) -> tuple[int, int]:
        """Return the size of the file and of what is in use in it (not its first page), in bytes."""
        pages, size, free = (
            self.connection.execute(f"PRAGMA {name}").fetchone()[0]
            for name in ("page_count", "page_size", "freelist_count")
        )
        return pages * size, (pages - free - 1) * size

    def close(self) -> None:
        """Close all connections."""
        for connection in [*self._spare, self.connection]:
            connection.close()
        self._spare.clear()


class IndexSnapshot:
    """Reads rows of one moment. In memory the `connection` becomes another before rows change."""

    def __init__(self, connection: sqlite3.Connection, state: State) -> None:
        self.connection = connection
        self.state = state

    def rows(
        self,
        tree: int,
        first: Place = FIRST,
        last: Place = LAST,
        *,
        descending: bool = False,
        skip: int = 0,
        limit: int = -1,
    ) -> Iterator[list[IndexRow]]:
        """Yield the rows of a range in batches, in order of their places.

        Descending turns the order of keys and ids; rows of one document keep theirs. The first
        `skip` are left out, at most `limit` are given (-1: all).
        """
        order = "key DESC, id DESC, n" if descending else "key, id, n"
        statement = (
            f"SELECT * FROM rows_{tree} WHERE (key, id, n) >= (?, ?, ?)"
            f" AND (key, id, n) < (?, ?, ?) ORDER BY {order} LIMIT ? OFFSET ?"
        )
        pace = Pace()
        given = 0
        while True:
            connection = self.connection
            left = limit if limit < 0 else limit - given
            cursor = connection.execute(statement, (*first, *last, left, skip + given))
            with contextlib.closing(cursor):
                while self.connection is connection:
                    batch = [*map(IndexRow._make, cursor.fetchmany(pace.size))]
                    if not batch:
                        return
                    given += len(batch)
                    pace.took(sum([len(row.json) + len(row.value) for row in batch]))
                    yield batch

    def has_rows(self, tree: int, first: Place, last: Place) -> bool:
        """Return whether a range has any rows."""
        row = self.connection.execute(
            f"SELECT 1 FROM rows_{tree} WHERE (key, id, n) >= (?, ?, ?)"
            " AND (key, id, n) < (?, ?, ?) LIMIT 1",
            (*first, *last),
        ).fetchone()
        return row is not None

    def count(self, tree: int, first: Place = FIRST, last: Place = LAST) -> int:
        """Count the rows of a range one by one."""
        (number,) = self.connection.execute(
            f"SELECT count(*) FROM rows_{tree} WHERE (key, id, n) >= (?, ?, ?)"
            " AND (key, id, n) < (?, ?, ?)",
            (*first, *last),
        ).fetchone()
        return int(number)
