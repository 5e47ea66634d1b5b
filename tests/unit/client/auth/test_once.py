"""Work that one does and many wait for."""

import asyncio

import pytest

from aiocouch.auth.once import Once
from aiocouch.exception import ForbiddenError


class Work:
    def __init__(self) -> None:
        self.begun = 0
        self.gate = asyncio.Event()
        self.error: Exception | None = None

    async def __call__(self) -> None:
        self.begun += 1
        await self.gate.wait()
        if self.error is not None:
            raise self.error


async def everybody_waits() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


async def test_one_works_for_all() -> None:
    once, work = Once(), Work()
    tasks = [asyncio.create_task(once(work)) for _ in range(64)]
    await everybody_waits()
    work.gate.set()
    await asyncio.gather(*tasks)
    assert work.begun == 1


async def test_who_comes_later_works_again() -> None:
    once, work = Once(), Work()
    work.gate.set()
    await once(work)
    await once(work)
    assert work.begun == 2


async def test_all_get_the_error_each_an_own_one_of_ours() -> None:
    once, work = Once(), Work()
    work.error = ForbiddenError("no")
    tasks = [asyncio.create_task(once(work)) for _ in range(3)]
    await everybody_waits()
    work.gate.set()
    errors = await asyncio.gather(*tasks, return_exceptions=True)
    assert [str(error) for error in errors] == ["no"] * 3
    assert len({id(error) for error in errors}) == 3
    assert work.begun == 1


async def test_the_next_one_takes_over_when_the_first_is_cancelled() -> None:
    once, work = Once(), Work()
    first, *rest = [asyncio.create_task(once(work)) for _ in range(4)]
    await everybody_waits()
    first.cancel()
    await everybody_waits()
    assert first.cancelled()
    work.gate.set()
    await asyncio.gather(*rest)
    assert work.begun == 2


async def test_a_waiter_that_is_cancelled_disturbs_nobody() -> None:
    once, work = Once(), Work()
    first, second, third = [asyncio.create_task(once(work)) for _ in range(3)]
    await everybody_waits()
    second.cancel()
    await everybody_waits()
    assert second.cancelled()
    work.gate.set()
    await asyncio.gather(first, third)
    assert work.begun == 1


async def test_an_error_that_only_the_first_sees_is_no_unseen_one() -> None:
    once, work = Once(), Work()
    work.error = ValueError("a callback's own")
    work.gate.set()
    with pytest.raises(ValueError, match="own"):
        await once(work)
