"""Jobs at the same time, the first error, and ends that are asked for."""

from __future__ import annotations

import asyncio

import pytest

from aiocouch.replication.together import ended, together


class Job:
    """Waits, and fails when it is cancelled, as a request does whose connection is closed with it."""

    def __init__(self) -> None:
        self.began = asyncio.Event()

    async def __call__(self) -> None:
        self.began.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            raise ConnectionError("closed") from None


async def test_the_first_error_ends_all() -> None:
    job = Job()

    async def fails() -> None:
        await job.began.wait()
        raise ValueError("first")

    with pytest.raises(ValueError, match="first"):
        await together([job, fails])


async def test_who_is_cancelled_is_cancelled_whatever_comes_of_it() -> None:
    jobs = [Job(), Job()]
    task = asyncio.create_task(together(jobs))
    for job in jobs:
        await job.began.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_the_end_of_a_task_is_waited_for_also_by_who_is_cancelled() -> None:
    job, may_end = Job(), asyncio.Event()
    was_asked = asyncio.Event()

    async def slow() -> None:
        try:
            await job()
        finally:
            was_asked.set()
            await may_end.wait()

    task = asyncio.create_task(slow())
    await job.began.wait()
    ending = asyncio.create_task(ended(task))
    await was_asked.wait()
    ending.cancel()
    await asyncio.sleep(0)
    assert not ending.done()
    may_end.set()
    with pytest.raises(asyncio.CancelledError):
        await ending
    assert task.done()
