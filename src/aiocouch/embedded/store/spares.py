"""Databases in memory that have ended, kept empty for the next ones.

What a new one costs is mostly that SQLite reads the tables and prepares the statements anew: those that are
kept have done so. They belong to the process, for the tests of a program may have a server each.
"""

from __future__ import annotations

import atexit
import contextlib
import sqlite3

from aiocouch.embedded.store import schema

_MOST = 4
_MOST_PAGES = 256  # what was larger gives its memory back
_NO_LIMIT = 0xFFFFFFFE
_spares: list[sqlite3.Connection] = []


def take_spare() -> sqlite3.Connection:
    """Open a database in memory, with tables and nothing in them or, if none was kept, without tables."""
    try:
        return _spares.pop()
    except IndexError:
        return schema.connect(None)


def keep_spare(connection: sqlite3.Connection) -> None:
    """Keep a database in memory for others, empty, or close it."""
    with contextlib.suppress(sqlite3.Error):
        if len(_spares) < _MOST and _is_worth_it(connection):
            _clear(connection)
            _spares.append(connection)
            return
    connection.close()


def _is_worth_it(connection: sqlite3.Connection) -> bool:
    """Return whether it is whole, small, and has no tables of those who read it."""
    if connection.in_transaction or not schema.has_tables(connection):
        return False
    (pages,) = connection.execute("PRAGMA page_count").fetchone()
    (temporary,) = connection.execute("SELECT count(*) FROM sqlite_temp_master").fetchone()
    return bool(pages <= _MOST_PAGES and not temporary)


def _clear(connection: sqlite3.Connection) -> None:
    tables = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall()
    connection.execute("BEGIN")
    for (name,) in tables:
        connection.execute(f"DELETE FROM {name}")
    connection.execute("COMMIT")
    # what whoever had it may have set, as tests do
    connection.execute(f"PRAGMA max_page_count = {_NO_LIMIT}").fetchall()
    connection.set_trace_callback(None)
    connection.executescript("PRAGMA incremental_vacuum")  # `execute` would stop at the first page


def _close_all() -> None:
    while _spares:
        _spares.pop().close()


atexit.register(_close_all)  # or Python 3.13 warns
