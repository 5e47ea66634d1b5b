"""`python -m benchmarks.embedded`: the embedded server beside Apache CouchDB, in one run.

Both are asked by the same plain client over one connection, in turn, each with a folder on the same
disk. `--saves` compares one thing only: documents saved one by one, each on disk when it is
acknowledged, in rounds that take turns.
"""

from __future__ import annotations

import argparse
import http.client
import json
import statistics
import threading
import time
from base64 import b64encode
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from benchmarks import report
from benchmarks.clients.work import batches, document_id
from benchmarks.peers import compile_ours
from benchmarks.seeding import seed
from benchmarks.servers import COUCHDB, Running, serving

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

DATABASE, LARGE = "bench-server", "bench-million"
VIEW = {"views": {"by_name": {"map": "function (doc) { emit(doc.name, doc.serial); }"}}}
_CHUNK = 1 << 20
Figures = dict[str, float]


class Wire:
    """One kept connection that sends requests and throws the answers away."""

    def __init__(self, running: Running) -> None:
        server = running.server
        place = urlsplit(server.url)
        self.connection = http.client.HTTPConnection(place.hostname or "", place.port, timeout=3600)
        given = b64encode(f"{server.user}:{server.password}".encode()).decode()
        self.headers = {"Authorization": f"Basic {given}", "Content-Type": "application/json"}

    def ask(self, method: str, path: str, body: bytes | None = None) -> None:
        """Send a request, and read the answer to its end."""
        self.connection.request(method, f"/{path}", body, self.headers)
        answer = self.connection.getresponse()
        while answer.read(_CHUNK):
            pass
        if answer.status >= 300:
            raise RuntimeError(f"{method} {path}: {answer.status}")


def starting(kind: str) -> Figures:
    """Seconds from the start of the process to the first answer, the median of some starts."""
    if "://" in kind:
        return {}
    taken = []
    for _ in range(5):
        with serving(kind) as running:
            taken.append(running.start_seconds)
    return {"start to the first answer, s": statistics.median(taken)}


def bulk(running: Running, count: int) -> float:
    """Documents written in a second, 1,000 a request."""
    running.recreate(DATABASE)
    wire = Wire(running)
    bodies = [json.dumps({"docs": batch}).encode() for batch in batches(count)]
    return count / _taken(lambda: _each(wire, bodies))


def _each(wire: Wire, bodies: Sequence[bytes]) -> None:
    for body in bodies:
        wire.ask("POST", f"{DATABASE}/_bulk_docs", body)


def gets(running: Running, stored: int, count: int = 3_000) -> float:
    """Documents read one after the other in a second."""
    wire = Wire(running)
    paths = [f"{DATABASE}/{document_id(index * 7919 % stored)}" for index in range(count)]

    def read() -> None:
        for path in paths:
            wire.ask("GET", path)

    return count / _taken(read)


def rows(running: Running, stored: int) -> float:
    """Rows with documents read in a second."""
    wire = Wire(running)
    path = f"{DATABASE}/_all_docs?include_docs=true"
    return stored / statistics.median(_taken(lambda: wire.ask("GET", path)) for _ in range(3))


def view(running: Running, stored: int) -> float:
    """Documents indexed in a second by a view in JavaScript."""
    running.ask("PUT", f"{DATABASE}/_design/bench", VIEW)
    path = f"{DATABASE}/_design/bench/_view/by_name?limit=1"
    return stored / _taken(lambda: Wire(running).ask("GET", path))


def saves(running: Running, count: int) -> float:
    """Seconds for documents that are saved one after the other."""
    running.recreate(DATABASE)
    wire = Wire(running)
    (batch,) = batches(count)
    bodies = [(f"{DATABASE}/{doc['_id']}", json.dumps(doc).encode()) for doc in batch]
    wire.ask("GET", DATABASE)

    def save() -> None:
        for path, body in bodies:
            wire.ask("PUT", path, body)

    return _taken(save)


