"""Compaction of an index: its file is written anew, without the space that nobody uses."""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
from typing import TYPE_CHECKING

from aiocouch.embedded.views.tables import connect_index

if TYPE_CHECKING:
    from pathlib import Path

    from aiocouch.embedded.views.index import Index


async def vacuum(index: Index) -> None:
    """Compact an index; queries go on meanwhile, updates of the index wait.

    Raise 404 when the index goes away before it begins.
    """
    async with index.writing():
        path = index.tables.path
        if path is None:
            # a query that is being answered keeps it from doing so
            with contextlib.suppress(sqlite3.OperationalError):
                index.tables.connection.execute("VACUUM")
        else:
            await asyncio.to_thread(_vacuum, path)


def _vacuum(path: Path) -> None:
    with contextlib.closing(connect_index(path)) as connection:
        connection.execute("VACUUM")
        # where somebody reads, the log keeps its size until later
        connection.execute("PRAGMA busy_timeout = 0")
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
