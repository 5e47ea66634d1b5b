"""The follower: nothing is missed, and only what was not acknowledged comes again."""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import sys
from collections import Counter
from typing import TYPE_CHECKING, NamedTuple

import pytest

from aiocouch.testing import Faults
from tests.faults.oracle import Oracle, id_of
from tests.support.installed import is_installed
from tests.support.killable import ROOT, killable

if TYPE_CHECKING:
    from pathlib import Path

    from aiocouch.testing import SeenRequest
    from tests.support.killable import KillableServer

KINDS = ["embedded", *(["installed"] if is_installed() else [])]
NAME = "checked"


class Size(NamedTuple):
    """How much is done, and how often it is disturbed."""

    changes: int
    breaks: int
    kills_of_server: int
    kills_of_follower: int


SHORT, LONG = Size(300, 12, 1, 1), Size(100_000, 100, 20, 10)


class Handled(NamedTuple):
    """A change that a follower has handled: the number of its sequence, and the document's id."""

    number: int
    id: str


class FollowerProcess:
    """One follower after the other, and what they have handled."""

    def __init__(self, url: str, database: str) -> None:
        self.runs: list[list[Handled]] = []
        self.seen: set[str] = set()
        self._command = ("-m", "tests.faults.following", url, database, NAME)
        self._process: asyncio.subprocess.Process | None = None
        self._reading: asyncio.Task[None] | None = None
        self._more = asyncio.Condition()

    async def start(self) -> None:
        """Start another one."""
        self.runs.append([])
        self._process = await asyncio.create_subprocess_exec(
            sys.executable, *self._command, cwd=ROOT, stdout=asyncio.subprocess.PIPE, env=os.environ
        )
        self._reading = asyncio.create_task(self._read(self._process, self.runs[-1]))

    async def _read(self, process: asyncio.subprocess.Process, run: list[Handled]) -> None:
        assert process.stdout is not None
        async for line in process.stdout:
            sequence, _, id = line.decode().strip().partition(" ")
            run.append(Handled(int(sequence.partition("-")[0]), id))
            async with self._more:
                self.seen.add(id)
                self._more.notify_all()

    async def has_seen(self, count: int) -> None:
        """Wait until so many documents were seen. Fails when the follower ends before."""
        assert self._reading is not None
        enough = asyncio.create_task(self._wait_for(count))
        await asyncio.wait({enough, self._reading}, return_when=asyncio.FIRST_COMPLETED)
        enough.cancel()
        assert len(self.seen) >= count, "the follower has ended"

    async def _wait_for(self, count: int) -> None:
        async with self._more:
            await self._more.wait_for(lambda: len(self.seen) >= count)

    async def kill(self) -> None:
        """Kill it, and take what it had said."""
        if self._process is not None and self._reading is not None:
            with contextlib.suppress(ProcessLookupError):
                self._process.kill()
            await self._reading
            await self._process.wait()


async def write(oracle: Oracle, numbers: range) -> None:
    """Write documents, whatever happens to the server: what is there already is a conflict."""
    for start in range(numbers.start, numbers.stop, 1000):
        some = range(start, min(start + 1000, numbers.stop))
        docs = [{"_id": id_of(number), "n": number} for number in some]
        await oracle.ask("POST", "/_bulk_docs", {"docs": docs})


async def acknowledged(oracle: Oracle) -> int:
    """Give the number of the sequence that is in the checkpoint."""
    try:
        stored = await oracle.ask("GET", f"/_local/aiocouch-follower-{NAME}")
    except AssertionError:
        return 0
    return int(str(stored["sequence"]).partition("-")[0])


def disturb(faults: Faults, breaks: int) -> asyncio.Event:
    """Break the feed so often, in several ways; give what is set when all of that has happened."""
    feed = "*/_changes"
    faults.cut(range(100, 9000), path=feed, times=breaks // 3)
    faults.hush(path=feed, times=breaks // 4)
    faults.reset(path=feed, times=breaks // 6)
    faults.stall(900, path=feed, times=breaks // 6)
    faults.html(path=feed, times=breaks - breaks // 3 - breaks // 4 - 2 * (breaks // 6))
    faults.lose(path="*/_local/*", method="PUT", times=None, chance=0.1)
    is_over = asyncio.Event()

    def note(_: SeenRequest) -> bool:
        is_over.set()
        return False

    faults.reset(path=feed, when=note)  # asked when no rule before it is left
    return is_over


@pytest.mark.timeout(3600)
@pytest.mark.parametrize("kind", KINDS)
async def test_nothing_is_missed(kind: str, tmp_path: Path, seed: int, is_long: bool) -> None:
    size = LONG if is_long else SHORT
    async with (
        killable(kind, tmp_path) as running,
        Faults(running.server, seed=seed) as faults,
        Oracle(running.server, "followed") as oracle,
    ):
        await oracle.create()
        is_over = disturb(faults, size.breaks)
        follower = FollowerProcess(faults.url, "followed")
        await follower.start()
        try:
            checkpoints = await run(size, running, oracle, follower, seed)
            await is_over.wait()
        finally:
            await follower.kill()
        broken = faults.broken
        assert broken.total() - broken["lose"] == size.breaks
        ids = [handled.id for seen in follower.runs for handled in seen]
        assert set(ids) == set(await oracle.documents())
        assert running.kills == size.kills_of_server
    check_repeats(follower.runs, checkpoints)


async def run(
    size: Size, running: KillableServer, oracle: Oracle, follower: FollowerProcess, seed: int
) -> list[int]:
    """Write and kill in turn; give the checkpoint at the end of each killed follower."""
    checkpoints: list[int] = []
    kills = ["server"] * size.kills_of_server + ["follower"] * size.kills_of_follower
    random.Random(seed).shuffle(kills)
    step = size.changes // (len(kills) + 1)
    for begin, victim in zip(range(0, size.changes, step), kills, strict=False):
        await write(oracle, range(begin, begin + step))
        await follower.has_seen(begin + step // 3)
        if victim == "server":
            running.kill()
            await running.start()
        else:
            await follower.kill()
            checkpoints.append(await acknowledged(oracle))
            await follower.start()
    await write(oracle, range(step * len(kills), size.changes))
    await follower.has_seen(size.changes)
    return checkpoints


def check_repeats(runs: list[list[Handled]], checkpoints: list[int]) -> None:
    """Nothing comes twice to one follower, or again to the next if it was in the checkpoint."""
    for seen in runs:
        twice = [id for id, times in Counter(handled.id for handled in seen).items() if times > 1]
        assert not twice
    for checkpoint, after in zip(checkpoints, runs[1:], strict=True):
        assert all(handled.number > checkpoint for handled in after)
