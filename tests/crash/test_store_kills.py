"""Kill a program that writes into the store as fast as it can: what it was told is there is there."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, NamedTuple

import msgspec
import pytest

from aiocouch._wire.revision import parse_revision
from aiocouch.embedded.store.registry import Databases
from tests.crash.ledger import DATABASE, check_whole, content_of
from tests.crash.processes import kill, running
from tests.crash.writer import attached

if TYPE_CHECKING:
    from pathlib import Path

    from aiocouch.embedded.store.database import Database

SEEDS = range(5)
KILLS = 5


class Write(NamedTuple):
    """A write that was acknowledged; `seq` is the highest sequence that was known then."""

    id: str
    rev: str | int
    seq: int


def killed_while_writing(folder: Path, number: int, acknowledged: int) -> list[Write]:
    """Let the writer run until so many writes are acknowledged, kill it, and give them all."""
    with running("-m", "tests.crash.writer", str(folder), str(number)) as process:
        assert process.stdout is not None
        lines = [process.stdout.readline() for _ in range(acknowledged)]
        kill(process)
        lines += process.stdout.readlines()
    return [Write(*msgspec.json.decode(line)) for line in lines if line.endswith(b"\n")]


def missing(database: Database, writes: list[Write]) -> list[Write]:
    """Give the writes that are not there."""
    return [write for write in writes if not is_there(database, write)]


def is_there(database: Database, write: Write) -> bool:
    """Tell whether a revision is known, and the latest one of its document is whole."""
    if write.id.startswith("_local/"):
        return database.local(write.id) is not None
    entry = database.get(write.id)
    if entry is None or entry.tree.find(parse_revision(str(write.rev))) is None:
        return False
    found = content_of(database, entry)
    number = (found.body or {}).get("n", 0)
    # the second revision has the attachment and a negative number
    return found.files == ({"a.bin": attached(-number)} if number < 0 else {})


async def check(folder: Path, writes: list[Write]) -> None:
    """Open the folder as the next process would, and look for the writes."""
    databases = Databases(folder)
    try:
        database = databases.open(DATABASE)
        assert database is not None
        assert missing(database, writes) == []
        assert database.update_seq >= max(write.seq for write in writes)
        check_whole(database)
    finally:
        await databases.close()


@pytest.mark.parametrize("seed", SEEDS)
async def test_no_acknowledged_write_is_lost_when_the_process_is_killed(
    tmp_path: Path, seed: int
) -> None:
    chance = random.Random(seed)
    writes: list[Write] = []
    for number in range(KILLS):
        new = killed_while_writing(tmp_path, number, chance.randint(1, 120))
        assert new
        await check(tmp_path, new)
        writes += new
    await check(tmp_path, writes)
