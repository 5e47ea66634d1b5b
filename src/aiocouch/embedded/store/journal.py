"""What happened to databases, kept in a file for `_db_updates`."""

from __future__ import annotations

import logging
import sqlite3
from typing import TYPE_CHECKING, NamedTuple, cast

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from aiocouch.embedded.store.registry import EventKind

_log = logging.getLogger("aiocouch.embedded")

_RESERVED = 10_000
_TABLES = """
CREATE TABLE IF NOT EXISTS events (
    name TEXT NOT NULL, kind TEXT NOT NULL, seq INTEGER NOT NULL, PRIMARY KEY (name, kind)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS state (ceiling INTEGER NOT NULL, clean INTEGER NOT NULL);
INSERT INTO state SELECT 0, 1 WHERE NOT EXISTS (SELECT 1 FROM state);
"""


class Kept(NamedTuple):
    """What a journal knew: its events, oldest first, and the last number that may be taken.

    `clean` False: events may be missing, because the process died.
    """

    events: list[tuple[str, EventKind, int]]
    seq: int
    clean: bool


class Journal:
    """A file with the latest event of each kind for each database.

    It is written now and then. Numbers are reserved before they are given away, so that none is
    given twice, even when the process dies between two writes. A file that cannot be used stops
    nobody: the server does without, and says so in the log.
    """

    def __init__(self, path: Path) -> None:
        self._connection = sqlite3.connect(path, isolation_level=None)
        self._ceiling = 0
        self._complete = True

    def load(self) -> Kept:
        """Return what is in the file, and mark it as in use."""
        try:
            return self._load()
        except sqlite3.Error as error:
            _log.warning("the journal of _db_updates cannot be read: %s", error)
            return Kept([], 0, clean=False)

    def _load(self) -> Kept:
        run = self._connection.execute
        run("PRAGMA journal_mode = WAL")
        # losing the last moments does no harm
        run("PRAGMA synchronous = NORMAL")
        self._connection.executescript(_TABLES)
        query = "SELECT name, kind, seq FROM events ORDER BY seq"
        events = cast("list[tuple[str, EventKind, int]]", run(query).fetchall())
        self._ceiling, clean = run("SELECT ceiling, clean FROM state").fetchone()
        run("UPDATE state SET clean = 0")
        return Kept(events, self._ceiling, bool(clean))

    def reserve(self, seq: int) -> None:
        """See to it that this number is not given away again."""
        if seq > self._ceiling:
            self._ceiling = seq + _RESERVED
            self._write("UPDATE state SET ceiling = ?", [(self._ceiling,)])

    def save(self, events: Iterable[tuple[str, EventKind, int]]) -> None:
        """Write events down."""
        self._write("REPLACE INTO events VALUES (?, ?, ?)", events)

    def close(self, seq: int) -> None:
        """Close the file; `seq` is the last number that was given away."""
        if self._complete:
            self._write("UPDATE state SET ceiling = ?, clean = 1", [(seq,)])
        self._connection.close()

    def _write(self, statement: str, rows: Iterable[tuple[object, ...]]) -> None:
        try:
            with self._connection:
                self._connection.execute("BEGIN")
                self._connection.executemany(statement, rows)
        except sqlite3.Error as error:
            self._complete = False
            _log.warning("the journal of _db_updates cannot be written: %s", error)
