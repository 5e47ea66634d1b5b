"""The tables of a database file, and how such a file is opened."""

from __future__ import annotations

import atexit
import contextlib
import sqlite3
import time
from functools import cache
from typing import TYPE_CHECKING

import msgspec

from aiocouch.embedded.codec import encode
from aiocouch.embedded.identity import ADMINS_ONLY
from aiocouch.embedded.store import attachments
from aiocouch.embedded.store.faults import FormatError

if TYPE_CHECKING:
    from pathlib import Path

FORMAT = 1
"""The version of the folder format; it goes into `PRAGMA user_version`."""

DEFAULT_Q = 2
"""Shards that CouchDB makes of a database unless told otherwise. Here they are but a number."""

_HEADER = 100
_VERSION = slice(60, 64)
"""Where SQLite keeps the `user_version` in the first bytes of a file."""

_TABLES = """
CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE docs (
    seq INTEGER PRIMARY KEY,
    id TEXT NOT NULL,
    rev TEXT NOT NULL,
    deleted INTEGER NOT NULL,
    body BLOB NOT NULL,
    attachments BLOB,
    tree BLOB
);
CREATE UNIQUE INDEX docs_by_id ON docs (id, deleted, rev);
CREATE TABLE revs (
    seq INTEGER PRIMARY KEY,
    rev TEXT NOT NULL,
    deleted INTEGER NOT NULL,
    body BLOB NOT NULL,
    attachments BLOB
);
CREATE TABLE locals (id TEXT PRIMARY KEY, rev INTEGER NOT NULL, body BLOB NOT NULL) WITHOUT ROWID;
CREATE TABLE purges (
    seq INTEGER PRIMARY KEY, uuid TEXT NOT NULL UNIQUE, id TEXT NOT NULL, revs TEXT NOT NULL
);
"""


def connect(path: Path | None) -> sqlite3.Connection:
    """Open a database file, or one in memory, without looking at its tables."""
    connection = sqlite3.connect(
        ":memory:" if path is None else path,
        isolation_level=None,
        check_same_thread=False,
        cached_statements=256,
    )
    try:
        _set_up(connection, in_memory=path is None)
    except BaseException:
        connection.close()
        raise
    return connection


def _set_up(connection: sqlite3.Connection, *, in_memory: bool) -> None:
    connection.execute("PRAGMA cache_size = -8000")
    # it must come before anything that makes the first page of a new file
    connection.execute("PRAGMA auto_vacuum = INCREMENTAL")
    if not in_memory:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("PRAGMA busy_timeout = 10000")


def is_complete(path: Path) -> bool:
    """Return whether a file holds a database; False where its making was cut short."""
    if not path.exists():
        return False
    try:
        with path.open("rb") as file:
            header = file.read(_HEADER)
        if any(header[_VERSION]):
            return True
        # new tables may be in the log still
        with contextlib.closing(sqlite3.connect(path)) as connection:
            return _version(connection) != 0
    except (OSError, sqlite3.Error):
        # damaged is not unfinished: whoever opens it is told
        return True


def _version(connection: sqlite3.Connection) -> int:
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    return int(version)


def has_tables(connection: sqlite3.Connection) -> bool:
    """Return whether a database has been made, in the format of today."""
    return _version(connection) == FORMAT


class Origin(msgspec.Struct, frozen=True):
    """What a database is born with."""

    uuid: str
    partitioned: bool
    q: int = DEFAULT_Q


def create_tables(connection: sqlite3.Connection, origin: Origin) -> None:
    """Make the tables of a new database and its first settings, in one transaction."""
    connection.executescript(f"BEGIN;{_TABLES}PRAGMA user_version = {FORMAT};")
    attachments.create(connection)
    _insert_settings(connection, origin)
    connection.execute("COMMIT")


def copy_tables(connection: sqlite3.Connection, origin: Origin) -> None:
    """Do as `create_tables`, for a database in memory, in a third of the time."""
    if not has_tables(connection):
        _empty().backup(connection)
    connection.execute("BEGIN")
    _insert_settings(connection, origin)
    connection.execute("COMMIT")


@cache
def _empty() -> sqlite3.Connection:
    """Return a database in memory with tables and nothing in them, which the process keeps."""
    connection = connect(None)
    atexit.register(connection.close)  # or Python 3.13 warns
    connection.executescript(f"BEGIN;{_TABLES}PRAGMA user_version = {FORMAT};")
    attachments.create(connection)
    connection.execute("COMMIT")
    return connection


def _insert_settings(connection: sqlite3.Connection, origin: Origin) -> None:
    connection.executemany("INSERT INTO meta VALUES (?, ?)", _settings(origin).items())


def _settings(origin: Origin) -> dict[str, str]:
    return {
        "uuid": origin.uuid,
        "created": str(int(time.time())),
        "partitioned": "1" if origin.partitioned else "0",
        "q": str(origin.q),
        "security": encode(ADMINS_ONLY).decode(),
        "revs_limit": "1000",
        "purged_infos_limit": "1000",
        "counters": "{}",
    }


def check_format(connection: sqlite3.Connection, name: str) -> None:
    """Raise FormatError when the file is of another format than ours."""
    version = _version(connection)
    if version != FORMAT:
        raise FormatError(
            f"The database {name!r} has the folder format {version}; "
            f"this version of aiocouch reads format {FORMAT}."
        )
