"""Dumps, restores, loads and copies beside couchbackup and plain requests: `python -m benchmarks.dumping`.

A private CouchDB with documents of which some are edited, deleted, in conflict or have attachments. In
turn, each in a process of its own: a dump by us and by couchbackup, without attachments and with them, a
restore by us and by couchrestore, a load of lines by us and by `_bulk_docs`, a thousand each, one after
the other, and a copy to a second server by us and by its `_replicate`. Prints the seconds of each round,
the ratio of the medians, and the most memory of a process; and the same for the requests alone
(`benchmarks.bare`), sent by somebody who throws the answers away: no client can be faster.

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
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from aiocouch.testing.server import CouchDBServer
from benchmarks import replication
from benchmarks.bare import write_bodies
from benchmarks.servers import Running, serving

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

SOURCE, TARGET = "dumped", "restored"
_AT_ONCE = 1_000
_COUCHBACKUP = "@cloudant/couchbackup@2.11.12"
_OURS = [sys.executable, "-m", "aiocouch"]
_SELF = [sys.executable, "-m", "benchmarks.dumping"]
_BARE = [sys.executable, "-m", "benchmarks.bare"]


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
    bare: list[str] | None = None
    """The requests alone."""


def fill(source: Running, count: int) -> None:
    """Write documents of some 700 bytes: a tenth edited twice, a tenth with attachments, and so on."""
    source.recreate(SOURCE)
    leaves = all_revisions(count)
    while some := list(itertools.islice(leaves, _AT_ONCE)):
        source.ask("POST", f"{SOURCE}/_bulk_docs", {"new_edits": False, "docs": some})


def all_revisions(count: int) -> Iterator[dict[str, Any]]:
    """Yield the leaves of all documents."""
    return itertools.chain.from_iterable(map(revisions, range(count)))


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


def by_server(source: str, target: str) -> None:
    """Copy by the replicator of the target's server."""
    server = Running(CouchDBServer.from_url(target.rpartition("/")[0]))
    server.ask("POST", "_replicate", {"source": source, "target": target})


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


def measured(servers: Sequence[Running], command: list[str], row: Row) -> Cost:
    """Run a command, and tell what it cost."""
    kept = row.stdout if command is row.theirs else None
    before = sum(server.cpu_seconds() for server in servers)
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
    after = sum(server.cpu_seconds() for server in servers)
    return Cost(wall, cpu, after - before, usage.ru_maxrss)


def rows(server: Running, folder: Path, npm: Path | None) -> Iterator[Row]:
    """Yield what is measured with one server, in an order in which each has what it needs."""
    yield from _dumps(server, folder, npm)
    yield from _restores(server, folder, npm)
    url, many = server.server.auth_url, str(folder / "a.ndjson")
    yield Row(
        "load",
        "_bulk_docs by hand",
        [*_OURS, "load", f"{url}/{TARGET}", many],
        [*_SELF, "--by-hand", server.server.url, TARGET, many],
        partial(_make_anew, server, TARGET),
        bare=[*_BARE, "load", f"{url}/{TARGET}", many],
    )


def _dumps(server: Running, folder: Path, npm: Path | None) -> Iterator[Row]:
    url, file = server.server.auth_url, folder / "a.dump.gz"
    ours = [*_OURS, "dump", f"{url}/{SOURCE}", str(file)]
    theirs = [_tool(npm, "couchbackup"), "--url", url, "--db", SOURCE]
    theirs += ["--parallelism", "5", "--buffer-size", "1000"]  # its best settings

    def again(command: list[str]) -> None:
        if str(file) in command:
            file.unlink(missing_ok=True)

    bare = [*_BARE, "dump", f"{url}/{SOURCE}"]
    none = "--no-attachments"
    if npm is not None:
        yield Row(
            "dump, no attachments",
            "couchbackup",
            [*ours, none],
            theirs,
            again,
            bare=[*bare, none],
        )
        yield Row("dump", "couchbackup, without attachments", ours, theirs, again, bare=bare)
    beside = "couchbackup --attachments" if npm else ""
    whole = [*theirs, "-a"] if npm else []
    yield Row("dump", beside, ours, whole, again, stdout=folder / "a.couchbackup", bare=bare)


