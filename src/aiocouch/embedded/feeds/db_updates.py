"""What happened to databases: the latest event of each kind for each database, by sequence."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, NamedTuple

from aiocouch.embedded.store.journal import Journal

if TYPE_CHECKING:
    from collections.abc import Iterable

    from aiocouch.embedded.store.registry import Databases, EventKind

_FILE = "db_updates.sqlite"
_PAUSE = 0.5


class DatabaseEvent(NamedTuple):
    """One event: `kind` is `created`, `updated` or `deleted`."""

    seq: int
    database: str
    kind: EventKind


class DatabaseUpdates:
    """Keeps, as CouchDB's `_global_changes` does, one entry for each database and kind of event.

    In a folder the entries outlive the server; they are written down every half a second. What
    the server did not see (because it died, or because the folder changed while it was away) is
    made good with the databases that are there.
    """

    def __init__(self, databases: Databases) -> None:
        self._latest: dict[tuple[str, EventKind], int] = {}
        self._unsaved: dict[tuple[str, EventKind], int] = {}
        self._waiting: set[asyncio.Future[None]] = set()
        self._timer: asyncio.TimerHandle | None = None
        self._journal = None if databases.folder is None else Journal(databases.folder / _FILE)
        self.seq = 0
        clean = self._load()
        self._compare(set(databases.names()), all_updated=not clean)
        self._save()
        self._stop = databases.listen(self._heard)

    def _load(self) -> bool:
        if self._journal is None:
            return False
        kept = self._journal.load()
        self.seq = kept.seq
        self._latest = {(name, kind): seq for name, kind, seq in kept.events}
        return kept.clean

    def _compare(self, names: set[str], *, all_updated: bool) -> None:
        # the last kind of each, as the order of a dict is that of the sequence
        known = dict(iter(self._latest))
        for name in sorted(names):
            if all_updated or known.get(name, "deleted") == "deleted":
                self._add(name, "updated")
        for name, kind in known.items():
            if kind != "deleted" and name not in names:
                self._add(name, "deleted")

    def _add(self, name: str, kind: EventKind) -> None:
        self.seq += 1
        # Taken out and put in again: the order of a dict is that of the sequence.
        self._latest.pop((name, kind), None)
        self._latest[name, kind] = self.seq
        if self._journal is not None:
            self._journal.reserve(self.seq)
            self._unsaved[name, kind] = self.seq

    def _heard(self, name: str, kind: EventKind) -> None:
        self._add(name, kind)
        if self._journal is not None and self._timer is None:
            self._save_later()
        waiting, self._waiting = self._waiting, set()
        for future in waiting:
            if not future.done():
                future.set_result(None)

    def _save_later(self) -> None:
        try:
            self._timer = asyncio.get_running_loop().call_later(_PAUSE, self._save)
        except RuntimeError:  # databases are made before the loop runs
            self._save()

    def _save(self) -> None:
        self._timer = None
        unsaved, self._unsaved = self._unsaved, {}
        if self._journal is not None and unsaved:
            self._journal.save((name, kind, seq) for (name, kind), seq in unsaved.items())

    def since(self, seq: int) -> list[DatabaseEvent]:
        """Return the events after a sequence, oldest first."""
        found: list[DatabaseEvent] = []
        for (name, kind), number in reversed(self._latest.items()):
            if number <= seq:
                break
            found.append(DatabaseEvent(number, name, kind))
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
        """Listen no longer, and write down what is not written yet."""
        self._stop()
        if self._timer is not None:
            self._timer.cancel()
        self._save()
        if self._journal is not None:
            self._journal.close(self.seq)
            self._journal = None


def descending(updates: Iterable[DatabaseEvent]) -> list[DatabaseEvent]:
    """Return the events, latest first."""
    return sorted(updates, reverse=True)
