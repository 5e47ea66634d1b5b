"""A proxy that breaks chosen requests in chosen ways, to see how a program bears it."""

from __future__ import annotations

import asyncio
import contextlib
import json
import random
import socket
import struct
from collections import Counter
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, TypeAlias, TypedDict
from urllib.parse import urlsplit

from aiocouch.testing.http import LIMIT, Head, read_body, read_head, without_heartbeats
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
    502: ("bad_gateway", "The server did not answer."),
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
    chance: float
    """The share of those requests that is broken, such as 0.05; all when it is left out. Drawn by the
    ``seed``, for each rule and request by itself: the order in which requests come changes nothing."""
    when: Callable[[SeenRequest], bool]
    """A function that says of a request whether the rule is for it."""


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
    chance: float = 1.0
    when: Callable[[SeenRequest], bool] | None = field(default=None, repr=False)
    name: str = ""
    """The fault's name, that of the method of :class:`Faults` which made the rule."""
    hits: int = 0
    """How many requests the rule has broken."""
    lot: str = field(default="", repr=False)
    met: Counter[SeenRequest] = field(default_factory=Counter, repr=False)

    def takes(self, request: SeenRequest) -> bool:
        """Return whether the rule breaks this request, and count it."""
        if not self._is_for(request):
            return False
        if self.after:
            self.after -= 1
            return False
        if not self._is_drawn(request):
            return False
        self.hits += 1
        return True

    def _is_for(self, request: SeenRequest) -> bool:
        used_up = self.times is not None and self.hits >= self.times
        other_method = self.method is not None and self.method != request.method
        if used_up or other_method or not fnmatchcase(request.path, self.path):
            return False
        return self.when is None or self.when(request)

    def _is_drawn(self, request: SeenRequest) -> bool:
        if self.chance >= 1:
            return True
        self.met[request] += 1
        lot = f"{self.lot} {request.method} {request.path} {request.query} {self.met[request]}"
        return random.Random(lot).random() < self.chance  # noqa: S311 - to be repeated, not secret


