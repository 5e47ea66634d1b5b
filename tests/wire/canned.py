"""A raw HTTP server for the tests: it keeps what it is asked and says what it is told.

It works on bytes, so that a test sees the exact request and can answer in ways that no
well-behaved server would: cut in the middle, reset, reformatted, in pieces of one byte.
"""

from __future__ import annotations

import asyncio
import json
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterable
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl, urlsplit

Pieces = Iterable[bytes] | AsyncGenerator[bytes, None]

REASONS = {200: "OK", 201: "Created", 202: "Accepted", 302: "Found", 404: "Object Not Found"}


@dataclass(frozen=True)
class Request:
    """One request, as it came over the socket."""

    method: str
    target: str
    headers: dict[str, str]
    body: bytes

    @property
    def path(self) -> str:
        """The path with its percent signs, without the query."""
        return self.target.partition("?")[0]

    @property
    def query(self) -> dict[str, str]:
        """The decoded query; a repeated key fails."""
        pairs = parse_qsl(urlsplit(self.target).query, keep_blank_values=True, strict_parsing=True)
        assert len(dict(pairs)) == len(pairs), f"repeated key in {self.target}"
        return dict(pairs)

    def json(self) -> Any:
        """The body, decoded."""
        return json.loads(self.body)

    @property
    def line(self) -> str:
        """Method and target, for comparing in one go."""
        return f"{self.method} {self.target}"


@dataclass
class Answer:
    """What the server says to one request.

    pieces: the body in chunks (chunked encoding) instead of one body with a length
    cut: close the connection after the last piece, without the end of the body
    reset: as cut, but with a TCP reset
    silent: close the connection without a single byte
    raw: these bytes and nothing else
    """

    status: int = 200
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)
    pieces: Pieces | None = None
    cut: bool = False
    reset: bool = False
    silent: bool = False
    raw: bytes | None = None
    length: int | None = None
    reason: str | None = None

    def head(self) -> bytes:
        lines = [f"HTTP/1.1 {self.status} {self.reason or REASONS.get(self.status, 'Some Reason')}"]
        headers = {"Content-Type": "application/json", **self.headers}
        if self.pieces is not None:
            headers["Transfer-Encoding"] = "chunked"
        else:
            headers["Content-Length"] = str(len(self.body) if self.length is None else self.length)
        lines += [f"{name}: {value}" for name, value in headers.items()]
        return "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n"


def json_answer(value: Any, status: int = 200, **headers: str) -> Answer:
    """An answer with a JSON body; an underscore in a header's name stands for a dash."""
    named = {name.replace("_", "-"): text for name, text in headers.items()}
    return Answer(status, json.dumps(value).encode() + b"\n", named)


def error_answer(status: int, error: str = "an_error", reason: str = "the reason") -> Answer:
    """What CouchDB says when it refuses."""
    return json_answer({"error": error, "reason": reason}, status, X_Couch_Request_ID="abc123def0")


def rows_text(rows: Iterable[dict[str, Any]], total: int = 0) -> bytes:
    """A view's body as CouchDB writes it: one row a line."""
    lines = ",\r\n".join(json.dumps(row, ensure_ascii=False) for row in rows)
    return f'{{"total_rows":{total},"offset":0,"rows":[\r\n{lines}\r\n]}}\n'.encode()


def row(name: str, **more: Any) -> dict[str, Any]:
    """A row of `_all_docs`."""
    return {"id": name, "key": name, "value": {"rev": "1-a"}, **more}


def doc_row(name: str, **data: Any) -> dict[str, Any]:
    """A row of `_all_docs` with its document."""
    return row(name, doc={"_id": name, "_rev": "1-a", **data})


def rows_answer(*rows: dict[str, Any]) -> Answer:
    """The answer of a view with these rows."""
    return Answer(body=rows_text(rows, len(rows)))


def cut_up(body: bytes, size: int) -> list[bytes]:
    """The body in pieces of this many bytes."""
    return [body[at : at + size] for at in range(0, len(body), size)]


Script = Answer | Callable[[Request], Answer]


