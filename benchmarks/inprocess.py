"""`python -m benchmarks.inprocess`: a database in the process beside the same server by HTTP on loopback.

All have folders on the same disk, and take turns. By HTTP the server is once in a process of its own, which
has a core for itself, and once in this one, as the one that is asked by calls. For the test it is that of the
pytest plugin, on a thread. `commit` is what SQLite alone takes to have a small row on the disk: no save can
be faster.
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
    connection = sqlite3.connect(folder / "commit.sqlite", isolation_level=None)
    with contextlib.closing(connection):
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("CREATE TABLE rows (id INTEGER PRIMARY KEY, body TEXT)")
        begun = time.perf_counter()
        for _ in range(count):
            connection.execute("INSERT INTO rows (body) VALUES (?)", ("x" * 500,))
        return (time.perf_counter() - begun) / count


def tests(rounds: int) -> Found:
    """Measure a test with the fixture by URL, and with the one in the process."""
    found: Found = {"test": [], "test, in bulk": []}
    with BackgroundCouchDB(settings=SETTINGS) as server:
        for _ in range(rounds * 10):
            for name, work in (("test", one_by_one), ("test, in bulk", in_bulk)):
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
        found["commit"] = [[commits(Path(folder), 500)] * 3 for _ in range(1)]
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


def main() -> None:
    """Measure, print and keep."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.inprocess", description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--count", type=int, default=100_000, help="documents that docs() reads")
    parser.add_argument("--out", type=Path, default=report.FOLDER)
    given = parser.parse_args()
    counts = {"get": 2_000, "save": 500, "docs()": given.count}
    with serving("embedded") as running:
        found = asyncio.run(_by_turns(running.server, counts, given.rounds))
    found |= tests(given.rounds)
    text = f"{as_table(found, counts)}\n\n{report.said(report.machine('itself', given.rounds))}\n"
    print(text)
    (given.out / "inprocess.md").write_text(text)


if __name__ == "__main__":
    main()
