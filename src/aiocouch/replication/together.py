"""Jobs that run at the same time, of which the first error ends all; and the end of a task.

Not by `asyncio.TaskGroup`: where its children fail while it is cancelled, it tells of the failures only. Who
took that for a reason to try again would never end.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine, Iterable


class Crew:
    """Tasks that work together. Leaving the block ends those that still run."""

    def __init__(self) -> None:
        self._tasks: list[asyncio.Task[Any]] = []

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await _all_ended(self._tasks)

    def start(self, work: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
        """Let one more work."""
        task = asyncio.create_task(work)
        self._tasks.append(task)
        return task

    async def until(self, task: asyncio.Task[Any]) -> None:
        """Wait for the end of one of them; raise the error of any that has failed."""
        while not task.done():
            working = [other for other in self._tasks if not other.done()]
            await asyncio.wait(working, return_when=asyncio.FIRST_COMPLETED)
            _raise_first(self._tasks)
        _raise_first(self._tasks)


async def together(jobs: Iterable[Callable[[], Awaitable[Any]]]) -> None:
    """Run jobs at the same time; raise the first error, as it was raised."""
    waiting = list(jobs)
    if len(waiting) < 2:
        for job in waiting:
            await job()
        return
    tasks = [asyncio.create_task(_run(job)) for job in waiting]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_EXCEPTION)
        _raise_first(tasks)
    finally:
        await _all_ended(tasks)


async def ended(task: asyncio.Task[Any]) -> None:
    """Cancel a task and wait for its end, however it ends.

    Who is cancelled meanwhile waits all the same, and is cancelled then: `suppress(CancelledError)` around
    the task would swallow that.
    """
    await _all_ended([task])


async def _all_ended(tasks: Iterable[asyncio.Task[Any]]) -> None:
    running = {task for task in tasks if not task.done()}
    for task in running:
        task.cancel()
    is_cancelled = False
    while left := {task for task in running if not task.done()}:
        try:
            await asyncio.wait(left)
        except asyncio.CancelledError:
            is_cancelled = True
    for task in tasks:
        if not task.cancelled():
            task.exception()  # so that it counts as seen
    if is_cancelled:
        raise asyncio.CancelledError


def _raise_first(tasks: Iterable[asyncio.Task[Any]]) -> None:
    for task in tasks:
        error = task.exception() if task.done() and not task.cancelled() else None
        if error is not None:
            raise error


async def _run(job: Callable[[], Awaitable[Any]]) -> None:
    await job()
