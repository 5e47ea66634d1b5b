"""How many documents changed after a sequence: counted once, and remembered until one changes.

A client that goes through the changes of a large database asks again and again, each time for a
sequence a little further on; so every answer helps the next one.
"""

from __future__ import annotations

import asyncio
from bisect import bisect_right, insort
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from aiocouch.embedded.store.database import Database

_MOST = 1000
_AT_ONCE = 10_000


class Behind:
    """The number of changes after some sequences of one database, at one state of it."""

    def __init__(self) -> None:
        self._seq = -1
        self._known: list[tuple[int, int]] = []

    async def after(self, database: Database, since: int) -> int:
        """Count the documents, deleted ones included, that changed after a sequence."""
        seq = database.update_seq
        if since >= seq:
            return 0
        if seq != self._seq or len(self._known) > _MOST:
            total = database.doc_count + database.deleted_count
            self._seq, self._known = seq, [(0, total), (seq, 0)]
        place = bisect_right(self._known, since, key=_sequence)
        (low, most), (high, fewest) = self._known[place - 1 : place + 1]
        if low == since:
            return most
        if since - low < high - since:
            number = most - await _count(database, low, since)
        else:
            number = fewest + await _count(database, since, high)
        if database.update_seq == self._seq == seq:
            insort(self._known, (since, number))
        return number


def _sequence(known: tuple[int, int]) -> int:
    return known[0]


async def _count(database: Database, since: int, until: int) -> int:
    """Count the documents whose latest change is in a range, letting others run."""
    total: int = 0
    while True:
        number, last = database.reader.execute(
            "SELECT count(*), max(seq) FROM"
            " (SELECT seq FROM docs WHERE seq > ? AND seq <= ? ORDER BY seq LIMIT ?)",
            (since, until, _AT_ONCE),
        ).fetchone()
        total += number
        if number < _AT_ONCE:
            break
        since = last
        await asyncio.sleep(0)
    return total
