"""`python -m benchmarks.inprocess`: a database in the process beside the same server by HTTP on loopback.

All have folders on the same disk, and take turns. By HTTP the server is once in a process of its own, which
has a core for itself, and once in this one, as the one that is asked by calls. For the test it is that of the
pytest plugin, on a thread.

What stands in the way of a target is measured, too. `commit` is what SQLite alone takes to have a small row
on the disk, in a log that has its size: no save can be faster, whichever way it comes. `entered` is a test
that does nothing: its session enters the server, and leaves it. `read` is what SQLite alone takes to read a
document of a list.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import sqlite3
import statistics
import tempfile
import time
import uuid
from pathlib import Path
from typing import TYPE_CHECKING

from aiocouch import CouchDB
from aiocouch.embedded import EmbeddedCouchDB
from aiocouch.testing import BackgroundCouchDB
from benchmarks import report
from benchmarks.clients.work import BATCH, document
from benchmarks.seeding import batched
from benchmarks.servers import serving

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from aiocouch import Database
    from aiocouch.testing import CouchDBServer

    Found = dict[str, list[list[float]]]
    Work = Callable[[Database, int], Awaitable[None]]

SETTINGS = {"chttpd_auth": {"iterations": "10"}}
SAVES = 500
GROWN = 1_000  # rows after which SQLite writes its log anew from the beginning
TARGETS = {"get": 0.15, "save": 0.4, "docs()": 0.6, "test": 0.2, "test, in bulk": 0.2}


async def seed(db: Database, count: int) -> None:
    """Write the documents that are read."""
    for batch in batched(map(document, range(count))):
        async with db.create_docs() as bulk:
            for one in batch:
                bulk.create(one.pop("_id"), one)


async def get(db: Database, count: int) -> None:
    """Get documents, one after the other."""
    for serial in range(count):
        await db.get(document(serial % BATCH)["_id"])


async def save(db: Database, count: int) -> None:
    """Save an edit of a document, again and again."""
    doc = await db.create(uuid.uuid4().hex)
    for serial in range(count):
        doc["serial"] = serial
        await doc.save()


async def docs(db: Database, count: int) -> None:
    """Read all documents."""
    seen = 0
    async for _ in db.docs():
        seen += 1
    assert seen >= count, seen


async def one_by_one(couchdb: CouchDB) -> None:
    """Do what a test does: a fresh database, and ten documents."""
    db = await couchdb.create(f"test-{uuid.uuid4().hex}")
    for serial in range(10):
        await (await db.create(f"d{serial}", data={"serial": serial})).save()
    await db.delete()


async def in_bulk(couchdb: CouchDB) -> None:
    """Do the same, with the documents in one request."""
    db = await couchdb.create(f"test-{uuid.uuid4().hex}")
    async with db.create_docs() as bulk:
        for serial in range(10):
            bulk.create(f"d{serial}", {"serial": serial})
    await db.delete()


async def entered(_couchdb: CouchDB) -> None:
    """Do nothing in the session of a test."""


async def seconds_of(work: Work, db: Database, count: int) -> float:
    """Do it, and tell how long it took."""
    begun = time.perf_counter()
    await work(db, count)
    return time.perf_counter() - begun


async def sessions(couchdbs: Sequence[CouchDB], counts: dict[str, int], rounds: int) -> Found:
    """Measure what sessions do, in turn."""
    databases = [await couchdb.create("bench", exists_ok=True) for couchdb in couchdbs]
    for db in databases:
        await seed(db, counts["docs()"])
    works: dict[str, Work] = {"get": get, "save": save, "docs()": docs}
    found: Found = {name: [] for name in works}
    for _ in range(rounds):
        for name, work in works.items():
            found[name].append([await seconds_of(work, db, counts[name]) for db in databases])
    return found


def commits(folder: Path, count: int) -> float:
    """Seconds that a commit takes, with nothing but SQLite as the server opens it."""
    path = folder / "commit.sqlite"
    path.unlink(missing_ok=True)
    connection = sqlite3.connect(path, isolation_level=None)
    with contextlib.closing(connection):
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("CREATE TABLE rows (id INTEGER PRIMARY KEY, body TEXT)")
        _insert(connection, GROWN)
        begun = time.perf_counter()
        _insert(connection, count)
        return (time.perf_counter() - begun) / count


def _insert(connection: sqlite3.Connection, count: int) -> None:
    for _ in range(count):
        connection.execute("INSERT INTO rows (body) VALUES (?)", ("x" * 500,))


def reads(path: Path) -> float:
    """Seconds that SQLite alone takes to read the documents of a database, some hundred at a time."""
    with contextlib.closing(sqlite3.connect(path)) as connection:
        begun = time.perf_counter()
        rows = connection.execute("SELECT id, rev, body, attachments FROM docs ORDER BY id")
        while rows.fetchmany(500):
            pass
        return time.perf_counter() - begun


def tests(rounds: int) -> Found:
    """Measure a test with the fixture by URL, and with the one in the process."""
    works = {"test": one_by_one, "test, in bulk": in_bulk, "entered": entered}
    found: Found = {name: [] for name in works}
    with BackgroundCouchDB(settings=SETTINGS) as server:
        for _ in range(rounds * 10):
            for name, work in works.items():
                by_http = _test(server.connect, work)
                found[name].append([by_http, by_http, _test(_inside, work)])
    return found


def _inside() -> CouchDB:
    return EmbeddedCouchDB(settings=SETTINGS).connect()


def _test(connect: Callable[[], CouchDB], work: Callable[[CouchDB], Awaitable[None]]) -> float:
    async def one() -> float:
        begun = time.perf_counter()
        async with connect() as couchdb:
            await work(couchdb)
        return time.perf_counter() - begun

    return asyncio.run(one())


async def _by_turns(server: CouchDBServer, counts: dict[str, int], rounds: int) -> Found:
    with tempfile.TemporaryDirectory(prefix="aiocouch-bench-") as folder:
        async with (
            server.connect() as http,
            EmbeddedCouchDB(Path(folder, "listening")) as listening,
            CouchDB(listening.url, "admin", "admin") as http_here,
            CouchDB(f"embedded://{folder}/inside") as inside,
        ):
            found = await sessions([http, http_here, inside], counts, rounds)
        path = Path(folder, "inside", "databases", "bench", "database.sqlite")
        found["read"] = [[reads(path)] * 3 for _ in range(rounds)]
        found["commit"] = [[commits(Path(folder), 500)] * 3 for _ in range(rounds)]
        return found


def as_table(found: Found, counts: dict[str, int]) -> str:
    """Return the medians, side by side."""
    rows = []
    for name, rounds in found.items():
        times = counts.get(name, 1)
        each = [1e6 * statistics.median(column) / times for column in zip(*rounds, strict=True)]
        wanted = TARGETS.get(name)
        ratios = [f"{statistics.median(r[2] / r[side] for r in rounds):.2f}" for side in (0, 1)]
        shown = ["", ""] if wanted is None else ratios
        aim = "" if wanted is None else f"{wanted:.2f}"
        rows.append([name, f"{times:,}", *[f"{value:,.1f}" for value in each], *shown, aim])
    head = ["work", "times", "HTTP, µs each", "HTTP here, µs each", "calls, µs each"]
    return report.table([*head, "ratio", "ratio here", "wanted"], rows)


def limits(found: Found) -> str:
    """Return what stands in the way of the targets, in words."""
    medians = {
        name: [1e6 * statistics.median(column) for column in zip(*rounds, strict=True)]
        for name, rounds in found.items()
    }
    save, _, calls = (each / SAVES for each in medians["save"])
    commit, entering = medians["commit"][0], medians["entered"][2]
    reading = medians["read"][0] / medians["docs()"][0]
    beside = f", and in all but that the ratio is {(calls - commit) / (save - commit):.2f}"
    return (
        f"A save waits for the disk whichever way it comes: a commit of SQLite alone takes {commit:,.0f} µs,"
        f" {commit / save:.2f} of a save by HTTP{beside if calls > commit else ''}.\n\n"
        "A server in a process of its own makes the next rows of `docs()` on a second core, while the client"
        " takes these. In the process one core does both, of which SQLite alone takes"
        f" {reading:.2f} of HTTP's time to read.\n\n"
        "By HTTP a test finds a server that runs, with a core of its own; in the process it has a fresh one."
        f" To enter that and to leave it takes {entering:,.0f} µs, of the"
        f" {TARGETS['test, in bulk'] * medians['test, in bulk'][0]:,.0f} that are wanted for a test in bulk."
    )


def main() -> None:
    """Measure, print and keep."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.inprocess", description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--count", type=int, default=100_000, help="documents that docs() reads")
    parser.add_argument("--out", type=Path, default=report.FOLDER)
    given = parser.parse_args()
    counts = {"get": 2_000, "save": SAVES, "docs()": given.count, "read": given.count}
    with serving("embedded") as running:
        found = asyncio.run(_by_turns(running.server, counts, given.rounds))
    found |= tests(given.rounds)
    said = report.said(report.machine("itself", given.rounds))
    text = f"{as_table(found, counts)}\n{limits(found)}\n\n{said}\n"
    print(text)
    (given.out / "inprocess.md").write_text(text)


if __name__ == "__main__":
    main()
