"""A server of prepared bodies, in a process of its own: it costs the client next to nothing to wait for.

With it the client can be measured where there is no CouchDB. The bodies have CouchDB's form, down to the
small chunks that a list of rows comes in. `python -m benchmarks.canned` prints its port and serves until
its standard input is closed.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.clients.work import BATCH, document, document_id

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

STORED = 10_000
CITIES = STORED * 2 // 5
_REVISION = "1-99ca46c8af3258dded5fb62588e5a67f"
_SEQUENCE = (
    "-g1AAAACReJzLYWBgYMpgTmHgz8tPSTV0MDQy1zMAQsMckEQiQ1L9____szKYExlzgQLsZoZmFilpJtg04DEmSQFI"
)
_CHUNK_ROWS = 4
_HEAD = "HTTP/1.1 {status}\r\nContent-Type: application/json\r\nServer: canned\r\n{length}\r\n\r\n"


def _whole(value: Any, status: str = "200 OK") -> bytes:
    body = _text(value) + b"\n"
    head = _HEAD.format(status=status, length=f"Content-Length: {len(body)}")
    return head.encode() + body


def _text(value: Any) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()


def _listed(head: bytes, rows: list[bytes], tail: bytes) -> bytes:
    """A list as CouchDB sends it: a row a line, a few rows a chunk."""
    parts = [head]
    for start in range(0, len(rows), _CHUNK_ROWS):
        lines = b",".join(b"\r\n" + row for row in rows[start : start + _CHUNK_ROWS])
        parts.append(lines if start == 0 else b"," + lines)
    chunks = [b"%x\r\n%b\r\n" % (len(part), part) for part in [*parts, tail]]
    answer = _HEAD.format(status="200 OK", length="Transfer-Encoding: chunked")
    return answer.encode() + b"".join(chunks) + b"0\r\n\r\n"


def _stored(number: int) -> dict[str, Any]:
    content = document(number)
    return {"_id": content.pop("_id"), "_rev": _REVISION, **content}


def _row(number: int, **more: Any) -> bytes:
    id = document_id(number)
    return _text({"id": id, "key": id, "value": {"rev": _REVISION}, **more})


def _change(number: int) -> bytes:
    changes = [{"rev": _REVISION}]
    return _text({"seq": f"{number}{_SEQUENCE}", "id": document_id(number), "changes": changes})


class Answers:
    """All answers, made beforehand."""

    def __init__(self) -> None:
        numbers = range(STORED)
        all_docs = _text({"total_rows": STORED, "offset": 0, "rows": []})[:-2]
        texts = [_text(_stored(number)) for number in numbers]
        self._documents = [_whole(_stored(number)) for number in numbers]
        self._pages: dict[int, list[bytes]] = {}
        self._cities = [texts[number] for number in numbers if number % 5 < 2]
        self._fixed = {
            "/bench/_all_docs": _listed(all_docs, [_row(n) for n in numbers], b"\r\n]}\n"),
            "/bench/_all_docs?include_docs=true": _listed(
                all_docs, [_row(n, doc=_stored(n)) for n in numbers], b"\r\n]}\n"
            ),
            "/bench/_changes": _listed(
                b'{"results":[',
                [_change(n) for n in numbers],
                b'\r\n],\r\n"last_seq":"%d%b","pending":0}\n' % (STORED, _SEQUENCE.encode()),
            ),
        }
        self._info = _whole({"db_name": "bench", "doc_count": STORED})
        self._saved = _whole({"ok": True, "id": "d0000000", "rev": _REVISION}, "201 Created")
        self._bulk = [self._bulk_answer(start) for start in range(0, STORED, BATCH)]

    @staticmethod
    def _bulk_answer(start: int) -> bytes:
        ids = map(document_id, range(start, start + BATCH))
        return _whole([{"ok": True, "id": id, "rev": _REVISION} for id in ids], "201 Created")

    def _page(self, query: dict[str, Any]) -> bytes:
        """A page of `find`; the bookmark is where the next one begins."""
        limit, start = int(query["limit"]), int(query.get("bookmark") or 0)
        pages = self._pages.setdefault(limit, [])
        while len(pages) <= start // limit:
            place = len(pages) * limit
            rows = self._cities[place : place + limit]
            pages.append(
                _listed(b'{"docs":[', rows, b'\r\n],\n"bookmark": "%d"}\n' % (place + limit))
            )
        return pages[start // limit]

    def answer(self, method: str, target: str, body: bytes, asked: int) -> bytes:
        """The answer to a request, the `asked`-th one with a body on its connection."""
        if method == "HEAD":
            return self._info[: self._info.index(b"\r\n\r\n") + 4]
        if method == "PUT":
            return self._saved
        if target == "/bench/_bulk_docs":
            return self._bulk[asked % len(self._bulk)]
        if target == "/bench/_find":
            return self._page(json.loads(body))
        if target.startswith("/bench/d"):
            return self._documents[int(target[8:15])]
        return self._fixed.get(target.replace("reduce=false&", ""), self._info)


class _Connection(asyncio.Protocol):
    """One connection: requests with `Content-Length` only, one after the other."""

    def __init__(self, answers: Answers) -> None:
        self._answers = answers
        self._received = bytearray()
        self._asked = 0
        self._send: Callable[[bytes], None]

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._send = transport.write

    def data_received(self, data: bytes) -> None:
        self._received += data
        while (end := self._received.find(b"\r\n\r\n")) >= 0:
            head = self._received[:end].decode("latin-1")
            stop = end + 4 + _content_length(head)
            if len(self._received) < stop:
                return
            body = bytes(self._received[end + 4 : stop])
            del self._received[:stop]
            self._answer(head, body)

    def _answer(self, head: str, body: bytes) -> None:
        method, target, _ = head.split(" ", 2)
        self._send(self._answers.answer(method, target, body, self._asked))
        self._asked += bool(body)


def _content_length(head: str) -> int:
    for line in head.split("\r\n"):
        name, _, value = line.partition(":")
        if name.lower() == "content-length":
            return int(value)
    return 0


async def _serve() -> None:
    loop = asyncio.get_running_loop()
    answers = Answers()
    server = await loop.create_server(lambda: _Connection(answers), "127.0.0.1", 0)
    async with server:
        print(server.sockets[0].getsockname()[1], flush=True)
        await loop.run_in_executor(None, sys.stdin.read)


@contextlib.contextmanager
def canned_server() -> Iterator[str]:
    """The server in its process; gives its URL."""
    process = subprocess.Popen(
        [sys.executable, "-m", "benchmarks.canned"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).resolve().parent.parent,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    with process.stdin, process.stdout:
        yield f"http://127.0.0.1:{int(process.stdout.readline())}"
    process.wait(30)


if __name__ == "__main__":
    asyncio.run(_serve())
