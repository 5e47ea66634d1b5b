"""The parts of a multipart body that is still coming in, read one after the other."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

from aiocouch._wire.multipart import (
    MultipartParser,
    PartBegin,
    PartData,
    PartEvent,
    TooLongError,
)

if TYPE_CHECKING:
    from collections.abc import AsyncIterable, AsyncIterator, Mapping

__all__ = ["PartReader", "joined"]


async def joined(pieces: AsyncIterable[bytes], limit: int) -> bytes:
    """Read all pieces. Raise `TooLongError` when they have more than `limit` bytes."""
    data = bytearray()
    async for piece in pieces:
        data += piece
        if len(data) > limit:
            raise TooLongError(f"a part is longer than {limit} bytes")
    return bytes(data)


class PartReader:
    """Reads parts from an iterator of bytes; holds no more than one piece of it.

    Call `next_part` for the headers of the next part, then `pieces` (or `body`) for its bytes.
    A part that is multipart itself is read by `PartReader(outer.pieces(), boundary)`.
    Raises `MultipartError` when the body is broken or ends early.
    """

    def __init__(self, source: AsyncIterator[bytes], boundary: str) -> None:
        self._source = source
        self._parser = MultipartParser(boundary)
        self._events: deque[PartEvent] = deque()
        self._in_part = False

    async def next_part(self) -> Mapping[str, str] | None:
        """Skip what is left of the current part; give the next one's headers, None at the end."""
        while True:
            event = await self._next_event()
            if event is None or isinstance(event, PartBegin):
                self._in_part = event is not None
                return None if event is None else event.headers

    async def pieces(self) -> AsyncIterator[bytes]:
        """Yield the bytes of the current part as they come."""
        while self._in_part:
            event = await self._next_event()
            if isinstance(event, PartData):
                yield event.data
            else:
                self._in_part = False

    async def body(self, limit: int) -> bytes:
        """Read the whole current part. Raise `TooLongError` when it has more than `limit` bytes."""
        return await joined(self.pieces(), limit)

    async def drain(self) -> None:
        """Read the source to its end, so that the connection can be used again."""
        async for _ in self._source:
            pass

    async def _next_event(self) -> PartEvent | None:
        while not self._events:
            if self._parser.finished:
                return None
            piece = await anext(self._source, None)
            if piece is None:
                self._parser.close()
                return None
            self._events.extend(self._parser.feed(piece))
        return self._events.popleft()
