"""Rows, and bytes, that are read while they come, and go on where they were when they break off."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Generic, NoReturn, Protocol, Self, TypeVar

from aiocouch._transport.log import LOGGER
from aiocouch._transport.policy import Failure
from aiocouch._wire.left import ShiftedError
from aiocouch._wire.rows import BrokenBodyError
from aiocouch.exception import CouchDBError, TransportError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from types import TracebackType

    from aiocouch._transport.answer import HTTPResponse
    from aiocouch._transport.policy import RetryPolicy
    from aiocouch._transport.stream import SupportsDecode
    from aiocouch._wire.left import BytesLeft
    from aiocouch.remote import Stream

__all__ = ["Continued", "ContinuedBytes"]

T = TypeVar("T")
_PARTIAL = 206
_SAME = ("ETag", "Content-Encoding")


class Left(Protocol):
    """What is left to ask for. See `_wire.left`."""

    @property
    def is_complete(self) -> bool:
        """Whether nothing is."""
        ...

    def fresh(self, rows: Any, /) -> Any:
        """Return the rows without those that come again."""
        ...

    def rest(self) -> dict[str, Any] | None:
        """Return how to ask for it; None where that cannot be told."""
        ...


class Continued(Generic[T]):
    """A stream of rows, an async context manager. `policy` says how often it goes on; None: never."""

    def __init__(
        self, ask: Callable[[dict[str, Any]], Stream], left: Left, policy: RetryPolicy | None
    ) -> None:
        self._ask = ask
        self._left = left
        self._policy = policy
        self._breaks = 0  # in a row, without a row between
        self._broke: TransportError | None = None
        options = left.rest()
        self._stream = ask({} if options is None else options)

    def __aenter__(self) -> Awaitable[Self]:
        return self._stream.opened_for(self)

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self._stream.close()

    @property
    def meta(self) -> dict[str, Any]:
        """The members around the rows, once they are all read."""
        return self._stream.meta

    def document_id(self, text: bytes) -> str:
        """Return what `Stream` does."""
        return self._stream.document_id(text)

    def member(self, name: str) -> Any:
        """Return what `Stream` does."""
        return self._stream.member(name)

    def refuse(self, row: Any) -> NoReturn:
        """Raise as `Stream` does."""
        self._stream.refuse(row)

    async def batch(
        self, decoder: SupportsDecode[list[T]], rescue: Callable[[bytes], T]
    ) -> list[T]:
        """Return the next rows; empty at the end."""
        while True:
            try:
                rows = await self._stream.batch(decoder, rescue)
            except TransportError as error:
                if await self._go_on(error):
                    continue
                return []
            if not rows:
                return rows
            if fresh := self._fresh(rows):
                self._breaks = 0
                return fresh

    def _fresh(self, rows: list[T]) -> list[T]:
        try:
            fresh: list[T] = self._left.fresh(rows)
        except BrokenBodyError:
            self._stream.refuse(rows[-1])
        except ShiftedError as error:
            if self._broke is None:
                raise
            self._broke.add_note(f"it cannot go on: {error}")
            raise self._broke from None
        return fresh

    async def _go_on(self, error: TransportError) -> bool:
        """Ask for what is left; False when nothing is. Raise the error when it cannot."""
        self._breaks += 1
        policy, self._broke = self._policy, error
        if policy is None or policy.failure(error) is Failure.FINAL:
            raise error
        if self._breaks > 1 and isinstance(error, TimeoutError):
            raise error  # silence has a limit, which many tries would multiply
        if self._left.is_complete:
            return False
        wait, options = policy.wait(self._breaks, error), self._left.rest()
        if wait is None or options is None:
            raise error
        LOGGER.warning("%s; it goes on where it was in %.2f seconds", error, wait)
        await self._stream.close()
        await asyncio.sleep(wait)
        self._stream = self._ask(options)
        try:
            await self._stream.__aenter__()
        except CouchDBError as later:
            error.add_note(f"it could not go on: {later}")
            raise error from later
        return True


class ContinuedBytes(Continued[bytes]):
    """A stream of bytes, an async context manager.

    It goes on only while they are the same: their ETag and encoding must be those of the first answer.
    """

    def __init__(
        self,
        ask: Callable[[dict[str, Any]], Stream],
        left: BytesLeft,
        policy: RetryPolicy | None,
    ) -> None:
        super().__init__(ask, left, policy)
        self._bytes = left
        self._first: HTTPResponse | None = None

    @property
    def response(self) -> HTTPResponse:
        """Status and headers of the first answer."""
        if self._first is None:
            self._first = self._stream.response
            self._bytes.answered(whole=self._first.status != _PARTIAL)
        return self._first

    async def gathered(self) -> bytes:
        """Return the next bytes, as `Stream` does; empty at the end."""
        first = self.response
        while not self._left.is_complete:
            try:
                piece = await self._stream.gathered()
            except TransportError as error:
                if await self._go_on(error):
                    self._check_same(first, error)
                continue
            if not piece:
                break
            if fresh := self._bytes.fresh(piece):
                self._breaks = 0
                return fresh
        return b""

    def _check_same(self, first: HTTPResponse, error: TransportError) -> None:
        now = self._stream.response
        if first.etag is None or any(
            first.headers.get(name) != now.headers.get(name) for name in _SAME
        ):
            error.add_note("it cannot go on: the content may have been changed meanwhile")
            raise error
        self._bytes.answered(whole=now.status != _PARTIAL)
