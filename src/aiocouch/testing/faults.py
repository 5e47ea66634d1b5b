"""A proxy that breaks chosen requests in chosen ways, to see how a program bears it."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import struct
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, TypeAlias, TypedDict
from urllib.parse import urlsplit

from aiocouch.testing.http import LIMIT, Head, read_body, read_head
from aiocouch.testing.server import CouchDBServer

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
    from types import TracebackType
    from typing import Self, Unpack

__all__ = ["Faults", "Rule", "SeenRequest", "Which"]

_RESET = struct.pack("ii", 1, 0)  # SO_LINGER on, for 0 seconds: closing sends a reset
_REASONS = {
    429: ("too_many_requests", "Too many requests."),
    500: ("internal_server_error", "The server has a fault."),
    503: ("service_unavailable", "The service is not available."),
}
_GONE = (OSError, EOFError)
_COOKIE = "AuthSession="


class Which(TypedDict, total=False):
    """Which requests a rule is for."""

    method: str
    """Only requests with this method; any when it is left out."""
    path: str
    """Only requests to this path, as it was sent and without the query. ``*`` stands for any
    text, so that ``*/_bulk_docs`` is that endpoint of every database."""
    times: int | None
    """How many requests the rule breaks, 1 when it is left out; None for all of them."""
    after: int
    """How many of those requests go through before the first is broken; 0 when it is left out."""


@dataclass(frozen=True)
class SeenRequest:
    """A request that came to the proxy."""

    method: str
    path: str
    query: str


@dataclass
class Rule:
    """A fault and the requests that it is for."""

    fault: _Fault = field(repr=False)
    method: str | None = None
    path: str = "*"
    times: int | None = 1
    after: int = 0
    hits: int = 0
    """How many requests the rule has broken."""

    def takes(self, request: SeenRequest) -> bool:
        """Say whether the rule breaks this request, and count it."""
        if not self._is_for(request):
            return False
        if self.after:
            self.after -= 1
            return False
        self.hits += 1
        return True

    def _is_for(self, request: SeenRequest) -> bool:
        used_up = self.times is not None and self.hits >= self.times
        other_method = self.method is not None and self.method != request.method
        return not used_up and not other_method and fnmatchcase(request.path, self.path)


class Faults:
    """A proxy in front of a CouchDB server that passes requests on, except where a rule says so.

    Use it with ``async with`` and give the program under test its ``url`` in place of the
    server's. Each method that makes a rule takes the keywords of :class:`Which`; of several rules
    for a request the oldest that is not used up wins.

    :param server: the server behind the proxy, or its URL
    """

    def __init__(self, server: CouchDBServer | str) -> None:
        behind = CouchDBServer.from_url(server) if isinstance(server, str) else server
        self.requests: list[SeenRequest] = []
        """Every request so far, those that were broken included."""
        self._behind = behind
        self._rules: list[Rule] = []
        self._port = 0
        self._listener: asyncio.Server | None = None
        self._links: set[asyncio.Task[None]] = set()
        self._cookies: set[str] | None = None  # those still good; None: all

    async def __aenter__(self) -> Self:
        await self._open()
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self._close()

    @property
    def url(self) -> str:
        """The URL of the proxy, without credentials."""
        return f"http://127.0.0.1:{self._port}{urlsplit(self._behind.url).path}"

    @property
    def server(self) -> CouchDBServer:
        """The server as it is reached through the proxy."""
        return CouchDBServer(self.url, self._behind.user, self._behind.password)

    def answer(
        self,
        status: int,
        *,
        headers: Mapping[str, str] | None = None,
        body: Any = None,
        **which: Unpack[Which],
    ) -> Rule:
        """Answer with this status; the server does not see the request.

        :param headers: more header fields, such as ``{"Retry-After": "1"}``
        :param body: the body, encoded as JSON; by default an error as CouchDB writes it
        """
        return self._add(_canned(status, headers or {}, body), which)

    def reset(self, **which: Unpack[Which]) -> Rule:
        """Reset the connection; the server does not see the request."""
        return self._add(_reset, which)

    def lose(self, **which: Unpack[Which]) -> Rule:
        """Let the server do what was asked, then reset the connection in place of its answer."""
        return self._add(_lose, which)

    def delay(self, seconds: float, **which: Unpack[Which]) -> Rule:
        """Wait before the request is passed on."""
        return self._add(_delayed(seconds), which)

    def cut(self, count: int, **which: Unpack[Which]) -> Rule:
        """Close the connection after that many bytes of the answer's body."""
        return self._add(_cut_after(count), which)

    def expire_cookies(self, **which: Unpack[Which]) -> Rule:
        """When the request comes, let all sessions that have begun so far have expired.

        As with CouchDB, requests with such a cookie are then requests of nobody. New sessions can
        be begun.
        """
        return self._add(_expired, which)

    @contextlib.asynccontextmanager
    async def refusing(self) -> AsyncIterator[None]:
        """Be down for the length of a block: open connections end, new ones are refused."""
        await self._close()
        try:
            yield
        finally:
            await self._open()

    def clear(self) -> None:
        """Drop all rules."""
        self._rules.clear()

    def fault_for(self, request: Head) -> _Fault:
        """Write the request down and give what to do with it."""
        path, _, query = request.target.partition("?")
        seen = SeenRequest(request.method, path, query)
        self.requests.append(seen)
        return next((rule.fault for rule in self._rules if rule.takes(seen)), _pass_on)

    def forget_cookies(self) -> None:
        """Take all session cookies that were given so far for expired."""
        self._cookies = set()

    def drop_cookies(self, request: Head) -> None:
        """Take the session cookies that have expired out of a request."""
        if self._cookies is not None:
            request.set("cookie", _only(self._cookies, request.get("cookie")))

    def note_cookies(self, answer: Head) -> None:
        """Remember the session cookies that the server gives after others have expired."""
        if self._cookies is not None:
            given = (value for name, value in answer.fields if name.lower() == "set-cookie")
            self._cookies.update(value.split(";")[0] for value in given)

    def _add(self, fault: _Fault, which: Which) -> Rule:
        rule = Rule(fault, **which)
        self._rules.append(rule)
        return rule

    async def _open(self) -> None:
        listener = await asyncio.start_server(self._accept, "127.0.0.1", self._port, limit=LIMIT)
        self._port = listener.sockets[0].getsockname()[1]
        self._listener = listener

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        link = asyncio.create_task(_Link(self, self._behind, reader, writer).run())
        self._links.add(link)
        link.add_done_callback(self._links.discard)

    async def _close(self) -> None:
        if self._listener is not None:
            self._listener.close()
            for link in self._links:
                link.cancel()
            await asyncio.gather(*self._links, return_exceptions=True)
            await self._listener.wait_closed()
            self._listener = None


