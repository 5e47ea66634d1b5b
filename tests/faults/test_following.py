"""A follower misses nothing, whatever breaks: its connection, its server, or itself."""

from __future__ import annotations

import asyncio
import random
import sys
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pytest

from aiocouch import CouchDBError, Database
from aiocouch.testing import Faults
from tests.support.installed import is_installed
from tests.support.killable import ROOT, KillableServer, killable

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

KINDS = ["embedded", *(["installed"] if is_installed() else [])]
ROW_BYTES = 250
BATCH = 500


@dataclass
class Plan:
    """How many changes there are, and how often what breaks meanwhile."""

    changes: int
    breaks: int
    server_kills: int
    follower_kills: int

    def actions(self, chance: random.Random) -> list[tuple[int, str]]:
        """After how many events what is killed, the first at the end."""
        kills = ["server"] * self.server_kills + ["follower"] * self.follower_kills
        return sorted(((chance.randrange(self.changes), what) for what in kills), reverse=True)


SMALL = Plan(changes=3000, breaks=5, server_kills=2, follower_kills=2)
LONG = Plan(changes=100_000, breaks=100, server_kills=20, follower_kills=10)


@dataclass
class Told:
    """What the followers have said, one after the other."""

    followers: int = 0
    repeats: int = 0
    wrong: list[str] = field(default_factory=list)
    seen: set[str] = field(default_factory=set)
    _run: list[str] = field(default_factory=list)  # the ids that this follower has handled
    _at: dict[str, int] = field(default_factory=dict)  # by sequence: how many they were then
    _settled: set[str] = field(default_factory=set)  # what must not come again

    def take(self, line: bytes) -> None:
        """Note a line. One that was cut short by a kill is not said."""
        if not line.endswith(b"\n"):
            return
        what, *rest = line.decode().split()
        if what == "start":
            self._run, self._at = [], {}
        elif what == "checkpoint":
            self._settled.update(self._run[: self._at.get(rest[0], 0)])
        elif what == "event":
            self._event(*rest)

    def _event(self, sequence: str, id: str) -> None:
        self.repeats += id in self.seen
        if id in self._settled:
            self.wrong.append(id)
        self.seen.add(id)
        self._run.append(id)
        self._at[sequence] = len(self._run)


@asynccontextmanager
async def follower(
    url: str, name: str, checkpoint: Path
) -> AsyncIterator[asyncio.subprocess.Process]:
    """The program, which is killed in the end."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.faults.telling", url, name, str(checkpoint)),
        stdout=asyncio.subprocess.PIPE,
        cwd=ROOT,
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


async def write(database: Database, count: int) -> None:
    """Write the documents, each batch until it is there."""
    for begin in range(0, count, BATCH):
        docs = [{"_id": f"d{number}"} for number in range(begin, min(begin + BATCH, count))]
        for _ in range(1000):
            try:
                await database.bulk_docs(docs)
                break
            except CouchDBError:
                await asyncio.sleep(0.1)
        else:
            raise AssertionError("the server does not come back")


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.timeout(3600)
async def test_nothing_is_missed(kind: str, tmp_path: Path, seed: int, is_long: bool) -> None:
    plan = LONG if is_long else SMALL
    (tmp_path / "data").mkdir()
    async with killable(kind, tmp_path / "data") as running:
        told = await followed(running, plan, random.Random(seed), tmp_path / "checkpoint")
    missed = {f"d{number}" for number in range(plan.changes)} - told.seen
    assert not missed
    assert not told.wrong
    assert told.followers == plan.follower_kills + 1
    assert running.kills == plan.server_kills


async def followed(
    running: KillableServer, plan: Plan, chance: random.Random, checkpoint: Path
) -> Told:
    """Let a follower see all changes, while what the plan says breaks."""
    told, actions = Told(), plan.actions(chance)
    async with (
        running.server.connect() as session,
        Faults(running.server, seed=chance.randrange(10**6)) as faults,
    ):
        database = await session.create("followed")
        faults.cut(
            range(2 * plan.changes * ROW_BYTES // plan.breaks), path="*/_changes", times=plan.breaks
        )
        writing = asyncio.ensure_future(write(database, plan.changes))
        # behind the last kill there is one more, though all may have been seen
        while len(told.seen) < plan.changes or actions or told.followers <= plan.follower_kills:
            async with follower(faults.server.auth_url, "followed", checkpoint) as process:
                told.followers += 1
                assert process.stdout is not None
                await listen(running, process.stdout, told, plan, actions)
                assert process.returncode is None, "the follower has ended by itself"
                process.kill()
                while line := await process.stdout.readline():  # what it had said before
                    told.take(line)
        await writing
    return told


async def listen(
    running: KillableServer,
    lines: asyncio.StreamReader,
    told: Told,
    plan: Plan,
    actions: list[tuple[int, str]],
) -> None:
    """Hear a follower, until it is to be killed, or has seen everything."""
    while True:
        while actions and len(told.seen) > actions[-1][0]:
            _, what = actions.pop()
            if what == "follower":
                return
            running.kill()
            await running.start()
        if len(told.seen) == plan.changes:
            return
        told.take(await lines.readline())
