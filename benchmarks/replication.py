"""Replication by the client beside a server's own: `python -m benchmarks.replication`.

Two private CouchDB servers. The documents of the first are copied to a new database of the second, in
turn by a process with `replicate_to` and by the second server's `_replicate`. It prints the seconds of
each round, the ratio of the medians, and what memory the client's process had at most.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import resource
import statistics
import subprocess
import sys
import time
from typing import TYPE_CHECKING

from aiocouch import CouchDB
from benchmarks.servers import serving

if TYPE_CHECKING:
    from benchmarks.servers import Running

SOURCE, TARGET = "replicated", "copy"
_AT_ONCE = 2_000


def fill(source: Running, count: int, edits: int) -> None:
    """Write documents of some 700 bytes, each edited so many times."""
    source.recreate(SOURCE)
    for start in range(0, count, _AT_ONCE):
        numbers = range(start, min(start + _AT_ONCE, count))
        revs: list[str | None] = [None] * len(numbers)
        for edit in range(edits + 1):
            docs = [
                {**document(number, edit), **({"_rev": rev} if rev else {})}
                for number, rev in zip(numbers, revs, strict=True)
            ]
            rows = source.ask("POST", f"{SOURCE}/_bulk_docs", {"docs": docs})
            revs = [row["rev"] for row in rows]


def document(number: int, edit: int) -> dict[str, object]:
    """A document of the benchmark."""
    tags = ["a", "b", {"c": number}]
    return {"_id": f"d{number:07}", "n": number, "edit": edit, "text": "x" * 560, "tags": tags}


async def by_client(source: str, target: str) -> None:
    """Replicate in this process, and print the seconds and the most memory."""
    async with CouchDB(source) as one, CouchDB(target) as other:
        began = time.perf_counter()
        result = await (await one[SOURCE]).replicate_to(await other[TARGET])
        seconds = time.perf_counter() - began
    kilobytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    cpu = time.process_time()
    figures = {"seconds": seconds, "kb": kilobytes, "cpu": cpu, "written": result.docs_written}
    print(json.dumps(figures))


def run_client(source: Running, target: Running) -> dict[str, float]:
    """Replicate in a process of its own."""
    ends = [source.server.auth_url, target.server.auth_url]
    command = [sys.executable, "-m", "benchmarks.replication", "--client", *ends]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    figures: dict[str, float] = json.loads(done.stdout)
    return figures


def run_server(source: Running, target: Running) -> float:
    """Let the target pull by its own replicator; give the seconds."""
    ends = {
        "source": f"{source.server.auth_url}/{SOURCE}",
        "target": f"{target.server.auth_url}/{TARGET}",
    }
    began = time.perf_counter()
    target.ask("POST", "_replicate", ends)
    return time.perf_counter() - began


def count_of(server: Running) -> int:
    """How many documents the copy has."""
    return int(server.ask("GET", TARGET)["doc_count"])


def measure(source: Running, target: Running, count: int, rounds: int) -> None:
    """Run both in turn, and print what they took."""
    ours: list[float] = []
    theirs: list[float] = []
    most = 0.0
    for number in range(rounds):
        for by_us in (True, False) if number % 2 else (False, True):
            target.recreate(TARGET)
            before = source.cpu_seconds() + target.cpu_seconds()
            if by_us:
                figures = run_client(source, target)
                ours.append(figures["seconds"])
                most = max(most, figures["kb"] / 1024)
                more = f"client CPU {figures['cpu']:.1f} s, {figures['kb'] / 1024:.0f} MiB"
            else:
                theirs.append(run_server(source, target))
                more = "_replicate"
            servers = source.cpu_seconds() + target.cpu_seconds() - before
            if count_of(target) != count:
                raise RuntimeError(f"the copy has {count_of(target)} documents, not {count}")
            seconds = (ours if by_us else theirs)[-1]
            print(f"{seconds:6.1f} s, servers' CPU {servers:.1f} s, {more}", flush=True)
    ratio = statistics.median(ours) / statistics.median(theirs)
    pairs = [f"{one / other:.2f}" for one, other in zip(ours, theirs, strict=True)]
    print(
        f"replicate_to {statistics.median(ours):.1f} s, _replicate {statistics.median(theirs):.1f} s, "
        f"ratio {ratio:.2f} (pairs {', '.join(pairs)}), memory at most {most:.0f} MiB"
    )


def main() -> None:
    """Do what the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--documents", type=int, default=100_000)
    parser.add_argument("--edits", type=int, default=0, help="of each document, beyond the first")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--server", default="couchdb", help="couchdb, couchdb-calm or embedded")
    parser.add_argument("--client", nargs=2, metavar="URL", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.client:
        asyncio.run(by_client(*given.client))
        return
    with serving(given.server) as source, serving(given.server) as target:
        fill(source, given.documents, given.edits)
        print(f"{given.documents} documents, {given.edits} edits each, {source.title()}")
        measure(source, target, given.documents, given.rounds)


if __name__ == "__main__":
    main()
