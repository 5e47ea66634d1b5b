"""Requests without a client: the least that a dump, a restore or a load by HTTP can take of a server.

`python -m benchmarks.bare dump URL`, `restore URL FILE`, `load URL FILE`: threads send what `aiocouch dump`
and the others send, in groups of the same size, and throw the answers away. What is sent is prepared: a line
of FILE is the body of a request, or for `load` a document.
"""

from __future__ import annotations

import argparse
import base64
import itertools
import json
import queue
import threading
from http import HTTPStatus
from http.client import HTTPConnection
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

_AT_ONCE = 4
_PAGE, _GROUP, _TOGETHER = 5_000, 500, 1_000


class Asker:
    """Sends requests to a database, some at a time."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        known = base64.b64encode(f"{parts.username}:{parts.password}".encode()).decode()
        self._headers = {"Content-Type": "application/json", "Authorization": f"Basic {known}"}
        self._place = parts.hostname or "", parts.port
        self._path = parts.path
        self._bodies: queue.Queue[bytes | None] = queue.Queue(_AT_ONCE)
        self._errors: list[Exception] = []

    def ask(
        self, connection: HTTPConnection, method: str, path: str, body: bytes | None = None
    ) -> bytes:
        """Send one request, and return the answer. Raise `RuntimeError` for one that tells of an error."""
        connection.request(method, self._path + path, body, self._headers)
        with connection.getresponse() as answer:
            text = answer.read()
        if answer.status >= HTTPStatus.BAD_REQUEST:
            raise RuntimeError(f"{method} {path}: {answer.status} {text[:200]!r}")
        return text

    def connect(self) -> HTTPConnection:
        """Return a new connection."""
        return HTTPConnection(*self._place, timeout=600)

    def post(self, path: str, bodies: Iterable[bytes]) -> None:
        """Send all bodies, four at a time, and throw the answers away."""
        threads = [threading.Thread(target=self._work, args=(path,)) for _ in range(_AT_ONCE)]
        for thread in threads:
            thread.start()
        for body in bodies:
            self._bodies.put(body)
        for _ in threads:
            self._bodies.put(None)
        for thread in threads:
            thread.join()
        if self._errors:
            raise self._errors[0]

    def _work(self, path: str) -> None:
        connection = self.connect()
        while (body := self._bodies.get()) is not None:
            try:
                self.ask(connection, "POST", path, body)
            except Exception as error:  # noqa: BLE001 - raised when all have ended
                self._errors.append(error)
                connection = self.connect()


def groups_of(asker: Asker) -> Iterator[bytes]:
    """Yield the bodies that ask for all leaves of a database."""
    connection = asker.connect()
    options = f"style=all_docs&limit={_PAGE}&seq_interval={_PAGE}"
    since, pending = "0", 1
    while pending:
        page = json.loads(asker.ask(connection, "GET", f"/_changes?since={since}&{options}"))
        since, pending = page["last_seq"], page["pending"]
        rows = page["results"]
        leaves = [{"id": row["id"], "rev": leaf["rev"]} for row in rows for leaf in row["changes"]]
        for at in range(0, len(leaves), _GROUP):
            yield json.dumps({"docs": leaves[at : at + _GROUP]}).encode()


def documents_of(path: Path) -> Iterator[bytes]:
    """Yield the bodies that write the documents which are lines of a file."""
    with path.open("rb") as file:
        while lines := list(itertools.islice(file, _TOGETHER)):
            yield b'{"docs":[%b]}' % b",".join(lines)


def write_bodies(path: Path, leaves: Iterable[dict[str, Any]]) -> None:
    """Write a file whose lines are the bodies that write some leaves."""
    with path.open("wb") as file:
        while some := list(itertools.islice(leaves, _TOGETHER)):
            file.write(json.dumps({"new_edits": False, "docs": some}).encode() + b"\n")


def main() -> None:
    """Do what the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("work", choices=["dump", "restore", "load"])
    parser.add_argument("url")
    parser.add_argument("file", nargs="?", type=Path)
    parser.add_argument("--no-attachments", action="store_true")
    given = parser.parse_args()
    asker = Asker(given.url)
    if given.work == "dump":
        query = "" if given.no_attachments else "&attachments=true"
        asker.post(f"/_bulk_get?revs=true&latest=true{query}", groups_of(asker))
    elif given.work == "restore":
        with given.file.open("rb") as bodies:
            asker.post("/_bulk_docs", bodies)
    else:
        asker.post("/_bulk_docs", documents_of(given.file))


if __name__ == "__main__":
    main()