def compare_saves(couchdb: str, rounds: int, count: int = 300) -> str:
    """Save on both servers in turn; say what one write takes, and the ratio."""
    taken: dict[str, list[float]] = {"embedded": [], couchdb: []}
    with serving("embedded") as ours, serving(couchdb) as theirs:
        servers = {"embedded": ours, couchdb: theirs}
        for _ in range(rounds):
            for name, running in servers.items():
                taken[name].append(saves(running, count) / count * 1000)
        titles = [running.title() for running in servers.values()]
    pairs = zip(*taken.values(), strict=True)
    medians = [statistics.median(found) for found in taken.values()]
    ratio = statistics.median(mine / other for mine, other in pairs)
    body = [["saved one by one, ms each", *(f"{one:.2f}" for one in medians), f"{ratio:.2f}"]]
    about = report.machine(titles[1], rounds)
    table = report.table(["", "embedded", "Apache CouchDB", "ratio"], body)
    return f"{table}\n{report.said(about)} {count} documents a round.\n"


def memory(running: Running, count: int) -> tuple[float, float]:
    """The memory in MB before a large database is read whole, and the most while it is."""
    seed(running, LARGE, count)
    with _watched(running) as seen:
        Wire(running).ask("GET", f"{LARGE}/_all_docs?include_docs=true")
    return seen[0] / 1024, max(seen) / 1024


@contextmanager
def _watched(running: Running) -> Iterator[list[int]]:
    seen = [running.memory_kb()]
    over = threading.Event()

    def watch() -> None:
        while not over.wait(0.05):
            seen.append(running.memory_kb())

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        yield seen
    finally:
        over.set()
        watcher.join()


def _taken(work: Callable[[], None]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def measure(running: Running, count: int, large: int) -> Figures:
    """All figures of a server."""
    found: Figures = {}
    found["written in bulk, documents/s"] = bulk(running, count)
    found["single GET, documents/s"] = gets(running, count)
    found["`_all_docs?include_docs=true`, rows/s"] = rows(running, count)
    found["view built, documents/s"] = view(running, count)
    if large and running.pid is not None:
        idle, most = memory(running, large)
        found[f"memory before {large:,} documents are read, MB"] = idle
        found["the most while they are read, MB"] = most
    return found


def as_table(embedded: Figures, couchdb: Figures) -> str:
    """Both beside each other."""
    body: list[list[str]] = []
    for name, ours in embedded.items():
        theirs = couchdb.get(name)
        beside = ["", ""] if theirs is None else [_number(theirs), f"{ours / theirs:.2f}"]
        body.append([name, _number(ours), *beside])
    return report.table(["", "embedded", "Apache CouchDB", "ratio"], body)


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 10 else f"{value:.2f}"


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.embedded", description=__doc__)
    parser.add_argument("--couchdb", metavar="URL", help="Apache CouchDB (default: a private one)")
    parser.add_argument("--count", type=int, default=100_000, help="documents (default: 100000)")
    parser.add_argument("--large", type=int, default=0, help="also read so many, for the memory")
    parser.add_argument("--saves", type=int, metavar="ROUNDS", help="only compare single saves")
    parser.add_argument("--out", type=Path, default=report.FOLDER, help="where the table goes")
    return parser.parse_args()


def main() -> None:
    """Measure both, and write the table."""
    given = _arguments()
    compile_ours()
    if given.saves:
        text = compare_saves(given.couchdb or "couchdb", given.saves)
        print(text)
        given.out.mkdir(parents=True, exist_ok=True)
        (given.out / "saves.md").write_text(text)
        return
    figures: dict[str, Figures] = {"embedded": {}, "couchdb": {}}
    titles = {"embedded": "embedded", "couchdb": "no Apache CouchDB"}
    kinds = ["embedded"]
    if given.couchdb or COUCHDB.exists():
        kinds.append("couchdb")
    for kind in kinds:
        where = given.couchdb if kind == "couchdb" and given.couchdb else kind
        figures[kind] = starting(where)
        with serving(where) as running:
            titles[kind] = running.title()
            large = given.large if kind == "embedded" else 0
            figures[kind] |= measure(running, given.count, large)
            print(kind, figures[kind], flush=True)
    about = report.machine(titles["couchdb"], 1)
    text = f"{as_table(**figures)}\n{report.said(about)} {given.count:,} documents.\n"
    print(text)
    given.out.mkdir(parents=True, exist_ok=True)
    report.write_json(given.out / "embedded.json", {"about": about, "figures": figures})
    (given.out / "embedded.md").write_text(text)


if __name__ == "__main__":
    main()
