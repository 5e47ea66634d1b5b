"""The last step where the server is in this process: a call, and its answer."""

from __future__ import annotations

import asyncio
import math
from typing import TYPE_CHECKING, Any, NoReturn

from multidict import CIMultiDict

from aiocouch._transport.answer import WITH_REASON, facts_of, refusal, whole_answer
from aiocouch._transport.body import FOREIGN
from aiocouch._transport.calls import Call, Channel, headers_of
from aiocouch._transport.deadlines import Deadlines
from aiocouch._transport.redirect import redirected
from aiocouch._transport.request import Request
from aiocouch._transport.sessions import closed
from aiocouch._transport.sizes import inflated, too_large
from aiocouch._wire.texts import Texts
from aiocouch.exception import (
    AccountLockedError,
    BadRequestError,
    CouchDBError,
    InvalidInputError,
    transport_error,
)

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from aiocouch._transport.answer import HTTPResponse
    from aiocouch._transport.calls import Reply
    from aiocouch._transport.host import Entrance, Host
    from aiocouch._transport.request import Answer
    from aiocouch._transport.sessions import Sessions

__all__ = ["Direct", "check_options"]

_OF_SOCKETS = frozenset({"connector", "middlewares", "proxy", "proxy_auth", "tls", "trace_configs"})
_TURN = 0.001  # seconds after which others have their turn


def check_options(options: Mapping[str, Any], tls: object) -> None:
    """Raise `InvalidInputError` for options that mean something to a socket only."""
    given = {name for name, value in {**options, "tls": tls}.items() if value is not None}
    for name in sorted(given & _OF_SOCKETS):
        raise InvalidInputError(f"{name} is for connections: a server in this process has none")


