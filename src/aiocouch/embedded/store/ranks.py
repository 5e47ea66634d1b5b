"""How many documents come before an id: counted once, and remembered until something changes.

A client that goes through a large database page by page asks again and again, each time for an
id a little further on; so every answer helps the next one.
"""

from __future__ import annotations

import asyncio
from bisect import bisect_right, insort
from typing import TYPE_CHECKING

from aiocouch.embedded.store.spans import Span, count_chunk

if TYPE_CHECKING:
    from aiocouch.embedded.store.database import Database

_MOST = 1000


class Ranks:
    """The ranks of some ids of one database, at one state of it."""

    def __init__(self) -> None:
        self._seq = -1
        self._known: list[tuple[str, int]] = []

    async def before(self, database: Database, doc_id: str) -> int:
        """Count the documents, deleted ones not included, whose ids come before this one."""
        seq = database.update_seq
        if seq != self._seq or len(self._known) > _MOST:
            self._seq, self._known = seq, [("", 0)]
        low, rank = self._known[bisect_right(self._known, doc_id, key=_id) - 1]
        if low != doc_id:
            rank += await count_documents(database, Span(low, doc_id, high_open=True))
            if database.update_seq == self._seq == seq:
                insort(self._known, (doc_id, rank))
        return rank


def _id(known: tuple[str, int]) -> str:
    return known[0]


async def count_documents(database: Database, span: Span) -> int:
    """Count the documents of a range that are not deleted, letting others run."""
    total, last = count_chunk(database.reader, span)
    while last is not None:
        await asyncio.sleep(0)
        more, last = count_chunk(database.reader, span.after(last))
        total += more
    return total
