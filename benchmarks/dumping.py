"""Dumps, restores and loads beside couchbackup and plain requests: `python -m benchmarks.dumping`.

A private CouchDB with documents of which some are edited, deleted, in conflict or have attachments. In
turn, each in a process of its own: a dump by us and by couchbackup, without attachments and with them, a
restore by us and by couchrestore, and a load of lines by us and by `_bulk_docs`, a thousand each, one after
the other. Prints the seconds of each round, the ratio of the medians, and the most memory of a process.

couchbackup comes from npm: `npm install --prefix FOLDER @cloudant/couchbackup@2.11.12`, and `--npm FOLDER`
says where. Without it only our rows are measured.
"""

from __future__ import annotations

import argparse
import base64
import hashlib
import itertools
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from benchmarks.servers import Running, serving

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

SOURCE, TARGET = "dumped", "restored"
_AT_ONCE = 1_000
_COUCHBACKUP = "@cloudant/couchbackup@2.11.12"


class Cost(NamedTuple):
    """What a process has cost: seconds of wall and of CPU, the server's CPU, and KiB of memory at most."""

    wall: float
    cpu: float
    server: float
    memory: int


class Row(NamedTuple):
    """What is measured side by side: ours, theirs, and what both need before."""

    name: str
    beside: str
    ours: list[str]
    theirs: list[str]
    before: Callable[[list[str]], None]
    stdin: Path | None = None
    stdout: Path | None = None


def fill(source: Running, count: int) -> None:
    """Write documents of some 700 bytes: a tenth edited twice, a tenth with attachments, and so on."""
    source.recreate(SOURCE)
    leaves = itertools.chain.from_iterable(map(revisions, range(count)))
    while some := list(itertools.islice(leaves, _AT_ONCE)):
        source.ask("POST", f"{SOURCE}/_bulk_docs", {"new_edits": False, "docs": some})


def revisions(number: int) -> Iterator[dict[str, Any]]:
    """Yield the leaves of a document: every 20th has two, every 50th is deleted."""
    kind = number % 100
    generation = 3 if kind % 10 == 1 else 1
    yield leaf(number, generation, "a", deleted=kind in {7, 57}, attached=kind % 10 == 2)
    if kind % 20 == 5:
        yield leaf(number, 2, "b", deleted=False, attached=False)


def leaf(
    number: int, generation: int, branch: str, *, deleted: bool, attached: bool
) -> dict[str, Any]:
    """Return a revision with its history."""
    ids = [
        hashlib.md5(f"{number} {branch} {at}".encode(), usedforsecurity=False).hexdigest()
        for at in range(generation, 0, -1)
    ]
    found: dict[str, Any] = {
        "_id": f"d{number:07}",
        "_rev": f"{generation}-{ids[0]}",
        "_revisions": {"start": generation, "ids": ids},
        "n": number,
        "branch": branch,
        "text": hashlib.sha256(f"{number}".encode()).hexdigest() * 8,
        "tags": ["a", "b", {"c": number}],
    }
    if deleted:
        found["_deleted"] = True
    if attached:
        content = hashlib.shake_128(f"{number}".encode()).digest(4_096)
        data = base64.b64encode(content).decode()
        found["_attachments"] = {"a.bin": {"content_type": "image/png", "data": data}}
    return found


def lines(path: Path, count: int) -> None:
    """Write lines of JSON of some 400 bytes, without ids."""
    with path.open("w") as file:
        for number in range(count):
            text = hashlib.sha256(f"{number}".encode()).hexdigest() * 4
            document = {
                "n": number,
                "name": f"name {number}",
                "text": text,
                "tags": ["a", number % 7],
            }
            file.write(json.dumps(document) + "\n")


def by_hand(url: str, name: str, path: str) -> None:
    """Load lines as a short script does it: a thousand each, one after the other."""
    with Path(path).open() as file:
        while some := [json.loads(line) for line in itertools.islice(file, _AT_ONCE)]:
            data = json.dumps({"docs": some}).encode()
            ask = urllib.request.Request(f"{url}/{name}/_bulk_docs", data, _headers())
            with urllib.request.urlopen(ask, timeout=600) as answer:
                json.load(answer)


def _headers() -> dict[str, str]:
    known = base64.b64encode(b"admin:admin").decode()
    return {"Content-Type": "application/json", "Authorization": f"Basic {known}"}


