"""Blocks that end in time, watched by one timer."""

from __future__ import annotations

import asyncio

import pytest

from aiocouch._transport.deadlines import Deadlines


async def test_a_block_ends_in_time_or_is_ended() -> None:
    deadlines = Deadlines()
    with deadlines.within(60), deadlines.within(None):
        await asyncio.sleep(0)
    loop = asyncio.get_running_loop()
    begun = loop.time()
    # the second timer rings before the first one, which rings all the same
    for seconds in (0.05, 0.01):
        with pytest.raises(TimeoutError), deadlines.within(60), deadlines.within(seconds):
            await asyncio.Event().wait()
    assert 0.06 <= loop.time() - begun < 30
    task = asyncio.current_task()
    assert task is not None
    assert task.cancelling() == 0


async def test_blocks_of_many_tasks_end_in_their_order() -> None:
    deadlines = Deadlines()
    ended: list[float] = []

    async def wait(seconds: float) -> None:
        try:
            with deadlines.within(seconds):
                await asyncio.Event().wait()
        except TimeoutError:
            ended.append(seconds)

    await asyncio.gather(*map(wait, (0.03, 0.01, 0.02, 0.01)))
    assert ended == [0.01, 0.01, 0.02, 0.03]


async def test_all_blocks_end_at_once() -> None:
    deadlines = Deadlines()

    async def wait(seconds: float | None) -> str:
        try:
            with deadlines.within(seconds):
                await asyncio.Event().wait()
        except TimeoutError:
            return "ended"
        return "by itself"

    tasks = [asyncio.create_task(wait(seconds)) for seconds in (None, 60)]
    await asyncio.sleep(0)
    deadlines.end()
    assert await asyncio.gather(*tasks) == ["ended"] * 2


async def test_who_is_cancelled_by_others_stays_cancelled() -> None:
    deadlines = Deadlines()

    async def wait() -> None:
        with deadlines.within(60):
            await asyncio.Event().wait()

    for is_also_over in (False, True):
        task = asyncio.create_task(wait())
        await asyncio.sleep(0)
        if is_also_over:
            deadlines.end()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task


async def test_an_error_in_a_block_is_that_of_the_block() -> None:
    deadlines = Deadlines()
    with pytest.raises(KeyError), deadlines.within(60):
        raise KeyError("mine")


async def test_a_block_is_one_of_a_task() -> None:
    loop = asyncio.get_running_loop()
    said: asyncio.Future[str] = loop.create_future()

    def call() -> None:
        try:
            Deadlines().within(1).__enter__()
        except RuntimeError as error:
            said.set_result(str(error))

    loop.call_soon(call)
    assert await said == "a call is made in a task"
