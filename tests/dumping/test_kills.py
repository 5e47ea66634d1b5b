"""A dump and a restore that are killed again and again end as if nothing had happened."""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import sys
import time
import uuid
from typing import TYPE_CHECKING

import pytest

from aiocouch import NotFoundError
from aiocouch.dumping import Dump, Restore
from tests.dumping.databases import fill, leaf, leaves_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from aiocouch import CouchDB, Database
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
        with contextlib.suppress(ProcessLookupError):  # it has ended meanwhile
            process.kill()
        status = await process.wait()
        return status if status >= 0 else None


@pytest.fixture
async def copies(couchdb: CouchDB) -> AsyncIterator[list[Database]]:
    """Databases to restore into, which are deleted in the end."""
    made: list[Database] = []
    yield made
    for each in made:
        with contextlib.suppress(NotFoundError):
            await each.delete()


def another(couchdb: CouchDB, copies: list[Database]) -> Database:
    """Return one that does not exist yet."""
    copies.append(couchdb.database(f"test-{uuid.uuid4().hex}"))
    return copies[-1]


@pytest.mark.timeout(900)
async def test_killed_again_and_again(
    db: Database,
    copies: list[Database],
    couchdb_server: CouchDBServer,
    tmp_path: Path,
    pytestconfig: pytest.Config,
) -> None:
    kills = int(str(pytestconfig.getoption("--dump-kills")))
    chance = random.Random(kills)
    await fill(db)
    leaves = [leaf(f"many{number:05}", "b", "a", n=number) for number in range(3_000)]
    await db.bulk_docs(leaves, new_edits=False)
    path, url = tmp_path / "a.gz", couchdb_server.auth_url

    # One that nobody kills tells how long it takes.
    began = time.monotonic()
    assert await killed("dump", url, db.id, str(path), seconds=600) == 0
    whole = time.monotonic() - began
    path.unlink()
    left = kills
    while left:
        await killed("dump", url, db.id, str(path), seconds=chance.uniform(0, whole))
        left -= not path.exists()
        path.unlink(missing_ok=True)  # it was whole before it was killed: begin anew
    assert (await Dump(db, path)).leaves >= 3_041

    began = time.monotonic()
    copy = another(db.couchdb, copies)
    assert await killed("restore", url, copy.id, str(path), seconds=600) == 0
    whole = time.monotonic() - began
    copy, left = another(db.couchdb, copies), kills
    while left:
        seconds = chance.uniform(0, whole)
        if await killed("restore", url, copy.id, str(path), seconds=seconds) is None:
            left -= 1
        else:
            assert await leaves_of(copy) == await leaves_of(db)
            copy = another(db.couchdb, copies)
    done = await Restore(copy, path, merge=True)
    assert (done.missing, done.refused, done.is_equal) == ((), (), True)
    assert await leaves_of(copy) == await leaves_of(db)
