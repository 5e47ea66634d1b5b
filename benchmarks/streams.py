"""`python -m benchmarks.streams`: the time that a stream of documents takes by `Database.write`.

Beside `create_docs()`, which sends one request after the other. Both in turn, each time into a new
database; the ratios are of pairs. What it can gain is what the server has cores for.
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import time
from typing import TYPE_CHECKING

from aiocouch import CouchDB, Database
from benchmarks.clients.work import documents
from benchmarks.servers import Running, serving

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

DATABASE = "bench-streams"


async def created(database: Database, count: int) -> int:
    """Write by `create_docs()`."""
    async with database.create_docs() as bulk:
        for doc in documents(count):
            bulk.create(doc["_id"], doc)
    return len(bulk.ok or ())


async def streamed(database: Database, count: int, window: int, batch_size: int) -> int:
    """Write by `Database.write`."""
    stream = database.write(documents(count), window=window, batch_size=batch_size)
    return sum([outcome.ok async for outcome in stream])


async def timed(running: Running, write: Callable[[Database], Awaitable[int]], count: int) -> float:
    """Seconds that it takes."""
    running.recreate(DATABASE)
    server = running.server
    async with CouchDB(server.url, user=server.user, password=server.password) as couchdb:
        start = time.perf_counter()
        written = await write(Database(couchdb, DATABASE))
        seconds = time.perf_counter() - start
    if written != count:
        raise RuntimeError(f"{written} documents of {count} were written")
    return seconds


async def measure(running: Running, given: argparse.Namespace) -> None:
    """Measure, and print the pairs."""
    ratios = []
    for _ in range(given.pairs):
        base = await timed(running, lambda db: created(db, given.count), given.count)
        ours = await timed(
            running,
            lambda db: streamed(db, given.count, given.window, given.batch_size),
            given.count,
        )
        ratios.append(ours / base)
        print(f"create_docs {base:.2f} s, write {ours:.2f} s, ratio {ours / base:.2f}", flush=True)
    print(f"{running.title()}: median of the ratios {statistics.median(ratios):.2f}")


def main() -> None:
    """Measure what the command line says."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.streams", description=__doc__)
    parser.add_argument("--count", type=int, default=100_000)
    parser.add_argument("--pairs", type=int, default=3)
    parser.add_argument("--window", type=int, default=4)
    parser.add_argument("--batch-size", type=int, default=1_000)
    parser.add_argument("--server", default="couchdb", help="embedded, couchdb, or a URL")
    given = parser.parse_args()
    with serving(given.server) as running:
        asyncio.run(measure(running, given))


if __name__ == "__main__":
    main()
