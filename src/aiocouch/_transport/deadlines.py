"""Times at which calls must have ended. One timer watches them all, for nearly all end long before."""

from __future__ import annotations

import asyncio
import math
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from types import TracebackType

__all__ = ["Deadlines"]


class Deadlines:
    """The calls of one session that are under way, each in a block: `with deadlines.within(seconds):`."""

    def __init__(self) -> None:
        self._open: set[_Block] = set()
        self._timer: asyncio.TimerHandle | None = None

    def within(self, seconds: float | None) -> _Block:
        """Return a block of the running task that ends so, or with TimeoutError; None: when it likes."""
        return _Block(self._open, self._watch, seconds)

    def end(self) -> None:
        """End all blocks now, and watch no longer."""
        for block in list(self._open):
            block.end()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _watch(self, loop: asyncio.AbstractEventLoop, deadline: float) -> None:
        """See that the timer rings by then."""
        if self._timer is not None:
            if self._timer.when() <= deadline:
                return
            self._timer.cancel()
        self._timer = loop.call_at(deadline, self._ring, loop)

    def _ring(self, loop: asyncio.AbstractEventLoop) -> None:
        self._timer = None
        for block in list(self._open):
            if block.deadline <= loop.time():
                block.end()
        left = min((block.deadline for block in self._open if not block.is_over), default=math.inf)
        if left < math.inf:
            self._watch(loop, left)


class _Block:
    """What `asyncio.timeout` is, without a timer of its own."""

    __slots__ = ("_cancelling", "_open", "_seconds", "_task", "_watch", "deadline", "is_over")

    _task: asyncio.Task[Any]
    _cancelling: int

    def __init__(self, open: set[_Block], watch: Any, seconds: float | None) -> None:
        self._open = open
        self._watch = watch
        self._seconds = seconds
        self.deadline = math.inf
        self.is_over = False

    def __enter__(self) -> None:
        task = asyncio.current_task()
        if task is None:
            raise RuntimeError("a call is made in a task")
        self._task, self._cancelling = task, task.cancelling()
        self._open.add(self)
        if self._seconds is not None:
            loop = task.get_loop()
            self.deadline = loop.time() + self._seconds
            self._watch(loop, self.deadline)

    def end(self) -> None:
        """End the block: its task is cancelled, which `__exit__` makes a TimeoutError."""
        if not self.is_over:
            self.is_over = True
            self._task.cancel()

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._open.discard(self)
        if not self.is_over:
            return
        # others may have cancelled the task as well, and that counts
        by_nobody_else = self._task.uncancel() <= self._cancelling
        if by_nobody_else and exc_type is asyncio.CancelledError:
            raise TimeoutError from exc
