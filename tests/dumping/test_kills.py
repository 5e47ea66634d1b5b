"""A dump and a restore that are killed again and again end as if nothing had happened."""

from __future__ import annotations

import asyncio
import os
import random
import sys
from typing import TYPE_CHECKING

import pytest

from aiocouch.dumping import Dump, Restore
from tests.dumping.databases import fill, leaf, leaves_of

if TYPE_CHECKING:
    from pathlib import Path

    from aiocouch import Database
    from aiocouch.testing import CouchDBServer

# Marks as often as can be, so that a kill finds some; small groups, so that it takes a while.
_PROGRAM = """
import asyncio, sys
from aiocouch import CouchDB
from aiocouch.dumping import Dump, Restore, compare, dump, restore, source
dump._MARK_SECONDS = restore._MARK_SECONDS = 0.0
compare.PAGE, source.GROUP, restore._TOGETHER = 50, 10, 10

async def main(what, url, name, path):
    async with CouchDB(url) as couchdb:
        db = couchdb.database(name)
        print("begun", flush=True)
        await (Dump(db, path) if what == "dump" else Restore(db, path))

asyncio.run(main(*sys.argv[1:]))
"""


async def killed(*arguments: str, seconds: float) -> int | None:
    """Run the program for so long, and kill it; return its status, None when it was killed."""
    process = await asyncio.create_subprocess_exec(
        *[sys.executable, "-W", "error", "-c", _PROGRAM, *arguments],
        stdout=asyncio.subprocess.PIPE,
        env=dict(os.environ),
    )
    assert process.stdout is not None
    await process.stdout.readline()
    try:
        return await asyncio.wait_for(process.wait(), seconds)
    except TimeoutError:
        process.kill()
        await process.wait()
        return None


@pytest.mark.timeout(900)
async def test_killed_again_and_again(
    db: Database,
    copy: Database,
    couchdb_server: CouchDBServer,
    tmp_path: Path,
    pytestconfig: pytest.Config,
) -> None:
    kills = int(str(pytestconfig.getoption("--dump-kills")))
    await fill(db)
    leaves = [leaf(f"many{number:05}", "b", "a", n=number) for number in range(3_000)]
    await db.bulk_docs(leaves, new_edits=False)
    path, url = tmp_path / "a.gz", couchdb_server.auth_url
    chance = random.Random(kills)
    for what, name in (("dump", db.id), ("restore", copy.id)):
        left, seconds = kills, 0.1
        while left:
            status = await killed(what, url, name, str(path), seconds=chance.uniform(0.0, seconds))
            assert status in {None, 0}
            left -= status is None
            if status == 0:
                break  # it was too fast for more of them
            seconds *= 1.1  # so that it gets on where the machine is busy
        if what == "dump" and not path.exists():
            assert (await Dump(db, path)).leaves >= 3_041
    done = await Restore(copy, path, merge=True)
    assert (done.missing, done.refused) == ((), ())
    assert await leaves_of(copy) == await leaves_of(db)
