"""Jobs that run at the same time, of which the first error ends all; and the end of a task."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable


async def together(jobs: Iterable[Callable[[], Awaitable[Any]]]) -> None:
    """Run jobs at the same time; raises the first error, as it was raised."""
    waiting = list(jobs)
    if len(waiting) < 2:
        for job in waiting:
            await job()
        return
    try:
        async with asyncio.TaskGroup() as group:
            for job in waiting:
                group.create_task(_run(job))
    except BaseExceptionGroup as errors:
        raise first_of(errors) from None


def first_of(errors: BaseExceptionGroup[BaseException]) -> BaseException:
    """The first error in a group of groups."""
    error: BaseException = errors
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error


async def ended(task: asyncio.Task[Any]) -> None:
    """Cancel a task and wait for its end, however it ends.

    Who is cancelled meanwhile waits all the same, and is cancelled then: `suppress(CancelledError)` around
    the task would swallow that.
    """
    task.cancel()
    is_cancelled = False
    while not task.done():
        try:
            await asyncio.wait({task})
        except asyncio.CancelledError:
            is_cancelled = True
    if not task.cancelled():
        task.exception()  # so that it counts as seen
    if is_cancelled:
        raise asyncio.CancelledError


async def _run(job: Callable[[], Awaitable[Any]]) -> None:
    await job()