class Direct:
    """Asks a server in this process, and maps every error to a class of `aiocouch.exception`.

    `is_trusted` says that who sends no credentials is the user of the host.
    """

    def __init__(
        self, host: Host, sessions: Sessions, most: int | None, *, is_trusted: bool
    ) -> None:
        self._host = host
        self._sessions = sessions
        self._most = math.inf if most is None else most
        self._user = host.user if is_trusted else None
        self._entrance: Entrance | None = None
        self._entering = asyncio.Lock()
        self._is_closed = False
        self._identity: Mapping[str, str] | None = None
        self._base: CIMultiDict[str] | None = None
        self._turn = 0.0
        self._deadlines = Deadlines()
        self._coming: dict[Channel, tuple[str, str]] = {}
        self._ending: set[asyncio.Task[None]] = set()

    def __call__(self, request: Request) -> Awaitable[Answer]:
        """Return the whole answer, or its head where the request has a span."""
        return self._whole(request) if request.span is None else self._begun(request)

    # -- the server -------------------------------------------------------------------------------

    async def open(self) -> Entrance:
        """Start the server unless it runs, as the first request does. Return the way in."""
        return self._entrance or await self._enter(Request("GET", "/"))

    async def _enter(self, request: Request) -> Entrance:
        async with self._entering:
            if self._is_closed:
                raise closed(request.method, request.path, "is closed")
            if self._entrance is None:
                self._entrance = await self._host.enter()
            return self._entrance

    def _check(self, request: Request, entrance: Entrance) -> None:
        if self._is_closed:
            raise closed(request.method, request.path, "is closed")
        if entrance.loop is not asyncio.get_running_loop():
            raise closed(request.method, request.path, "belongs to another event loop")

    def _headers(self, entrance: Entrance, request: Request) -> CIMultiDict[str]:
        """Return the headers: those of the session, who we are, and those of the request."""
        if self._base is None or request.identity is not self._identity:
            base = CIMultiDict({"Host": entrance.address, **(request.identity or {})})
            base.update(self._sessions.given)
            self._base, self._identity = base, request.identity
        return headers_of(self._base, request)

    # -- whole answers ----------------------------------------------------------------------------

    async def _whole(self, request: Request) -> HTTPResponse:
        entrance = self._entrance or await self._enter(request)
        self._check(request, entrance)
        if entrance.loop.time() - self._turn > _TURN:
            await asyncio.sleep(0)  # a route may have no reason to wait
            self._turn = entrance.loop.time()
        call = Call(entrance, request, self._headers(entrance, request), self._user, self._most)
        reply, content = await self._answered(entrance, request, call)
        if reply.status >= 300:
            if (other := redirected(request, reply)) is not None:
                return await self._whole(other)
            # no local: it would hold its own traceback
            raise await self._refusal(request, reply, content)
        return whole_answer(request, reply, content)

    async def _refusal(self, request: Request, reply: Reply, content: bytes) -> CouchDBError:
        refused = refusal(request.method, request.path, reply, content)
        if reply.status in WITH_REASON and request.method == "HEAD":
            return await self._with_reason(request) or refused
        return refused

    async def _answered(
        self, entrance: Entrance, request: Request, call: Call
    ) -> tuple[Reply, bytes]:
        try:
            with self._deadlines.within(self._limit(request)):
                whole = await entrance.answer(call)
        except (OSError, asyncio.CancelledError) as error:
            self._fail(request, error)
        if call.failure is not None:
            self._fail(request, call.failure)
        if whole is not None:
            reply = call.reply(whole.status, whole.headers)
            content = b"" if request.method == "HEAD" else whole.body
        else:
            reply = call.begun()
            content = inflated(reply, call.content())
        if len(content) > self._most or call.is_too_large:
            most = int(self._most)
            raise too_large(request.method, request.path, reply.status, "the answer", most)
        return reply, content

    def _limit(self, request: Request) -> float | None:
        """Return the seconds for all of it; what a program sends in pieces may take its time."""
        if request.timeout is not None:
            return request.timeout.total
        is_at_hand = request.body is None or isinstance(request.body, bytes | Texts)
        return self._sessions.total if is_at_hand else None

    async def _with_reason(self, head: Request) -> CouchDBError | None:
        """Return the refusal of a GET, whose body tells the reason, as that of a HEAD cannot."""
        whole = Request("GET", head.path, identity=head.identity)
        try:
            await self._whole(whole)
        except (BadRequestError, AccountLockedError) as error:
            return error
        except CouchDBError:
            return None
        return None

    # -- streams ----------------------------------------------------------------------------------

    async def _begun(self, request: Request) -> _Coming:
        """Return the answer's head; the caller closes the body."""
        entrance = self._entrance or await self._enter(request)
        self._check(request, entrance)
        silence = request.timeout.sock_read if request.timeout is not None else None
        channel = Channel(entrance, request, self._headers(entrance, request), self._user)
        self._coming[channel] = request.method, request.path
        body = _Coming(self, channel, silence)
        try:
            body.response = reply = await channel.answered(
                silence if channel.whole is not None else None
            )
            if reply.status < 300:
                return body
            content = inflated(reply, await _all(channel))
        except (*FOREIGN, OSError, asyncio.CancelledError) as error:
            await body.close()
            self._fail(request, error)
        await body.close()
        if (other := redirected(request, reply)) is not None:
            return await self._begun(other)
        raise refusal(request.method, request.path, reply, content)

    def left(self, channel: Channel) -> None:
        """Note that nobody reads an answer any more: its route ends."""
        self._coming.pop(channel, None)
        if (task := channel.leave()) is not None:
            self._ending.add(task)
            task.add_done_callback(self._ending.discard)

    def _fail(self, request: Request, error: Exception | asyncio.CancelledError) -> NoReturn:
        """Raise where there is no whole answer."""
        if self._is_closed and not _is_cancelled():
            raise closed(request.method, request.path) from error
        if isinstance(error, asyncio.CancelledError | CouchDBError):
            raise error
        raise transport_error(error, facts_of(request.method, request.path)) from error

    # -- the end ----------------------------------------------------------------------------------

    def cut(self, folder: str, make: Callable[[str, str], Exception]) -> None:
        """Raise an error in all streams of paths in the folder that have not come whole.

        `make` makes it, of the method and the path.
        """
        for channel, (method, path) in list(self._coming.items()):
            if path.startswith(f"{folder}/") and not channel.ended:
                channel.fail(make(method, path))
                self.left(channel)

    def stop(self) -> None:
        """Wake all who wait for an answer, or read one."""
        self._is_closed = True
        self.cut("", closed)
        self._deadlines.end()

    async def close(self) -> None:
        """Leave the server, when the routes have ended that nobody waits for."""
        self._is_closed = True
        async with self._entering:
            entrance, self._entrance = self._entrance, None
        if entrance is None or entrance.loop is not asyncio.get_running_loop():
            return
        for channel in list(self._coming):
            self.left(channel)
        if self._ending:
            await asyncio.wait(self._ending)
        await self._host.leave(entrance)


class _Coming:
    """The bytes after the head of an answer. `close` it."""

    response: Reply

    def __init__(self, step: Direct, channel: Channel, silence: float | None) -> None:
        self._step = step
        self._channel = channel
        self._silence = silence

    async def chunk(self) -> bytes:
        """Return the next bytes, of any number; empty at the end."""
        return await self._channel.read(self._silence)

    async def rows(self) -> list[Any]:
        """Return the rows that stand before the next bytes, or nothing."""
        return await self._channel.rows(self._silence)

    async def rest(self, seconds: float) -> None:
        """Let the route go on; it needs no time to gather what it sends."""
        del seconds
        await asyncio.sleep(0)

    def cut(self, error: Exception) -> None:
        """End the request where it is, and raise the error after what has been read."""
        self._channel.fail(error)
        self._step.left(self._channel)

    @property
    def is_coming(self) -> bool:
        """Whether the answer has not ended yet."""
        return not self._channel.ended

    async def close(self) -> None:
        """End the request."""
        self._step.left(self._channel)

    def __del__(self) -> None:
        if not self._channel.ended:
            self._step.left(self._channel)


async def _all(channel: Channel) -> bytes:
    pieces = []
    while piece := await channel.read(None):
        pieces.append(piece)
    return b"".join(pieces)


def _is_cancelled() -> bool:
    """Return whether somebody has cancelled the task."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0