class Faults:
    """A proxy in front of a CouchDB server that passes requests on, except where a rule says so.

    Use it with ``async with`` and give the program under test its ``url`` in place of the
    server's. Each method that makes a rule takes the keywords of :class:`Which`; of several rules
    for a request the oldest that is not used up wins.

    ``server`` is the server behind the proxy, or its URL; ``seed`` decides where a rule has a
    ``chance`` or a ``range`` to draw from.
    """

    def __init__(self, server: CouchDBServer | str, *, seed: int = 0) -> None:
        behind = CouchDBServer.from_url(server) if isinstance(server, str) else server
        self.requests: list[SeenRequest] = []
        """Every request so far, those that were broken included."""
        self.seed = seed
        self._behind = behind
        self._rules: list[Rule] = []
        self._made: list[Rule] = []  # those that were cleared included
        self._port = 0
        self._listener: socket.socket | None = None
        self._serving: asyncio.Task[None] | None = None
        self._ends = asyncio.Event()
        self._links: set[asyncio.Task[None]] = set()
        self._away: asyncio.Task[None] | None = None
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
        self._ends.set()
        if self._away is not None:
            await self._away
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

        ``headers`` are more header fields, such as ``{"Retry-After": "1"}``; ``body`` is encoded as
        JSON, and by default is an error as CouchDB writes it.
        """
        return self._add("answer", _canned(status, headers or {}, body), which)

    def html(self, status: int = 502, **which: Unpack[Which]) -> Rule:
        """Answer with a page of HTML, as a gateway does whose server is gone.

        The server does not see the request.
        """
        text = f"<html><body><h1>{status} {HTTPStatus(status).phrase}</h1></body></html>".encode()
        return self._add("html", _answered(status, {"Content-Type": "text/html"}, text), which)

    def reset(self, **which: Unpack[Which]) -> Rule:
        """Reset the connection; the server does not see the request."""
        return self._add("reset", _reset, which)

    def lose(self, **which: Unpack[Which]) -> Rule:
        """Let the server do what was asked, then reset the connection in place of its answer."""
        return self._add("lose", _lose, which)

    def delay(self, seconds: float, **which: Unpack[Which]) -> Rule:
        """Wait before the request is passed on."""
        return self._add("delay", _delayed(seconds), which)

    def stall(self, count: int | None = None, **which: Unpack[Which]) -> Rule:
        """Go silent and stay so, for as long as the program keeps the connection.

        It happens after ``count`` bytes of the answer's body; None is at once, so that the server
        does not see the request.
        """
        return self._add("stall", _stall if count is None else _stalled_after(count), which)

    def cut(self, count: int | range, *, head: bool = False, **which: Unpack[Which]) -> Rule:
        """Close the connection after ``count`` bytes of the answer's body.

        From a range another number is drawn each time. With ``head`` the bytes are counted from the
        first of the whole answer, its head included.
        """
        numbers = range(count, count + 1) if isinstance(count, int) else count
        chance = random.Random(f"{self.seed} {len(self._made)}")  # noqa: S311 - no secret
        return self._add("cut", _cut_after(numbers, chance, head), which)

    def hush(self, **which: Unpack[Which]) -> Rule:
        """Drop the heartbeats of a feed; its changes come through."""
        return self._add("hush", _hush, which)

    def down(self, seconds: float, **which: Unpack[Which]) -> Rule:
        """Be down for some seconds when the request comes, as :meth:`refusing` is.

        The server does not see the request.
        """
        return self._add("down", _down_for(seconds), which)

    def expire_cookies(self, **which: Unpack[Which]) -> Rule:
        """Let all sessions that have begun so far expire when the request comes.

        As with CouchDB, requests with such a cookie are then requests of nobody. New sessions can
        be begun.
        """
        return self._add("expire_cookies", _expired, which)

    @property
    def broken(self) -> Counter[str]:
        """How many requests each kind of rule has broken, by the name of the rule's method."""
        counts: Counter[str] = Counter()
        for rule in self._made:
            counts[rule.name] += rule.hits
        return counts

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

    def go_down(self, seconds: float) -> None:
        """Be down for some seconds from now on; nothing changes if it is down already."""
        if self._away is None or self._away.done():
            self._away = asyncio.create_task(self._stay_away(seconds))

    async def _stay_away(self, seconds: float) -> None:
        async with self.refusing():
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._ends.wait(), seconds)

    def _add(self, name: str, fault: _Fault, which: Which) -> Rule:
        rule = Rule(fault, **which, name=name, lot=f"{self.seed} {len(self._made)}")
        self._rules.append(rule)
        self._made.append(rule)
        return rule

    async def _open(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", self._port), backlog=128)
        self._listener.setblocking(False)
        self._port = self._listener.getsockname()[1]
        self._serving = asyncio.create_task(self._serve(self._listener))

    async def _serve(self, listener: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        while True:
            accepted, _ = await loop.sock_accept(listener)
            if self._listener is None:
                accepted.close()
                return
            link = _Link(self, self._behind, accepted)
            task = asyncio.create_task(link.run())
            self._links.add(task)
            task.add_done_callback(self._links.discard)
            # One that is cancelled before it has begun does not close it itself.
            task.add_done_callback(link.drop)

    async def _close(self) -> None:
        listener, self._listener = self._listener, None
        if listener is not None and self._serving is not None:
            # asyncio loses connections that come while a server is closed, or accept() cancelled.
            # So it gets a last one, and sees then that this is the end.
            with socket.create_connection(("127.0.0.1", self._port)):
                await self._serving
            listener.close()
            for link in self._links:
                link.cancel()
            await asyncio.gather(*self._links, return_exceptions=True)


class _HangUp(Exception):  # noqa: N818 - the end of a connection, not an error
    """End the connection."""


class _Link:
    """One connection of the program, and the one to the server that belongs to it."""

    def __init__(
        self,
        faults: Faults,
        behind: CouchDBServer,
        accepted: socket.socket,
    ) -> None:
        self.faults = faults
        self._behind = urlsplit(behind.url)
        self._accepted = accepted
        self._opened: list[asyncio.Task[_Streams]] = []
        self._upstream: _Streams | None = None
        self._early = b""  # read while looking whether the program is still there
        self._body_sent = False
        self.left = asyncio.Event()
        """Set when the program hangs up while it has a request under way."""

    async def run(self) -> None:
        """Serve requests until one side hangs up."""
        try:
            with contextlib.suppress(_HangUp, *_GONE):
                self._reader, self._writer = await self._open(sock=self._accepted)
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

    async def write(self, answer: Head | None, body: AsyncIterator[bytes]) -> None:
        """Pass an answer on to the program; without a head when that is part of the body."""
        if answer is not None:
            self._writer.write(answer.encode())
        async for piece in body:
            self._writer.write(piece)
            await self._writer.drain()

    async def drop_body(self, request: Head) -> None:
        """Read the body of a request that the server shall not see."""
        async for _ in read_body(self._reader, request):
            pass

    async def be_silent(self) -> None:
        """Take what comes without a word, until the program hangs up."""
        while await self._reader.read(LIMIT):
            pass
        raise _HangUp

    def reset(self) -> None:
        """End the connection with a reset."""
        raw: socket.socket = self._writer.get_extra_info("socket")
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
        self._writer.transport.abort()
        raise _HangUp

    async def _connect(self) -> _Streams:
        if self._upstream is None or self._upstream[0].at_eof():
            secure = self._behind.scheme == "https"
            port = self._behind.port or (443 if secure else 80)
            self._upstream = await self._open(
                host=self._behind.hostname, port=port, ssl=secure or None
            )
        return self._upstream

    async def _open(self, **where: Any) -> _Streams:
        opening = asyncio.create_task(asyncio.open_connection(limit=LIMIT, **where))
        self._opened.append(opening)
        # Cancelled at the wrong moment, it would leave an open connection to nobody.
        return await asyncio.shield(opening)

    async def _send_body(self, request: Head, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(*_GONE):
            async for piece in read_body(self._reader, request):
                writer.write(piece)
                await writer.drain()
            self._body_sent = True
            self._early = await self._reader.read(1)
        if not self._early:
            self.left.set()
            writer.close()  # nobody waits for the answer

    async def _final_answer(self, reader: asyncio.StreamReader) -> Head:
        """Read the head of the answer, and pass on those that announce one (100 Continue)."""
        answer = await read_head(reader)
        while answer.status < 200:
            self._writer.write(answer.encode())
            answer = await read_head(reader)
        return answer

    async def _end(self) -> None:
        if pending := [opening for opening in self._opened if not opening.done()]:
            await asyncio.wait(pending)
        done = [opening for opening in self._opened if _has_opened(opening)]
        for opening in done:  # before anything is waited for, which may be cancelled
            opening.result()[1].close()
        for opening in done:
            with contextlib.suppress(*_GONE):
                await opening.result()[1].wait_closed()

    def drop(self, _: object) -> None:
        """Close a connection that was never served."""
        if not self._opened:
            self._accepted.close()


def _has_opened(opening: asyncio.Task[_Streams]) -> bool:
    return not opening.cancelled() and opening.exception() is None


_Streams: TypeAlias = tuple[asyncio.StreamReader, asyncio.StreamWriter]
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


async def _stall(link: _Link, _: Head) -> None:
    await link.be_silent()


def _stalled_after(count: int) -> _Fault:
    async def stall(link: _Link, request: Head) -> None:
        async def deliver(answer: Head, body: AsyncIterator[bytes]) -> None:
            await link.write(answer, _first(count, body))
            async for _ in body:
                pass
            await link.left.wait()
            raise _HangUp

        await link.forward(request, deliver)

    return stall


def _cut_after(numbers: range, chance: random.Random, head: bool) -> _Fault:
    async def cut(link: _Link, request: Head) -> None:
        count = chance.choice(numbers)

        async def deliver(answer: Head, body: AsyncIterator[bytes]) -> None:
            await link.write(None if head else answer, _first(count, _whole(answer, body, head)))
            raise _HangUp

        await link.forward(request, deliver)

    return cut


async def _whole(answer: Head, body: AsyncIterator[bytes], head: bool) -> AsyncIterator[bytes]:
    """Yield the pieces of a body; with `head`, that of the answer before them."""
    if head:
        yield answer.encode()
    async for piece in body:
        yield piece


async def _first(count: int, body: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    if count <= 0:
        return
    async for piece in body:
        yield piece[:count]
        count -= len(piece)
        if count <= 0:
            return


async def _hush(link: _Link, request: Head) -> None:
    async def deliver(answer: Head, body: AsyncIterator[bytes]) -> None:
        await link.write(answer, without_heartbeats(body))

    await link.forward(request, deliver)


def _down_for(seconds: float) -> _Fault:
    async def down(link: _Link, _: Head) -> None:
        link.faults.go_down(seconds)
        link.reset()

    return down


def _canned(status: int, headers: Mapping[str, str], body: Any) -> _Fault:
    error, reason = _REASONS.get(status, (HTTPStatus(status).phrase.lower(), "A fault."))
    value = {"error": error, "reason": reason} if body is None else body
    return _answered(
        status, {"Content-Type": "application/json", **headers}, json.dumps(value).encode()
    )


def _answered(status: int, headers: Mapping[str, str], text: bytes) -> _Fault:
    fields = {"Content-Length": str(len(text)), **headers}
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