def _restores(server: Running, folder: Path, npm: Path | None) -> Iterator[Row]:
    url = server.server.auth_url
    ours = [*_OURS, "restore", f"{url}/{TARGET}", str(folder / "a.dump.gz")]
    beside = "couchrestore --attachments" if npm else ""
    theirs = [_tool(npm, "couchrestore"), "--url", url, "--db", TARGET, "-a"] if npm else []
    bare = [*_BARE, "restore", f"{url}/{TARGET}", str(folder / "a.bodies")]
    stdin = folder / "a.couchbackup" if npm else None
    anew = partial(_make_anew, server, TARGET)
    yield Row("restore, compared", beside, ours, theirs, anew, stdin=stdin)
    yield Row("restore", beside, [*ours, "--no-compare"], theirs, anew, stdin=stdin, bare=bare)


def copies(server: Running, other: Running) -> Iterator[Row]:
    """Yield what is measured with two servers."""
    source, target = server.server.auth_url, other.server.auth_url
    for name, database in (("copy", replication.SOURCE), ("copy, with attachments", SOURCE)):
        ends = [f"{source}/{database}", f"{target}/{replication.TARGET}"]
        yield Row(
            name,
            "_replicate",
            [*_OURS, "copy", *ends],
            [*_SELF, "--by-server", *ends],
            partial(_make_anew, other, replication.TARGET),
        )


def _make_anew(server: Running, name: str, command: list[str]) -> None:
    del command
    server.recreate(name)


def _tool(npm: Path | None, name: str) -> str:
    return str((npm or Path()) / "node_modules" / ".bin" / name)


def compare(servers: Sequence[Running], row: Row, rounds: int) -> None:
    """Measure a row, in turn, and print it."""
    costs: dict[str, list[Cost]] = {"ours": [], row.beside: [], "the requests alone": []}
    ways = list(zip(costs.values(), (row.ours, row.theirs, row.bare or []), strict=True))
    for number in range(rounds):
        for found, command in ways if number % 2 else ways[::-1]:
            if command:
                row.before(command)
                found.append(measured(servers, command, row))
    for name, found in costs.items():
        if found:
            _print(name, found)
    ours, theirs, bare = costs.values()
    if theirs:
        told = (
            f"wall {_ratio(ours, theirs, 'wall'):.2f}, memory {_ratio(ours, theirs, 'memory'):.2f}"
        )
        least = f"; the requests alone: wall {_ratio(bare, theirs, 'wall'):.2f}" if bare else ""
        print(f"{row.name} beside {row.beside}: {told}{least}", flush=True)


def _print(name: str, costs: Sequence[Cost]) -> None:
    walls = ", ".join(f"{cost.wall:.1f}" for cost in costs)
    cpu, server = _median(costs, "cpu"), _median(costs, "server")
    memory = max(cost.memory for cost in costs) / 1024
    print(f"  {name}: {walls} s; CPU {cpu:.1f} s, of the server {server:.1f} s; {memory:.0f} MiB")


def _ratio(some: Sequence[Cost], others: Sequence[Cost], name: str) -> float:
    return _median(some, name) / _median(others, name)


def _median(costs: Sequence[Cost], name: str) -> float:
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
    parser.add_argument("--by-server", nargs=2, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.by_hand:
        by_hand(*given.by_hand)
    elif given.by_server:
        by_server(*given.by_server)
    else:
        _run(given)


def _run(given: argparse.Namespace) -> None:
    with serving(given.server) as server, tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        fill(server, given.documents)
        print(f"{given.documents} documents, {given.lines} lines, {server.title()}", flush=True)
        if given.only in "load":
            lines(folder / "a.ndjson", given.lines)
        if "restore" in given.only or given.only in "restore":
            write_bodies(folder / "a.bodies", all_revisions(given.documents))
        for row in rows(server, folder, given.npm):
            is_needed = "restore" in given.only and row.stdout is not None  # what is restored
            if given.only in row.name or is_needed:
                compare([server], row, given.rounds if given.only in row.name else 1)
        if given.only in "copy, with attachments":
            _run_copies(given, server)


def _run_copies(given: argparse.Namespace, server: Running) -> None:
    replication.fill(server, given.documents, 0)
    with serving(given.server) as other:
        for row in copies(server, other):
            if given.only in row.name:
                compare([server, other], row, given.rounds)


if __name__ == "__main__":
    main()
