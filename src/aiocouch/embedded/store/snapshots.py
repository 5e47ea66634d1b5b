"""Documents by sequence as they were at one moment, whatever is written while they are read.

A document that changes moves to a new sequence. Whoever reads chunk by chunk up to a fixed sequence
would miss it, so its row as it was is kept for as long as anybody reads that may still want it. The
rows are in a temporary table of the connection for reads: SQLite moves what is large onto disk.
"""

from __future__ import annotations

import contextlib
import sqlite3
from heapq import merge
from operator import attrgetter
from typing import TYPE_CHECKING

from aiocouch.embedded.store.among import among
from aiocouch.embedded.store.records import Entry

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from aiocouch.embedded.store.database import Database

_DOC = "seq, id, rev, deleted, body, attachments, tree"
_TABLE = """
CREATE TEMP TABLE IF NOT EXISTS replaced (
    seq INTEGER PRIMARY KEY, id TEXT, rev TEXT, deleted INTEGER, body BLOB, attachments BLOB,
    tree BLOB, gone INTEGER
);
CREATE INDEX IF NOT EXISTS temp.replaced_by_id ON replaced (id);
CREATE INDEX IF NOT EXISTS temp.replaced_by_end ON replaced (gone);
"""
_KEEP = "INSERT OR REPLACE INTO replaced VALUES (?, ?, ?, ?, ?, ?, ?, ?)"
_sequence = attrgetter("seq")