class CannedServer:
    """Answers requests in the order in which answers were given, or by `handler`."""

    def __init__(self) -> None:
        self.requests: list[Request] = []
        self.answers: deque[Script] = deque()
        self.handler: Callable[[Request], Answer] | None = None
        self.connections = 0
        self.url = ""
        self.tasks: set[asyncio.Task[Any]] = set()
        self.arrived = asyncio.Event()

    def say(self, *answers: Script) -> None:
        """Queue answers."""
        self.answers.extend(answers)

    def say_json(self, value: Any, status: int = 200, **headers: str) -> None:
        """Queue one JSON answer."""
        self.say(json_answer(value, status, **headers))

    @property
    def lines(self) -> list[str]:
        """Method and target of each request."""
        return [request.line for request in self.requests]

    def only(self) -> Request:
        """The request, when there was exactly one."""
        assert len(self.requests) == 1, self.lines
        return self.requests[0]

    async def requested(self, count: int) -> None:
        """Wait until there were so many requests."""
        while len(self.requests) < count:
            self.arrived.clear()
            await self.arrived.wait()

    def choose(self, request: Request) -> Answer:
        if self.answers:
            found = self.answers.popleft()
            return found(request) if callable(found) else found
        if self.handler is not None:
            return self.handler(request)
        return error_answer(500, "unexpected", f"no answer is left for {request.line}")

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        task = asyncio.current_task()
        assert task is not None
        self.tasks.add(task)
        try:
            while (request := await read_request(reader)) is not None:
                self.requests.append(request)
                self.arrived.set()
                if not await send(writer, self.choose(request), request):
                    break
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            self.tasks.discard(task)
            writer.close()


async def read_request(reader: asyncio.StreamReader) -> Request | None:
    """One request, or None at the end of the connection."""
    try:
        head = await reader.readuntil(b"\r\n\r\n")
    except asyncio.IncompleteReadError:
        return None
    first, *lines = head.decode("latin-1").rstrip("\r\n").split("\r\n")
    method, target, _ = first.split(" ")
    headers = {}
    for line in lines:
        name, _, value = line.partition(":")
        assert name.lower() not in headers, f"two {name} headers"
        headers[name.lower()] = value.strip()
    return Request(method, target, headers, await read_body(reader, headers))


async def read_body(reader: asyncio.StreamReader, headers: dict[str, str]) -> bytes:
    if "chunked" not in headers.get("transfer-encoding", ""):
        return await reader.readexactly(int(headers.get("content-length", "0")))
    body = b""
    while size := int(await reader.readline(), 16):
        body += (await reader.readexactly(size + 2))[:-2]
    await reader.readline()
    return body


async def send(writer: asyncio.StreamWriter, answer: Answer, request: Request) -> bool:
    """Write the answer; say whether the connection goes on."""
    if answer.silent:
        return False
    writer.write(answer.head() if answer.raw is None else answer.raw)
    if answer.pieces is not None and request.method != "HEAD":
        await send_pieces(writer, answer)
    elif answer.raw is None and request.method != "HEAD":
        writer.write(answer.body)
    await writer.drain()
    if answer.reset:
        writer.transport.abort()
    return not (answer.cut or answer.reset or answer.raw is not None)


async def send_pieces(writer: asyncio.StreamWriter, answer: Answer) -> None:
    async with aclosing(each(answer.pieces or ())) as pieces:
        async for piece in pieces:
            if piece:
                writer.write(f"{len(piece):x}\r\n".encode() + piece + b"\r\n")
                await writer.drain()
    if not (answer.cut or answer.reset):
        writer.write(b"0\r\n\r\n")


async def each(pieces: Pieces) -> AsyncGenerator[bytes, None]:
    if isinstance(pieces, AsyncGenerator):
        async with aclosing(pieces):
            async for piece in pieces:
                yield piece
    else:
        for piece in pieces:
            yield piece


@asynccontextmanager
async def canned_server() -> AsyncIterator[CannedServer]:
    """A running server; every connection is closed at the end."""
    canned = CannedServer()
    server = await asyncio.start_server(canned.serve, "127.0.0.1", 0, limit=2**26)
    canned.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    try:
        yield canned
    finally:
        server.close()
        for task in list(canned.tasks):
            task.cancel()
        await asyncio.gather(*canned.tasks, return_exceptions=True)
