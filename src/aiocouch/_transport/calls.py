"""Requests to a server in this process: what its routes work on, and where they write their answers.

The answer to a `Call` is gathered as a whole, while the one who asks runs the route. A route that writes into
a `Channel` has a task of its own, and waits when nobody reads.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import aiohttp
from multidict import CIMultiDict
from yarl import URL

from aiocouch._wire.texts import Texts

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterable, Awaitable, Callable, Mapping

    from aiocouch._transport.host import Entrance
    from aiocouch._transport.request import Request
    from aiocouch._wire.ready_row import ReadyRow

__all__ = ["Call", "Channel", "Reply", "headers_of"]

_MOST_UNREAD = 1 << 18
_BODILESS = frozenset({"GET", "HEAD", "OPTIONS"})


class Reply:
    """The head of an answer."""

    __slots__ = ("_where", "headers", "reason", "status")

    def __init__(self, status: int, headers: Mapping[str, str], reason: str, where: str) -> None:
        self.status = status
        self.headers = CIMultiDict(headers)
        self.reason = reason
        self._where = where

    @property
    def url(self) -> URL:
        """The URL of the request; one by its length for what a redirect of the server leads to."""
        return URL(self._where, encoded=True)


def headers_of(base: CIMultiDict[str], request: Request) -> CIMultiDict[str]:
    """Return the headers of a request. `base` has those of the session, and is not changed."""
    body, own = request.body, request.headers
    if body is None and own is None and request.method in _BODILESS:
        return base
    headers = base.copy()
    if isinstance(body, bytes | Texts):
        headers["Content-Type"] = "application/json"
        headers["Content-Length"] = str(len(body))
    elif body is None and request.method not in _BODILESS:
        headers["Content-Length"] = "0"
    headers.update(own or {})
    if body is not None and "Content-Length" not in headers:
        headers["Transfer-Encoding"] = "chunked"
        headers.setdefault("Content-Type", "application/octet-stream")
    return headers


class Call:
    """A request whose answer is held whole; it may have `most` bytes.

    `head` is there where a route has written the answer piece by piece. `failure` says why there is no
    whole answer.
    """

    __slots__ = (
        "_entrance",
        "_most",
        "_pieces",
        "_size",
        "_source",
        "failure",
        "head",
        "headers",
        "is_gone",
        "length",
        "method",
        "raw_path",
        "user",
        "whole",
        "write_rows",
    )

    peer = "127.0.0.1"

    def __init__(
        self,
        entrance: Entrance,
        request: Request,
        headers: CIMultiDict[str],
        user: Any,
        most: float,
    ) -> None:
        body = request.body
        self._entrance = entrance
        self.method = request.method
        self.raw_path = request.path
        self.headers = headers
        self.user = user
        self.whole: bytes | None = None
        self._source: AsyncIterable[bytes] | None = None
        self.length: int | None = None
        if body is None:
            self.whole = b""
        elif isinstance(body, bytes | Texts):
            self.whole = bytes(body)
            self.length = len(self.whole)
        else:
            self._source = body
            self.length = _number(headers.get("Content-Length"))
        self.head: Reply | None = None
        self.failure: Exception | None = None
        self.is_gone = False
        self.write_rows: Callable[[list[ReadyRow]], Awaitable[None]] | None = None
        self._most = most
        self._pieces: list[bytes] = []
        self._size = 0

    def reply(self, status: int, headers: Mapping[str, str]) -> Reply:
        """Return the head of an answer to this request."""
        where = f"http://{self._entrance.address}{self.raw_path}"
        return Reply(status, headers, self._entrance.phrase(status), where)

    def begun(self) -> Reply:
        """Return the head of what was written piece by piece."""
        if self.head is None:
            raise RuntimeError("the route has ended without an answer")
        return self.head

    def content(self) -> bytes:
        """Return what was written."""
        return b"".join(self._pieces)

    # -- for the route: the request ---------------------------------------------------------------

    async def pieces(self) -> AsyncGenerator[bytes, None]:
        """Yield the body, as the program gives it."""
        if self.whole:
            yield self.whole
        if self._source is None:
            return
        try:
            async for piece in self._source:
                yield piece
        except Exception as error:
            told = aiohttp.ClientConnectionError(f"the body has broken off: {error!r}")
            told.__cause__ = error
            self.fail(told)
            raise ConnectionResetError("the body has broken off") from error

    # -- for the route: the answer ----------------------------------------------------------------

    async def begin(self, status: int, headers: Mapping[str, str]) -> Call:
        """Take the head of an answer that is written piece by piece, into this."""
        self.head = self.reply(status, headers)
        return self

    @property
    def status(self) -> int:
        """The status of the answer that has begun."""
        return 0 if self.head is None else self.head.status

    async def write(self, piece: bytes) -> None:
        """Take a piece of the answer."""
        if self.method == "HEAD" or not piece:
            return
        self._pieces.append(piece)
        self._size += len(piece)
        if self._size > self._most:
            self.is_gone = True
            raise ConnectionResetError("the answer is larger than the client takes")

    async def write_eof(self) -> None:
        """Take the end of the answer."""

    def push(self, data: bytes) -> bool:
        """Take rows at once; False if they would have to wait."""
        del data
        return False

    def abort(self) -> None:
        """Take it that the server cannot go on."""
        self.fail(aiohttp.ClientPayloadError("the server broke off"))

    @property
    def is_too_large(self) -> bool:
        """Whether the answer has more bytes than it may have."""
        return self._size > self._most

    def fail(self, error: Exception) -> None:
        """Say why there will be no whole answer."""
        if self.failure is None:
            self.failure = error
        self.is_gone = True


class Channel(Call):
    """A request whose answer is read while it comes."""

    __slots__ = ("_arrived", "_room", "_rows", "_task", "ended")

    def __init__(
        self,
        entrance: Entrance,
        request: Request,
        headers: CIMultiDict[str],
        user: Any,
    ) -> None:
        super().__init__(entrance, request, headers, user, float("inf"))
        self._rows: list[ReadyRow] = []
        if request.rows:
            self.write_rows = self._write_rows
        self._arrived: asyncio.Future[None] | None = None
        self._room: asyncio.Future[None] | None = None
        self.ended = False
        self._task = entrance.loop.create_task(self._run())

    async def _run(self) -> None:
        try:
            whole = await self._entrance.answer(self)
            if whole is not None and self.failure is None:
                self.head = self.reply(whole.status, whole.headers)
                if whole.body and self.method != "HEAD":
                    self._pieces.append(whole.body)
            self.ended = self.failure is None
        except ConnectionError as error:
            self.fail(error)
        finally:
            if not self.ended:
                self.abort()
            _wake(self._arrived)

    # -- for the route ----------------------------------------------------------------------------

    async def begin(self, status: int, headers: Mapping[str, str]) -> Channel:
        """Take the head of an answer, and tell the reader."""
        await super().begin(status, headers)
        _wake(self._arrived)
        return self

    async def write(self, piece: bytes) -> None:
        """Take a piece of the answer; wait while there is much that nobody has read."""
        await super().write(piece)
        _wake(self._arrived)
        while self._size > _MOST_UNREAD and not self.is_gone:
            self._room = self._entrance.loop.create_future()
            await self._room
        if self.is_gone:
            raise ConnectionResetError("nobody reads the answer any more")

    async def _write_rows(self, rows: list[ReadyRow]) -> None:
        """Take documents as they are; wait until they are read, and so for all text before them."""
        self._rows = rows
        _wake(self._arrived)
        while self._rows and not self.is_gone:
            self._room = self._entrance.loop.create_future()
            await self._room
        if self.is_gone:
            raise ConnectionResetError("nobody reads the answer any more")

    def push(self, data: bytes) -> bool:
        """Take rows at once; False if they would have to wait, or nobody reads."""
        if self.is_gone or self._size > _MOST_UNREAD:
            return False
        if not data:
            return True
        self._pieces.append(data)
        self._size += len(data)
        _wake(self._arrived)
        return True

    # -- for the reader ---------------------------------------------------------------------------

    async def answered(self, seconds: float | None) -> Reply:
        """Wait for the head, so many seconds at most. Raise why there is none."""
        while self.head is None:
            if self.failure is not None:
                raise self.failure
            await self._wait(seconds)
        return self.head

    async def read(self, seconds: float | None) -> bytes:
        """Return what was written since; empty at the end. Raise why it does not come to its end."""
        await self._something(seconds)
        found = self._pieces[0] if len(self._pieces) == 1 else b"".join(self._pieces)
        self._pieces.clear()
        self._size = 0
        _wake(self._room)
        return found

    async def rows(self, seconds: float | None) -> list[ReadyRow]:
        """Return the documents that stand before the next text or the end, if there are any."""
        await self._something(seconds)
        if self._pieces:
            return []
        found, self._rows = self._rows, []
        _wake(self._room)
        return found

    async def _something(self, seconds: float | None) -> None:
        """Wait for text, rows or the end. Raise why it does not come to its end."""
        while not (self._pieces or self._rows):
            if (
                self.failure is not None
            ):  # of an answer that has ended, too: it may have been cut since
                raise self.failure
            if self.ended:
                return
            await self._wait(seconds)

    async def _wait(self, seconds: float | None) -> None:
        self._arrived = self._entrance.loop.create_future()
        async with asyncio.timeout(seconds):
            await self._arrived

    def fail(self, error: Exception) -> None:
        """End it; the reader gets the error after what has been written."""
        super().fail(error)
        _wake(self._arrived)
        _wake(self._room)

    def leave(self) -> asyncio.Task[None] | None:
        """End the route, because nobody reads. Return its task, if it has not ended."""
        self.is_gone = True
        if self._task.done():
            return None
        self._task.cancel()
        return self._task


def _wake(waiting: asyncio.Future[None] | None) -> None:
    if waiting is not None and not waiting.done():
        waiting.set_result(None)


def _number(text: str | None) -> int | None:
    return int(text) if text is not None and text.isdecimal() else None
