"""Compaction: what no reader can reach any more is dropped, and the space given back.

Everything is done in small transactions, so that others read and write in between, and a crash
at any moment leaves a database that is whole.
"""

from __future__ import annotations

import asyncio
import sqlite3
from typing import TYPE_CHECKING

from aiocouch.embedded.documents.attachment import decode_list
from aiocouch.embedded.documents.revtree import RevTree
from aiocouch.embedded.store.attachments import collect_garbage
from aiocouch.embedded.store.purging import trim_purges

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from aiocouch.embedded.store.database import Database

_ROWS = 500
_BRANCHED = "CASE substr(tree, 1, 1) WHEN x'02' THEN tree END"
"""The tree of a document, where it has branches: those begin with another byte than chains."""

_PAGES = 500


async def compact(database: Database) -> None:
    """Drop the bodies of revisions that are not leaves, unused attachments, old purges."""
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
    leaves = _Leaves()
    while not database.closed:
        await leaves.read(database)
        rows = database.reader.execute(
            "SELECT seq FROM revs WHERE seq > ? ORDER BY seq LIMIT ?", (last, _ROWS)
        ).fetchall()
        if not rows:
            return
        first, last = last, rows[-1][0]

        def job(connection: sqlite3.Connection, first: int = first, last: int = last) -> None:
            newer = leaves.newer(connection)
            old = connection.execute(
                "SELECT seq FROM revs WHERE seq > ? AND seq <= ?", (first, last)
            ).fetchall()
            # what was a leaf is read by whoever began before it was one no more
            kept = newer | _pointers(database.snapshots.trees())
            drop = [row for row in old if row[0] not in leaves and row[0] not in kept]
            connection.executemany("DELETE FROM revs WHERE seq = ?", drop)

        await database.write(job)
        await asyncio.sleep(0)


class _Leaves:
    """The pointers of the leaves that are not the winners of their documents.

    Read once for each state of a document: whatever changes one gives it a higher sequence. A
    revision that is no longer a leaf stays until the next compaction.
    """

    def __init__(self) -> None:
        self._pointers: set[int] = set()
        self._seq = 0

    def __contains__(self, pointer: int) -> bool:
        return pointer in self._pointers

    async def read(self, database: Database) -> None:
        """Read on up to what is committed now."""
        while True:
            until = database.update_seq
            rows = database.reader.execute(
                f"SELECT seq, {_BRANCHED} FROM docs WHERE seq > ? AND seq <= ?"
                " ORDER BY seq LIMIT ?",
                (self._seq, until, _ROWS),
            ).fetchall()
            self._pointers |= _pointers(tree for _, tree in rows)
            if len(rows) < _ROWS:
                self._seq = until
                return
            self._seq = rows[-1][0]
            await asyncio.sleep(0)

    def newer(self, connection: sqlite3.Connection) -> set[int]:
        """Return those of documents that changed since, as the running transaction sees them."""
        rows = connection.execute(f"SELECT {_BRANCHED} FROM docs WHERE seq > ?", (self._seq,))
        return _pointers(tree for (tree,) in rows)


def _pointers(trees: Iterable[bytes | None]) -> set[int]:
    return {leaf.pointer for tree in trees if tree for leaf in RevTree.load(tree).leaves}


async def _drop_attachments(database: Database) -> None:
    def job(connection: sqlite3.Connection) -> int:
        kept = _blobs(database.snapshots.attachments())
        return collect_garbage(connection, {*_used(connection), *database.uploads, *kept})

    await database.write(job)


def _used(connection: sqlite3.Connection) -> Iterator[int]:
    for table in ("docs", "revs"):
        rows = connection.execute(f"SELECT attachments FROM {table} WHERE attachments IS NOT NULL")
        yield from _blobs(stored for (stored,) in rows)


def _blobs(lists: Iterable[bytes]) -> Iterator[int]:
    return (item.blob for stored in lists for item in decode_list(stored))


async def _forget_purges(database: Database) -> None:
    def job(connection: sqlite3.Connection) -> None:
        trim_purges(connection, database.pending.purge_seq, database.purged_infos_limit)

    await database.write(job)


async def _give_back(database: Database) -> None:
    def job(connection: sqlite3.Connection) -> int:
        (free,) = connection.execute("PRAGMA freelist_count").fetchone()
        for _ in range(min(free, _PAGES)):
            # of a larger number Python's module does but the first step
            connection.execute("PRAGMA incremental_vacuum(1)")
        return int(connection.execute("PRAGMA freelist_count").fetchone()[0])

    left = -1
    while not database.closed:
        before, left = left, await database.write(job)
        if left in {0, before}:
            break
        await asyncio.sleep(0)
    await database.checkpoint()
