"""What happened to databases: the latest event of each kind for each database, by sequence."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable

    from aiocouch.embedded.store.registry import Databases, Event


class Update(NamedTuple):
    """One event: `kind` is `created`, `updated` or `deleted`."""

    seq: int
    database: str
    kind: Event


class DatabaseUpdates:
    """Keeps, as CouchDB's `_global_changes` does, one entry for each database and kind of event.

    The list lives as long as the server runs; it starts with the databases that are there.
    """

    def __init__(self, databases: Databases) -> None:
        self._latest: dict[tuple[str, Event], int] = {}
        self._waiting: set[asyncio.Future[None]] = set()
        self.seq = 0
        for name in databases.names():
            self._add(name, "updated")
        self._stop = databases.listen(self._add)

    def _add(self, name: str, kind: Event) -> None:
        self.seq += 1
        # Taken out and put in again: the order of a dict is that of the sequence.
        self._latest.pop((name, kind), None)
        self._latest[name, kind] = self.seq
        waiting, self._waiting = self._waiting, set()
        for future in waiting:
            if not future.done():
                future.set_result(None)

    def since(self, seq: int) -> list[Update]:
        """Give the events after a sequence, oldest first."""
        found: list[Update] = []
        for (name, kind), number in reversed(self._latest.items()):
            if number <= seq:
                break
            found.append(Update(number, name, kind))
        return found[::-1]

    async def changed_since(self, seq: int) -> bool:
        """Wait until there is an event after a sequence."""
        while self.seq <= seq:
            future = asyncio.get_running_loop().create_future()
            self._waiting.add(future)
            try:
                await future
            finally:
                self._waiting.discard(future)
        return True

    def close(self) -> None:
        """Listen no longer."""
        self._stop()


def descending(updates: Iterable[Update]) -> list[Update]:
    """Give events latest first."""
    return sorted(updates, reverse=True)
