"""What was handed out, and up to where all of it is acknowledged. Pure."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable

    from aiocouch.typing import JsonDict

__all__ = ["Ledger"]


class _Batch(NamedTuple):
    end: int  # the place of its last row
    rows: list[JsonDict]
    closing: Any  # a sequence after the rows, or None
    time: float


class Ledger:
    """Counts the rows of a feed: the first has place 1.

    `acknowledged` is the place up to which every row is acknowledged, `sequence` what the server calls
    it: where a feed goes on so that nothing is lost. `due` is the number of acknowledged rows at which the
    reader has something else to do. Only a reader that acknowledges each row before it
    takes the next may set `acknowledged` itself.
    """

    def __init__(self, sequence: str | None) -> None:
        self.acknowledged = 0
        self.received = 0
        self.due = 0
        self.at_move: Callable[[], None] | None = None
        self._sequence = sequence
        self._early: set[int] = set()
        self._batches: deque[_Batch] = deque()

    @property
    def outstanding(self) -> int:
        """How many rows came and are not acknowledged, or wait for one before them that is not."""
        return self.received - self.acknowledged

    @property
    def since(self) -> float | None:
        """The time at which the oldest row came that is not acknowledged; None when there is none."""
        return next((each.time for each in self._batches if each.end > self.acknowledged), None)

    def add(self, rows: list[JsonDict], time: float) -> int:
        """Take note of rows, in their order. Return the place before the first of them."""
        before = self.received
        self.received += len(rows)
        self._batches.append(_Batch(self.received, rows, None, time))
        if self._batches[0].end <= self.acknowledged:
            self._forget()
        return before

    def close(self, sequence: str) -> None:
        """Take note of a sequence that comes after all rows."""
        self._batches.append(_Batch(self.received, [], sequence, 0))

    def _forget(self) -> None:
        """Let go of what is acknowledged as a whole."""
        while self._batches and self._batches[0].end <= self.acknowledged:
            batch = self._batches.popleft()
            self._sequence = batch.closing or _last(batch.rows) or self._sequence

    def acknowledge(self, place: int) -> None:
        """Note that the row is done with. Once is enough, more does no harm."""
        if place <= self.acknowledged:
            return
        if place > self.acknowledged + 1:
            self._early.add(place)
            return
        while place + 1 in self._early:
            place += 1
            self._early.remove(place)
        self.acknowledged = place
        if self.at_move is not None:
            self.at_move()

    @property
    def sequence(self) -> str | None:
        """The sequence of the last row of those that are all acknowledged, None before the first."""
        self._forget()
        if not self._batches:
            return self._sequence
        end, rows, *_ = self._batches[0]
        done = len(rows) - (end - self.acknowledged)
        return _last(rows[: max(done, 0)]) or self._sequence


def _last(rows: list[JsonDict]) -> Any:
    """Return the last sequence; with `seq_interval` only some rows have one."""
    return next((row["seq"] for row in reversed(rows) if row["seq"] is not None), None)
