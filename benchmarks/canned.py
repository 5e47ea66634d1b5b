"""A server of canned answers, as fast as a socket allows. A program: it prints its URL.

The answers have CouchDB's form: one row a line, and lists in chunks of a few rows.
"""

from __future__ import annotations

import json
import re
import socket
import subprocess
import sys
import threading
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.clients.work import document

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).resolve().parent.parent
DOCUMENTS = 5_000
CITIES = 1_000
BATCH = 1_000
TOGETHER = 32
_CHUNK = 2_900
_LENGTH = re.compile(rb"content-length: *(\d+)", re.IGNORECASE)


def stored(number: int) -> dict[str, Any]:
    """A document with its revision."""
    found = document(number)
    return {"_id": found.pop("_id"), "_rev": f"1-{number:032x}", **found}


def _text(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"))


def _all_docs(count: int, with_docs: bool) -> bytes:
    rows = []
    for doc in map(stored, range(count)):
        row = {"id": doc["_id"], "key": doc["_id"], "value": {"rev": doc["_rev"]}}
        rows.append(_text({**row, "doc": doc} if with_docs else row))
    head = f'{{"total_rows":{count},"offset":0,"rows":[\r\n'
    return (head + ",\r\n".join(rows) + "\r\n]}\n").encode()


def _changes() -> bytes:
    rows = [
        _text(
            {"seq": f"{n}-{'g1AAAAC' * 20}", "id": f"d{n:07}", "changes": [{"rev": f"1-{n:032x}"}]}
        )
        for n in range(DOCUMENTS)
    ]
    return ('{"results":[\n' + ",\n".join(rows) + '\n],\n"last_seq":"9","pending":0}\n').encode()


def _find() -> bytes:
    docs = ",\r\n".join(_text(stored(number)) for number in range(CITIES))
    return f'{{"docs":[\r\n{docs}\r\n],\r\n"bookmark": "nil"}}\n'.encode()


def _written() -> bytes:
    rows = [{"ok": True, "id": f"d{n:07}", "rev": f"1-{n:032x}"} for n in range(BATCH)]
    return (_text(rows) + "\n").encode()


def _answer(body: bytes, status: str = "200 OK", *, in_chunks: bool = False) -> bytes:
    head = f"HTTP/1.1 {status}\r\nServer: CouchDB/3.5.0\r\nContent-Type: application/json\r\n"
    if not in_chunks:
        return f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body
    pieces = [body[start : start + _CHUNK] for start in range(0, len(body), _CHUNK)]
    chunks = b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in (*pieces, b""))
    return f"{head}Transfer-Encoding: chunked\r\n\r\n".encode() + chunks


def _answers() -> dict[bytes, bytes]:
    """The answers by method and path; lists with documents have a query."""
    answers = {
        b"GET /bench/_all_docs?include_docs=true": _all_docs(DOCUMENTS, with_docs=True),
        b"GET /bench/_all_docs": _all_docs(DOCUMENTS, with_docs=False),
        b"POST /bench/_all_docs?include_docs=true": _all_docs(TOGETHER, with_docs=True),
        b"GET /bench/_changes": _changes(),
        b"POST /bench/_find": _find(),
    }
    found = {line: _answer(body, in_chunks=True) for line, body in answers.items()}
    found[b"POST /bench/_bulk_docs"] = _answer(_written(), "201 Created")
    for number in range(TOGETHER):
        path = b"/bench/d%07d" % number
        found[b"GET " + path] = _answer(_text(stored(number)).encode())
        row = _text({"ok": True, "id": f"d{number:07}", "rev": "1-0"}).encode()
        found[b"PUT " + path] = _answer(row, "201 Created")
    return found


def _serve(connection: socket.socket, answers: dict[bytes, bytes]) -> None:
    rest = b""
    while True:
        while b"\r\n\r\n" not in rest:
            if not (piece := connection.recv(1 << 16)):
                return
            rest += piece
        head, _, rest = rest.partition(b"\r\n\r\n")
        length = _LENGTH.search(head)
        missing = (int(length[1]) if length else 0) - len(rest)
        while missing > 0:
            missing -= len(connection.recv(1 << 20))
        rest = b""
        connection.sendall(answers[head.partition(b" HTTP/")[0]])


@contextmanager
def serving() -> Iterator[str]:
    """The URL of such a server, a process of its own."""
    command = [sys.executable, "-m", "benchmarks.canned"]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            yield process.stdout.readline().strip()
        finally:
            process.kill()


def main() -> None:
    """Serve until the process is ended."""
    answers = _answers()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        print(f"http://127.0.0.1:{listener.getsockname()[1]}", flush=True)
        while True:
            connection, _ = listener.accept()
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            threading.Thread(target=_serve, args=(connection, answers), daemon=True).start()


if __name__ == "__main__":
    main()