class _HangUp(Exception):  # noqa: N818 - the end of a connection, not an error
    """End the connection."""


class _Link:
    """One connection of the program, and the one to the server that belongs to it."""

    def __init__(
        self,
        faults: Faults,
        behind: CouchDBServer,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
    ) -> None:
        self.faults = faults
        self._behind = urlsplit(behind.url)
        self._reader = reader
        self._writer = writer
        self._upstream: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None
        self._early = b""  # read while looking whether the program is still there
        self._body_sent = False

    async def run(self) -> None:
        """Serve requests until one side hangs up."""
        try:
            with contextlib.suppress(_HangUp, *_GONE):
                while True:
                    await self._next_request()
        finally:
            await self._end()

    async def _next_request(self) -> None:
        request = await read_head(self._reader, self._early)
        self._early = b""
        await self.faults.fault_for(request)(self, request)
        if request.get("connection").lower() == "close":
            raise _HangUp

    async def forward(self, request: Head, deliver: _Deliver) -> None:
        """Send the request to the server, and give its answer to ``deliver``."""
        self.faults.drop_cookies(request)
        reader, writer = await self._connect()
        writer.write(request.encode())
        self._body_sent = False
        sending = asyncio.create_task(self._send_body(request, writer))
        try:
            answer = await self._final_answer(reader)
            self.faults.note_cookies(answer)
            await deliver(answer, read_body(reader, answer, answer_to=request.method))
        finally:
            sending.cancel()
            await asyncio.gather(sending, return_exceptions=True)
        if not self._body_sent or answer.get("connection").lower() == "close":
            raise _HangUp

    async def write(self, answer: Head, body: AsyncIterator[bytes]) -> None:
        """Pass an answer on to the program."""
        self._writer.write(answer.encode())
        async for piece in body:
            self._writer.write(piece)
            await self._writer.drain()

    async def drop_body(self, request: Head) -> None:
        """Read the body of a request that the server shall not see."""
        async for _ in read_body(self._reader, request):
            pass

    def reset(self) -> None:
        """End the connection with a reset."""
        raw: socket.socket = self._writer.get_extra_info("socket")
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
        self._writer.transport.abort()
        raise _HangUp

    async def _connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        if self._upstream is None or self._upstream[0].at_eof():
            secure = self._behind.scheme == "https"
            port = self._behind.port or (443 if secure else 80)
            self._upstream = await asyncio.open_connection(
                self._behind.hostname, port, ssl=secure or None, limit=LIMIT
            )
        return self._upstream

    async def _send_body(self, request: Head, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(*_GONE):
            async for piece in read_body(self._reader, request):
                writer.write(piece)
                await writer.drain()
            self._body_sent = True
            self._early = await self._reader.read(1)
        if not self._early:
            writer.close()  # the program has gone, nobody waits for the answer

    async def _final_answer(self, reader: asyncio.StreamReader) -> Head:
        """Read the head of the answer, and pass on those that announce one (100 Continue)."""
        answer = await read_head(reader)
        while answer.status < 200:
            self._writer.write(answer.encode())
            answer = await read_head(reader)
        return answer

    async def _end(self) -> None:
        upstream = [self._upstream[1]] if self._upstream else []
        for writer in (self._writer, *upstream):
            writer.close()
            with contextlib.suppress(*_GONE):
                await writer.wait_closed()


_Deliver: TypeAlias = "Callable[[Head, AsyncIterator[bytes]], Awaitable[None]]"
_Fault: TypeAlias = "Callable[[_Link, Head], Awaitable[None]]"


async def _pass_on(link: _Link, request: Head) -> None:
    await link.forward(request, link.write)


async def _reset(link: _Link, _: Head) -> None:
    link.reset()


async def _expired(link: _Link, request: Head) -> None:
    link.faults.forget_cookies()
    await _pass_on(link, request)


async def _lose(link: _Link, request: Head) -> None:
    async def deliver(_: Head, body: AsyncIterator[bytes]) -> None:
        async for _piece in body:
            pass
        link.reset()

    await link.forward(request, deliver)


def _delayed(seconds: float) -> _Fault:
    async def delay(link: _Link, request: Head) -> None:
        await asyncio.sleep(seconds)
        await _pass_on(link, request)

    return delay


def _cut_after(count: int) -> _Fault:
    async def cut(link: _Link, request: Head) -> None:
        async def deliver(answer: Head, body: AsyncIterator[bytes]) -> None:
            await link.write(answer, _first(count, body))
            raise _HangUp

        await link.forward(request, deliver)

    return cut


async def _first(count: int, body: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    async for piece in body:
        yield piece[:count]
        count -= len(piece)
        if count <= 0:
            return


def _canned(status: int, headers: Mapping[str, str], body: Any) -> _Fault:
    error, reason = _REASONS.get(status, (HTTPStatus(status).phrase.lower(), "A fault."))
    value = {"error": error, "reason": reason} if body is None else body
    text = json.dumps(value).encode()
    fields = {"Content-Type": "application/json", "Content-Length": str(len(text)), **headers}
    head = Head(f"HTTP/1.1 {status} {HTTPStatus(status).phrase}", list(fields.items()))

    async def answer(link: _Link, request: Head) -> None:
        waits = bool(request.get("expect"))  # for leave to send its body, which it will not get
        if not waits:
            await link.drop_body(request)
        await link.write(head, _once(b"" if request.method == "HEAD" else text))
        if waits:
            raise _HangUp

    return answer


async def _once(text: bytes) -> AsyncIterator[bytes]:
    yield text


def _only(cookies: set[str], field_value: str) -> str:
    """Take the session cookies that are not among these out of a Cookie field."""
    pairs = (pair.strip() for pair in field_value.split(";"))
    return "; ".join(p for p in pairs if not p.startswith(_COOKIE) or p in cookies)
