"""`python -m benchmarks.following`: the CPU of a follower beside a loop over `changes()`.

Both read the same feed of a server, in turn and in one process; the ratios are of pairs.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import statistics
import time
from contextlib import aclosing
from typing import TYPE_CHECKING

from aiocouch import CouchDB, Database
from benchmarks.servers import Running, serving

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

DATABASE = "bench-following"
_PORTION = 1_000


def fill(running: Running, count: int) -> None:
    """Write documents, a change each."""
    running.recreate(DATABASE)
    for start in range(0, count, _PORTION):
        numbers = range(start, min(start + _PORTION, count))
        docs = [{"_id": f"d{number:07}", "n": number} for number in numbers]
        running.ask("POST", f"{DATABASE}/_bulk_docs", {"docs": docs})


async def by_feed(database: Database, count: int) -> int:
    """Read a continuous feed as far as it goes now."""
    seen = 0
    async with aclosing(aiter(database.changes(feed="continuous", heartbeat=10_000))) as events:
        async for event in events:
            seen += bool(event.id)
            if seen == count:
                break
    return seen


async def by_follower(database: Database, count: int) -> int:
    """The same by a follower."""
    seen = 0
    async with database.follow() as follower:
        async for event in follower:
            seen += bool(event.id)
            if seen == count:
                break
    return seen


async def cost(read: Callable[[Database, int], Awaitable[int]], db: Database, count: int) -> float:
    """Seconds of CPU of this process."""
    gc.collect()
    start = time.process_time()
    if await read(db, count) != count:
        raise RuntimeError("not all changes came")
    return time.process_time() - start


async def measure(running: Running, count: int, pairs: int) -> None:
    """Measure, and print the pairs as a table."""
    fill(running, count)
    server, ratios = running.server, []
    async with CouchDB(server.url, user=server.user, password=server.password) as couchdb:
        database = Database(couchdb, DATABASE)
        for read in (by_feed, by_follower):
            await cost(read, database, count)
        print("| changes(), s | follow(), s | ratio |\n|---|---|---|")
        for pair in range(pairs):
            order = (by_feed, by_follower) if pair % 2 else (by_follower, by_feed)
            seconds = {read: await cost(read, database, count) for read in order}
            feed, follower = seconds[by_feed], seconds[by_follower]
            ratios.append(follower / feed)
            print(f"| {feed:.3f} | {follower:.3f} | {ratios[-1]:.3f} |", flush=True)
    print(f"{running.title()}, {count} changes: median {statistics.median(ratios):.3f}")


def main() -> None:
    """Measure what the command line says."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.following", description=__doc__)
    parser.add_argument("--count", type=int, default=100_000)
    parser.add_argument("--pairs", type=int, default=7)
    parser.add_argument("--server", default="couchdb", help="embedded, couchdb, or a URL")
    given = parser.parse_args()
    with serving(given.server) as running:
        asyncio.run(measure(running, given.count, given.pairs))


if __name__ == "__main__":
    main()