class Snapshots:
    """The snapshots of one database that are open, and the rows that they need."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._open: dict[Snapshot, None] = {}
        self._connection: sqlite3.Connection | None = None
        self._recent: list[tuple[Entry, int]] = []
        self._failure: sqlite3.Error | None = None
        self.keeps_any = False
        """Whether there are rows that are not among the documents any more."""

    def __len__(self) -> int:
        return len(self._open)

    @contextlib.contextmanager
    def open(self) -> Iterator[Snapshot]:
        """Yield the documents as they are now, for as long as the block runs."""
        self._prepare()
        snapshot = Snapshot(self._database, self)
        self._open[snapshot] = None
        try:
            yield snapshot
        finally:
            del self._open[snapshot]
            self._forget()

    def _prepare(self) -> None:
        reader = self._database.reader
        if self._connection is not reader:
            for statement in _TABLE.split(";"):
                reader.execute(statement)
            self._connection, self.keeps_any, self._failure = reader, False, None
        # what a transaction that runs has replaced may be on disk at any moment
        for entry, gone in self._recent:
            self._keep(entry, gone)

    def replaced(self, entry: Entry, gone: int) -> None:
        """Say that the running transaction takes a row away, by the change of this number."""
        self._recent.append((entry, gone))
        if self._open:
            self._keep(entry, gone)

    def _keep(self, entry: Entry, gone: int) -> None:
        try:
            self._database.reader.execute(_KEEP, (*entry, gone))
        except sqlite3.Error as error:
            # it is the reader's loss, and no reason to refuse the write
            self._failure = error
        self.keeps_any = True

    def committed(self) -> None:
        """Say that what was replaced is what a new snapshot does not see."""
        self._recent.clear()

    def check(self) -> None:
        """Raise what kept a row from being kept."""
        if self._failure is not None:
            raise self._failure

    def _forget(self) -> None:
        """Drop the rows that no snapshot sees any more."""
        if not self.keeps_any or self._database.closed:
            return
        oldest = min((snapshot.until for snapshot in self._open), default=None)
        reader = self._database.reader
        if oldest is None:
            reader.execute("DELETE FROM replaced")
            self.keeps_any, self._failure = False, None
        else:
            reader.execute("DELETE FROM replaced WHERE gone <= ?", (oldest,))

    def attachments(self) -> Iterator[bytes]:
        """Return the stored lists of attachments that only snapshots see."""
        return self._column("attachments")

    def trees(self) -> Iterator[bytes]:
        """Return the stored revision trees that only snapshots see, of all but single revisions."""
        return self._column("tree")

    def _column(self, name: str) -> Iterator[bytes]:
        if self.keeps_any:
            statement = f"SELECT {name} FROM replaced WHERE {name} IS NOT NULL"
            for (stored,) in self._database.reader.execute(statement).fetchall():
                yield stored


class Snapshot:
    """The documents at one moment. `until` is the latest change that it sees."""

    def __init__(self, database: Database, snapshots: Snapshots) -> None:
        self._database = database
        self._snapshots = snapshots
        self.until = database.update_seq
        self.documents = database.doc_count + database.deleted_count
        """How many documents there are, deleted ones included."""

    def changes(self, since: int, limit: int) -> list[Entry]:
        """Return documents by sequence: `since < seq`, oldest change first."""
        found = self._database.changes(since, self.until, limit)
        kept = self._kept("seq > ? ORDER BY seq LIMIT ?", since, limit)
        return _merged(found, kept, limit) if kept else found

    def changes_back(self, before: int, since: int, limit: int) -> list[Entry]:
        """Return documents by sequence: `since < seq < before`, latest change first."""
        found = self._database.changes_back(min(before, self.until + 1), since, limit)
        kept = self._kept("seq < ? AND seq > ? ORDER BY seq DESC LIMIT ?", before, since, limit)
        return _merged(found, kept, limit, reverse=True) if kept else found

    def get_many(self, ids: Iterable[str]) -> dict[str, Entry]:
        """Return those of the documents that existed, by id."""
        wanted = list(ids)
        now = self._database.get_many(wanted)
        found = {doc_id: entry for doc_id, entry in now.items() if entry.seq <= self.until}
        condition, values = among(wanted)
        for entry in self._kept(f"id {condition}", *values):
            found[entry.id] = entry
        return found

    def _kept(self, condition: str, *values: object) -> list[Entry]:
        """Return rows that this snapshot sees, and that are no longer, or not much longer, there."""
        self._snapshots.check()
        if not self._snapshots.keeps_any:
            return []
        rows = self._database.reader.execute(
            f"SELECT {_DOC} FROM replaced WHERE seq <= ? AND gone > ? AND {condition}",
            (self.until, self.until, *values),
        ).fetchall()
        return list(map(Entry._make, rows))

    def count(self, since: int, until: int, limit: int) -> tuple[int, int]:
        """Count documents by sequence, `since < seq <= until`, at most about as many as `limit`.

        Return the number, and the sequence up to which it counted.
        """
        reader = self._database.reader
        number, last = reader.execute(
            "SELECT count(*), max(seq) FROM"
            " (SELECT seq FROM docs WHERE seq > ? AND seq <= ? ORDER BY seq LIMIT ?)",
            (since, until, limit),
        ).fetchone()
        end = until if number < limit else last
        if self._snapshots.keeps_any:
            number = self._count_all(since, end)
        return number, end

    def _count_all(self, since: int, until: int) -> int:
        self._snapshots.check()
        bounds = (since, until)
        # one statement: nothing is committed in the middle of it
        (number,) = self._database.reader.execute(
            "SELECT (SELECT count(*) FROM docs WHERE seq > ? AND seq <= ?) + (SELECT count(*)"
            " FROM replaced r WHERE seq > ? AND seq <= ? AND seq <= ? AND gone > ?"
            " AND NOT EXISTS (SELECT 1 FROM docs WHERE docs.seq = r.seq))",
            (*bounds, *bounds, self.until, self.until),
        ).fetchone()
        return int(number)


def _merged(
    found: list[Entry], kept: list[Entry], limit: int, *, reverse: bool = False
) -> list[Entry]:
    """Put rows together by sequence; one that is about to go is in both."""
    rows = {entry.seq: entry for entry in merge(found, kept, key=_sequence, reverse=reverse)}
    return list(rows.values())[:limit]
