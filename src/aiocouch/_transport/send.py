"""The last step: a request of aiohttp, and its answer."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterable, Sized
from typing import TYPE_CHECKING, Any, NoReturn
from weakref import WeakKeyDictionary

from yarl import URL

from aiocouch._transport.answer import WITH_REASON, facts_of, refusal, whole_answer
from aiocouch._transport.body import FOREIGN, ResponseBody
from aiocouch._transport.limits import in_all, silence_of
from aiocouch._transport.pool import Place, Span
from aiocouch._transport.redirect import redirected
from aiocouch._transport.request import Request
from aiocouch._transport.sendable import LARGE, sendable
from aiocouch._transport.sessions import closed
from aiocouch._transport.sizes import inflated, read_whole, whole_already
from aiocouch._transport.upload import Upload
from aiocouch._transport.watch import broken
from aiocouch._wire.texts import Texts
from aiocouch.exception import AccountLockedError, BadRequestError, CouchDBError, transport_error

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    import aiohttp

    from aiocouch._transport.answer import HTTPResponse
    from aiocouch._transport.request import Answer
    from aiocouch._transport.sessions import Session, Sessions

__all__ = ["Send"]

_JSON = {"Content-Type": "application/json"}
_SLOWEST = 10_000  # bytes a second, of a body that a middleware may send again


class Send:
    """Sends a request, and maps every error to a class of `aiocouch.exception`."""

    def __init__(self, sessions: Sessions, most: int | None) -> None:
        self._sessions = sessions
        self._most = most
        self._reading: set[aiohttp.ClientResponse] = set()
        self._coming: WeakKeyDictionary[ResponseBody, tuple[str, str]] = WeakKeyDictionary()
        self._waiting: set[asyncio.Timeout] = set()

    def __call__(self, request: Request) -> Awaitable[Answer]:
        """Return the whole answer, or its head where the request has a span."""
        return self._whole(request) if request.span is None else self._begun(request, request.span)

    async def _whole(self, request: Request) -> HTTPResponse:
        session = self._sessions.ready(request)
        pool = session.pool
        pool.busy += 1
        try:
            if pool.busy > pool.limit:
                pool.make_room(facts_of(request.method, request.path))
            response = await self._open(session, request)
            content = whole_already(response) if session.is_untraced else None
            if content is None:
                content = await self._rest(request, response)
        except (*FOREIGN, asyncio.CancelledError) as error:
            self._fail(request, error)
        finally:
            pool.busy -= 1
        if response.status >= 300:
            if (other := redirected(request, response)) is not None:
                return await self._whole(other)
            refused = refusal(request.method, request.path, response, content)
            if response.status in WITH_REASON and request.method == "HEAD":
                refused = await self._with_reason(request) or refused
            raise refused
        return whole_answer(request, response, content)

    async def _rest(self, request: Request, response: aiohttp.ClientResponse) -> bytes:
        self._reading.add(response)
        try:
            return await read_whole(response, request.method, request.path, self._most)
        finally:
            self._reading.discard(response)

    async def _begun(self, request: Request, span: Span) -> ResponseBody:
        """Return the answer's head; the caller closes the body."""
        session = self._sessions.ready(request)
        place = Place(session.pool, span)
        try:
            if session.pool.busy > session.pool.limit:
                session.pool.make_room(facts_of(request.method, request.path))
            response = await self._begin(session, request)
        except BaseException:
            place.leave()
            raise
        silence = request.timeout.sock_read if request.timeout is not None else None
        body = ResponseBody(response, place, silence)
        self._coming[body] = request.method, request.path
        return body

    async def _begin(self, session: Session, request: Request) -> aiohttp.ClientResponse:
        """Send the bytes as they are encoded: aiohttp would make pieces of any size of them."""
        try:
            response = await self._open(session, request, auto_decompress=False)
            if response.status < 300:
                return response
            content = inflated(response, await response.read())
        except (*FOREIGN, asyncio.CancelledError) as error:
            self._fail(request, error)
        if (other := redirected(request, response)) is not None:
            return await self._begin(session, other)
        raise refusal(request.method, request.path, response, content)

    def _open(
        self, session: Session, request: Request, **options: Any
    ) -> Awaitable[aiohttp.ClientResponse]:
        """Return the request of aiohttp, not awaited yet."""
        if request.identity is not session.identity:
            session.be(request.identity)
        method, body, headers = request.method, request.body, request.headers
        if request.timeout is not None:
            options["timeout"] = request.timeout
        if request.watch is not None:  # by itself it would stand for those of the session
            options["middlewares"] = (*self._sessions.middlewares, request.watch)
        upload: Upload | None = None
        if type(body) is bytes and len(body) <= LARGE:
            headers = {**_JSON, **headers} if headers else _JSON
            options["data"] = body
        elif body is not None:
            if isinstance(body, bytes | Texts):
                headers = {**_JSON, "Content-Length": str(len(body)), **(headers or {})}
            upload = self._upload(body, options)
        answer: Awaitable[aiohttp.ClientResponse] = session.client.request(
            method,
            URL(request.node + request.path, encoded=True),
            headers=headers,
            raise_for_status=False,
            allow_redirects=False,
            **options,
        )
        if self._sessions.shares_connector:
            answer = self._until_closed(answer)
        return answer if upload is None else upload.watch(answer)

    async def _until_closed(
        self, answer: Awaitable[aiohttp.ClientResponse]
    ) -> aiohttp.ClientResponse:
        """Return the answer. aiohttp closes no connection of a connector that is not its own."""
        async with asyncio.timeout(None) as limit:
            self._waiting.add(limit)
            try:
                return await answer
            finally:
                self._waiting.discard(limit)

    def _fail(self, request: Request, error: Exception | asyncio.CancelledError) -> NoReturn:
        """Raise where aiohttp has given no whole answer."""
        if self._sessions.is_closed and not _is_cancelled():
            raise closed(request.method, request.path) from error
        if isinstance(error, asyncio.CancelledError | CouchDBError):
            raise error  # some of ours are also of aiohttp's classes
        cause = broken(error)
        raise transport_error(cause, facts_of(request.method, request.path)) from cause

    def _upload(
        self, body: bytes | Texts | AsyncIterable[bytes], options: dict[str, Any]
    ) -> Upload | None:
        """Make options of aiohttp for a large body, which no total may cut."""
        limits = silence_of(options.get("timeout") or self._sessions.timeout)
        options["timeout"] = limits
        pieces = sendable(body, bool(self._sessions.middlewares))
        if isinstance(pieces, AsyncIterable):
            upload = Upload(pieces, limits.sock_read) if limits.sock_read else None
            options["data"] = upload or pieces
            return upload
        options["data"] = pieces
        if limits.sock_read and isinstance(body, Sized):
            options["timeout"] = in_all(limits, limits.sock_read + len(body) / _SLOWEST)
        return None

    async def _with_reason(self, head: Request) -> CouchDBError | None:
        """Return the refusal of a GET, whose body tells the reason, as that of a HEAD cannot."""
        whole = Request("GET", head.path, node=head.node, identity=head.identity, span=Span.ENDS)
        try:
            body = await self._begun(whole, Span.ENDS)
        except (BadRequestError, AccountLockedError) as error:
            return error
        except CouchDBError:
            return None
        await body.close()
        return None

    def cut(self, folder: str, make: Callable[[str, str], Exception]) -> None:
        """Raise an error in all streams of paths in the folder that have not come whole.

        `make` makes it, of the method and the path.
        """
        for body, (method, path) in list(self._coming.items()):
            if path.startswith(f"{folder}/") and body.is_coming:
                body.cut(make(method, path))

    async def open(self) -> None:
        """Do nothing: the first request opens a connection."""

    async def close(self) -> None:
        """Close all connections."""
        await self._sessions.close()

    def stop(self) -> None:
        """Wake all who wait for an answer, or read one. aiohttp would let some of them wait for ever."""
        self.cut("", closed)
        for limit in self._waiting:
            limit.reschedule(0)
        for response in list(self._reading):
            response.close()


def _is_cancelled() -> bool:
    """Return whether somebody has cancelled the task. aiohttp so wakes, too, who waits for a connection."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0