def measured(server: Running, command: list[str], row: Row) -> Cost:
    """Run a command, and tell what it cost."""
    before, kept = server.cpu_seconds(), row.stdout if command is row.theirs else None
    with (
        (row.stdin or Path(os.devnull)).open("rb") as given,
        (kept or Path(os.devnull)).open("wb") as printed,
        tempfile.TemporaryFile() as told,
    ):
        began = time.perf_counter()
        process = subprocess.Popen(command, stdin=given, stdout=printed, stderr=told)
        _, status, usage = os.wait4(process.pid, 0)
        wall = time.perf_counter() - began
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            told.seek(0)
            raise RuntimeError(
                f"{command[:4]} … ended with {process.returncode}: {told.read()[-500:]!r}"
            )
    cpu = usage.ru_utime + usage.ru_stime
    return Cost(wall, cpu, server.cpu_seconds() - before, usage.ru_maxrss)


def rows(server: Running, folder: Path, npm: Path | None) -> Iterator[Row]:
    """Yield what is measured, in an order in which each has what it needs."""
    url, ours = server.server.auth_url, [sys.executable, "-m", "aiocouch"]
    dump, backup, many = folder / "a.dump.gz", folder / "a.couchbackup", folder / "a.ndjson"
    bin_folder = (npm or Path()) / "node_modules" / ".bin"
    theirs = [str(bin_folder / "couchbackup"), "--url", url, "--db", SOURCE]

    def again(command: list[str]) -> None:
        if str(dump) in command:
            dump.unlink(missing_ok=True)

    def fresh(command: list[str]) -> None:
        server.recreate(TARGET)

    dumping = [*ours, "dump", f"{url}/{SOURCE}", str(dump)]
    best = ["--parallelism", "5", "--buffer-size", "1000"]
    if npm is not None:
        yield Row(
            "dump, no attachments",
            "couchbackup",
            [*dumping, "--no-attachments"],
            [*theirs, *best],
            again,
        )
        yield Row("dump", "couchbackup, without attachments", dumping, [*theirs, *best], again)
    beside = "couchbackup --attachments" if npm else ""
    yield Row("dump", beside, dumping, [*theirs, *best, "-a"] if npm else [], again, stdout=backup)
    restoring = [*ours, "restore", f"{url}/{TARGET}", str(dump)]
    back = [str(bin_folder / "couchrestore"), "--url", url, "--db", TARGET, "-a"] if npm else []
    given = backup if npm else None
    beside = "couchrestore --attachments" if npm else ""
    yield Row("restore, compared", beside, restoring, back, fresh, stdin=given)
    yield Row("restore", beside, [*restoring, "--no-compare"], back, fresh, stdin=given)
    loading = [*ours, "load", f"{url}/{TARGET}", str(many)]
    hand = [
        sys.executable,
        "-m",
        "benchmarks.dumping",
        "--by-hand",
        server.server.url,
        TARGET,
        str(many),
    ]
    yield Row("load", "_bulk_docs by hand", loading, hand, fresh)


def compare(server: Running, row: Row, rounds: int) -> None:
    """Measure a row, in turn, and print it."""
    ours: list[Cost] = []
    theirs: list[Cost] = []
    for number in range(rounds):
        pairs = [(ours, row.ours), (theirs, row.theirs)]
        for costs, command in pairs if number % 2 else pairs[::-1]:
            if command:
                row.before(command)
                costs.append(measured(server, command, row))
    for name, costs in (("ours", ours), (row.beside, theirs)):
        if costs:
            walls = ", ".join(f"{cost.wall:.1f}" for cost in costs)
            last = costs[-1]
            print(
                f"  {name}: {walls} s; CPU {last.cpu:.1f} s, of the server {last.server:.1f} s; "
                f"{max(cost.memory for cost in costs) / 1024:.0f} MiB"
            )
    if theirs:
        wall = _median(ours, "wall") / _median(theirs, "wall")
        memory = _median(ours, "memory") / _median(theirs, "memory")
        print(f"{row.name} beside {row.beside}: wall {wall:.2f}, memory {memory:.2f}", flush=True)


def _median(costs: list[Cost], name: str) -> float:
    return float(statistics.median(getattr(cost, name) for cost in costs))


def main() -> None:
    """Do what the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--documents", type=int, default=100_000)
    parser.add_argument("--lines", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--server", default="couchdb", help="couchdb, couchdb-calm or embedded")
    parser.add_argument("--npm", type=Path, help=f"where {_COUCHBACKUP} is installed")
    parser.add_argument("--only", default="", help="only rows whose name has this")
    parser.add_argument("--by-hand", nargs=3, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.by_hand:
        by_hand(*given.by_hand)
        return
    with serving(given.server) as server, tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        fill(server, given.documents)
        if given.only in "load":
            lines(folder / "a.ndjson", given.lines)
        print(f"{given.documents} documents, {given.lines} lines, {server.title()}", flush=True)
        for row in rows(server, folder, given.npm):
            is_needed = "restore" in given.only and row.stdout is not None  # what is restored
            if given.only in row.name or is_needed:
                compare(server, row, given.rounds if given.only in row.name else 1)


if __name__ == "__main__":
    main()
