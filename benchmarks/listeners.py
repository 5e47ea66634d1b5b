"""`python -m benchmarks.listeners`: the CPU of servers that tell many listeners of changes.

Continuous feeds with the same JavaScript filter, which every second change passes; documents are
written one by one. The CPU is that of the server and of all its processes, in the kernel as well.
"""

from __future__ import annotations

import argparse
import json
import os
import selectors
import socket
import time
from base64 import b64encode
from contextlib import ExitStack
from pathlib import Path
from urllib.parse import urlsplit

from benchmarks import report
from benchmarks.embedded import Wire
from benchmarks.servers import Running, serving

DATABASE = "bench-listeners"
FILTER = "function (doc, req) { return doc.serial % 2 == 0; }"
QUERY = "feed=continuous&filter=bench/even&since=now&heartbeat=60000"
_TICKS = os.sysconf("SC_CLK_TCK")


def cpu_of_tree(pid: int) -> float:
    """Seconds of CPU of a process and of all that it has started, those that ended as well."""
    figures = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    own = sum(int(figure) for figure in figures[11:15]) / _TICKS
    tasks = Path(f"/proc/{pid}/task").iterdir()
    children = " ".join((task / "children").read_text() for task in tasks).split()
    return own + sum(cpu_of_tree(int(child)) for child in children)


class Listeners:
    """Feeds that are held open, and how many lines with changes came out of them."""

    def __init__(self, running: Running, count: int) -> None:
        self._selector = selectors.DefaultSelector()
        self._sockets = [self._open(running) for _ in range(count)]
        self.rows = 0

    def _open(self, running: Running) -> socket.socket:
        server = running.server
        place = urlsplit(server.url)
        given = b64encode(f"{server.user}:{server.password}".encode()).decode()
        feed = socket.create_connection((place.hostname or "", place.port or 80))
        head = f"GET /{DATABASE}/_changes?{QUERY} HTTP/1.1\r\nHost: x\r\n"
        feed.sendall(f"{head}Authorization: Basic {given}\r\n\r\n".encode())
        # the headers come once it waits: from here on it misses nothing
        while b"\r\n\r\n" not in feed.recv(1 << 16):
            pass
        self._selector.register(feed, selectors.EVENT_READ)
        return feed

    def read(self, wanted: int, seconds: float = 120) -> None:
        """Read until so many rows came."""
        end = time.monotonic() + seconds
        while self.rows < wanted:
            if time.monotonic() > end:
                raise TimeoutError(f"{self.rows} rows instead of {wanted}")
            for key, _ in self._selector.select(1):
                assert isinstance(key.fileobj, socket.socket)
                self.rows += key.fileobj.recv(1 << 16).count(b'"changes"')

    def close(self) -> None:
        """End all feeds."""
        for feed in self._sockets:
            feed.close()
        self._selector.close()


def measure(running: Running, listeners: int, writes: int) -> tuple[float, float]:
    """Seconds of CPU, and of time, until all listeners have all rows."""
    running.recreate(DATABASE)
    running.ask("PUT", f"{DATABASE}/_design/bench", {"filters": {"even": FILTER}})
    wire = Wire(running)
    assert running.pid is not None
    feeds = Listeners(running, listeners)
    wire.ask("PUT", f"{DATABASE}/first", b'{"serial": 0}')
    feeds.read(listeners)
    before, begun = cpu_of_tree(running.pid), time.monotonic()
    for serial in range(1, 2 * writes + 1):
        body = json.dumps({"serial": serial, "name": "x" * 200}).encode()
        wire.ask("PUT", f"{DATABASE}/d{serial}", body)
        if serial % 2 == 0:
            feeds.read(listeners * (serial // 2 + 1))
    found = cpu_of_tree(running.pid) - before, time.monotonic() - begun
    feeds.close()
    return found


def main() -> None:
    """Measure both, and write the table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.listeners", description=__doc__)
    parser.add_argument("--listeners", type=int, default=1000)
    parser.add_argument("--writes", type=int, default=20, help="documents that pass the filter")
    parser.add_argument("--out", type=Path, default=report.FOLDER, help="where the table goes")
    parser.add_argument("--servers", nargs="+", default=["embedded", "couchdb"])
    given = parser.parse_args()
    rows: list[list[str]] = []
    for kind in given.servers:
        with ExitStack() as stack:
            running = stack.enter_context(serving(kind))
            cpu, seconds = measure(running, given.listeners, given.writes)
            title = "embedded" if kind == "embedded" else running.title()
            rows.append([title, f"{cpu:.2f}", f"{seconds:.2f}"])
    said = report.said(report.machine(rows[-1][0], 1))
    what = f"{given.listeners:,} listeners, {2 * given.writes} documents, half of which pass."
    text = f"{report.table(['', 'CPU, s', 'time, s'], rows)}\n{said} {what}\n"
    print(text)
    given.out.mkdir(parents=True, exist_ok=True)
    (given.out / "listeners.md").write_text(text)


if __name__ == "__main__":
    main()
