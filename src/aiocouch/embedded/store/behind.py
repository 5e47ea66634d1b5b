"""How many documents changed after a sequence: counted once, and remembered until one changes.

A client that goes through the changes of a large database asks again and again, each time for a
sequence a little further on; so every answer helps the next one.
"""

from __future__ import annotations

import asyncio
from bisect import bisect_right
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from aiocouch.embedded.store.snapshots import Snapshot

_MOST = 1000
_AT_ONCE = 10_000


class Behind:
    """The number of changes after some sequences of one database, at one state of it."""

    def __init__(self) -> None:
        self._seq = -1
        self._known: list[tuple[int, int]] = []

    async def after(self, snapshot: Snapshot, since: int) -> int:
        """Count the documents, deleted ones included, that changed after a sequence."""
        seq = snapshot.until
        if since >= seq:
            return 0
        if seq != self._seq or len(self._known) > _MOST:
            self._seq, self._known = seq, [(0, snapshot.documents), (seq, 0)]
        known = self._known
        place = bisect_right(known, since, key=_sequence)
        (low, most), (high, fewest) = known[place - 1 : place + 1]
        if low == since:
            return most
        if since - low < high - since:
            number = most - await _count(snapshot, low, since)
        else:
            number = fewest + await _count(snapshot, since, high)
        # meanwhile others may have begun to count anew, or counted the same
        place = bisect_right(known, (since, number))
        if known[place - 1][0] != since:
            known.insert(place, (since, number))
        return number


def _sequence(known: tuple[int, int]) -> int:
    return known[0]


async def _count(snapshot: Snapshot, since: int, until: int) -> int:
    """Count the documents whose latest change is in a range, letting others run."""
    total, end = snapshot.count(since, until, _AT_ONCE)
    while end < until:
        await asyncio.sleep(0)
        number, end = snapshot.count(end, until, _AT_ONCE)
        total += number
    return total
