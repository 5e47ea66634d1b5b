"""Compaction: what no reader can reach any more is dropped, and the space given back.

Everything is done in small transactions, so that others read and write in between, and a crash
at any moment leaves a database that is whole.
"""

from __future__ import annotations

import asyncio
import sqlite3
from typing import TYPE_CHECKING

from aiocouch.embedded.attachment import decode_list
from aiocouch.embedded.revtree import RevTree
from aiocouch.embedded.store.attachments import collect_garbage
from aiocouch.embedded.store.purging import trim_purges

if TYPE_CHECKING:
    from collections.abc import Iterator

    from aiocouch.embedded.store.database import Database

_ROWS = 500
_PAGES = 500


async def compact(database: Database) -> None:
    """Drop the bodies of revisions that are no leaves, unused attachments, old purges."""
    if database.compacting or database.closed:
        return
    database.compacting = True
    try:
        await _compact(database)
    except sqlite3.ProgrammingError:
        # it was deleted meanwhile, and its file is closed
        if not database.closed:
            raise
    finally:
        database.compacting = False


async def _compact(database: Database) -> None:
    await _drop_revisions(database)
    await _drop_attachments(database)
    await _forget_purges(database)
    await _give_back(database)


async def _drop_revisions(database: Database) -> None:
    last = 0
    while not database.closed:
        rows = database.reader.execute(
            "SELECT seq FROM revs WHERE seq > ? ORDER BY seq LIMIT ?", (last, _ROWS)
        ).fetchall()
        if not rows:
            return
        first, last = last, rows[-1][0]

        def job(connection: sqlite3.Connection, first: int = first, last: int = last) -> None:
            keep = _leaves(connection)
            old = connection.execute(
                "SELECT seq FROM revs WHERE seq > ? AND seq <= ?", (first, last)
            ).fetchall()
            drop = [row for row in old if row[0] not in keep]
            connection.executemany("DELETE FROM revs WHERE seq = ?", drop)

        await database.write(job)
        await asyncio.sleep(0)


def _leaves(connection: sqlite3.Connection) -> set[int]:
    """Give the pointers of all leaves that are not the winners of their documents.

    Only trees with branches have any, and those begin with another byte than chains.
    """
    rows = connection.execute("SELECT tree FROM docs WHERE substr(tree, 1, 1) = x'02'")
    return {leaf.pointer for (tree,) in rows for leaf in RevTree.load(tree).leaves}


async def _drop_attachments(database: Database) -> None:
    def job(connection: sqlite3.Connection) -> int:
        return collect_garbage(connection, {*_used(connection), *database.uploads})

    await database.write(job)


def _used(connection: sqlite3.Connection) -> Iterator[int]:
    for table in ("docs", "revs"):
        rows = connection.execute(f"SELECT attachments FROM {table} WHERE attachments IS NOT NULL")
        for (stored,) in rows:
            for item in decode_list(stored):
                yield item.blob


async def _forget_purges(database: Database) -> None:
    def job(connection: sqlite3.Connection) -> None:
        trim_purges(connection, database.pending.purge_seq, database.purged_infos_limit)

    await database.write(job)


async def _give_back(database: Database) -> None:
    def job(connection: sqlite3.Connection) -> int:
        connection.execute(f"PRAGMA incremental_vacuum({_PAGES})").fetchall()
        return int(connection.execute("PRAGMA freelist_count").fetchone()[0])

    left = -1
    while not database.closed:
        before, left = left, await database.write(job)
        if left in {0, before}:
            break
        await asyncio.sleep(0)
    await database.checkpoint()
