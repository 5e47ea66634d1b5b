"""A request and its answer, whichever way they travel: what the routes work on."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, TypeAlias

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Mapping

    from multidict import CIMultiDict, CIMultiDictProxy

    from aiocouch._wire.ready_row import ReadyRow
    from aiocouch.embedded.identity import User

__all__ = ["Answer", "Incoming", "Outgoing", "Padded", "Reply"]


class Incoming(Protocol):
    """A request, as it came in.

    `raw_path` is the target as sent, with its query. `peer` is the address of the client. `length` is
    the number of bytes of the body where the client tells it, `whole` the body where it is there
    already. `user` is who asks, where the way by which the request came knows that. `write_rows` takes
    rows with documents as they are, where the client wants no text of them.
    """

    @property
    def method(self) -> str: ...
    @property
    def raw_path(self) -> str: ...
    @property
    def headers(self) -> CIMultiDict[str] | CIMultiDictProxy[str]: ...
    @property
    def peer(self) -> str: ...
    @property
    def length(self) -> int | None: ...
    @property
    def whole(self) -> bytes | None: ...
    @property
    def user(self) -> User | None: ...
    @property
    def write_rows(self) -> Callable[[list[ReadyRow]], Awaitable[None]] | None: ...

    @property
    def is_gone(self) -> bool:
        """Whether nobody waits for the answer any more."""
        ...

    def pieces(self) -> AsyncIterator[bytes]:
        """Return the body in pieces as they come, as sent (not decompressed)."""
        ...

    async def begin(self, status: int, headers: Mapping[str, str]) -> Outgoing:
        """Send the head of an answer whose body is written piece by piece."""
        ...

    def abort(self) -> None:
        """Break an answer off, so that the client notices that it is not whole."""
        ...


class Answer:
    """An answer that is there as a whole. `headers` are those that it will have, but for framing."""

    __slots__ = ("body", "headers", "status")

    def __init__(self, status: int, headers: dict[str, str], body: bytes = b"") -> None:
        self.status = status
        self.headers = headers
        self.body = body


class Outgoing(Protocol):
    """An answer whose head is out. It ends with `write_eof`."""

    @property
    def status(self) -> int: ...

    async def write(self, piece: bytes, /) -> None:
        """Send a piece; wait as long as the client takes none."""
        ...

    async def write_eof(self) -> None:
        """End the body."""
        ...

    def push(self, data: bytes, /) -> bool:
        """Send bytes at once; False where they would have to wait, or nobody is there."""
        ...


Reply: TypeAlias = Answer | Outgoing


class Padded:
    """An answer with something around its body (JSONP). `open` it before the first piece."""

    def __init__(self, inner: Outgoing, opening: bytes, closing: bytes) -> None:
        self._inner = inner
        self._opening, self._closing = opening, closing
        self.status = inner.status
        self.push = inner.push

    async def open(self) -> None:
        """Begin the body."""
        await self._inner.write(self._opening)

    async def write(self, piece: bytes) -> None:
        """Send a piece."""
        await self._inner.write(piece)

    async def write_eof(self) -> None:
        """End the body."""
        await self._inner.write(self._closing + b"\n")
        await self._inner.write_eof()
