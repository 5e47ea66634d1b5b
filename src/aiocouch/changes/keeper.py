"""Writes checkpoints, not too often."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING

from aiocouch.changes.patience import is_passing
from aiocouch.exception import CouchDBError

if TYPE_CHECKING:
    from collections.abc import Callable

    from aiocouch.changes.checkpoint import Checkpoint

__all__ = ["Keeper"]

LOGGER = logging.getLogger("aiocouch")


class Keeper:
    """Saves the sequence up to which all is acknowledged, each at most once, one after the other.

    What fails for a reason that passes is logged and done later. Any other failure is raised, that of
    `watch` by `check`.
    """

    def __init__(self, checkpoint: Checkpoint | None, seconds: float) -> None:
        self._checkpoint = checkpoint
        self._seconds = seconds
        self._saved: str | None = None
        self._lock = asyncio.Lock()
        self._failure: Exception | None = None

    async def load(self) -> str | None:
        """Return the sequence that was saved last."""
        if self._checkpoint is None:
            return None
        self._saved = await self._checkpoint.load()
        return self._saved

    async def save(self, position: Callable[[], str | None]) -> None:
        """Save the sequence of now. Raise whatever goes wrong."""
        if self._checkpoint is None:
            return
        async with self._lock:
            # Looked up here: one from before the wait would take the checkpoint back.
            sequence = position()
            if sequence is not None and sequence != self._saved:
                await self._checkpoint.save(sequence)
                self._saved = sequence

    async def save_soon(self, position: Callable[[], str | None]) -> None:
        """Save the sequence of now, or later if the store is away."""
        try:
            await self.save(position)
        except CouchDBError as error:
            if not is_passing(error):
                raise
            LOGGER.warning("a checkpoint could not be written, and will be later: %s", error)

    async def watch(
        self, position: Callable[[], str | None], at_failure: Callable[[], None]
    ) -> None:
        """Save from time to time where the position is then."""
        try:
            while True:
                await asyncio.sleep(self._seconds)
                await self.save_soon(position)
        except Exception as error:  # noqa: BLE001 - it is raised where somebody waits for events
            self._failure = error
            at_failure()

    def check(self) -> None:
        """Raise what `watch` has met."""
        if self._failure is not None:
            raise self._failure
