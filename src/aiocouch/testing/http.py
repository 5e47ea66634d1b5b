"""HTTP/1.1 messages as a proxy sees them: heads to change, bodies to pass on as they are."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import asyncio
    from collections.abc import AsyncIterator

__all__ = ["LIMIT", "Head", "read_body", "read_head", "without_heartbeats"]

LIMIT = 2**20
"""The longest head and the longest line that is read, in bytes."""
_PIECE = 2**16
_NO_BODY = frozenset({204, 304})
_EMPTY_LINE = b"\n\r\n"


@dataclass
class Head:
    """The first line of a message and its header fields, in order."""

    first: str
    fields: list[tuple[str, str]]

    @property
    def method(self) -> str:
        """The method of a request."""
        return self.first.split(" ", 2)[0]

    @property
    def target(self) -> str:
        """The path of a request with its query, as it was sent."""
        return self.first.split(" ", 2)[1]

    @property
    def status(self) -> int:
        """The status of an answer."""
        return int(self.first.split(" ", 2)[1])

    def get(self, name: str) -> str:
        """Return the value of a field, or an empty text."""
        return next((value for key, value in self.fields if key.lower() == name), "")

    def set(self, name: str, value: str) -> None:
        """Replace a field; an empty value removes it."""
        self.fields = [field for field in self.fields if field[0].lower() != name]
        if value:
            self.fields.append((name, value))

    def encode(self) -> bytes:
        """Return the head as bytes, with the empty line that ends it."""
        lines = [self.first, *(f"{name}: {value}" for name, value in self.fields), "", ""]
        return "\r\n".join(lines).encode("latin-1")


async def read_head(reader: asyncio.StreamReader, begun: bytes = b"") -> Head:
    """Read a head, of which ``begun`` has been read already.

    Raise asyncio.IncompleteReadError when the connection ends before the head does.
    """
    text = (begun + await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
    first, *lines = text[:-4].split("\r\n")
    return Head(first, [_field(line) for line in lines])


def _field(line: str) -> tuple[str, str]:
    name, _, value = line.partition(":")
    return name, value.strip()


def read_body(
    reader: asyncio.StreamReader, head: Head, *, answer_to: str | None = None
) -> AsyncIterator[bytes]:
    """Read the body that belongs to a head, in pieces, framing of chunks included.

    ``answer_to`` is the method of the request when the head is that of an answer.
    """
    if answer_to is not None and (answer_to == "HEAD" or head.status in _NO_BODY):
        return _exactly(reader, 0)
    if "chunked" in head.get("transfer-encoding").lower():
        return _chunks(reader)
    if head.get("content-length"):
        return _exactly(reader, int(head.get("content-length")))
    return _exactly(reader, 0) if answer_to is None else _to_the_end(reader)


async def _exactly(reader: asyncio.StreamReader, count: int) -> AsyncIterator[bytes]:
    while count:
        piece = await reader.read(min(count, _PIECE))
        if not piece:
            raise EOFError("the connection ended in the middle of a body")
        count -= len(piece)
        yield piece


async def _chunks(reader: asyncio.StreamReader) -> AsyncIterator[bytes]:
    size = -1
    while size != 0:
        line = await reader.readuntil(b"\n")
        yield line
        size = int(line.split(b";")[0], 16)
        async for piece in _exactly(reader, size + 2 if size else 0):
            yield piece
    async for line in _trailers(reader):
        yield line


async def _trailers(reader: asyncio.StreamReader) -> AsyncIterator[bytes]:
    """Read what follows the last chunk, up to the empty line."""
    line = b""
    while line not in {b"\r\n", b"\n"}:
        line = await reader.readuntil(b"\n")
        yield line


async def _to_the_end(reader: asyncio.StreamReader) -> AsyncIterator[bytes]:
    while piece := await reader.read(_PIECE):
        yield piece


async def without_heartbeats(body: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """Leave out the chunks of a body that hold an empty line and nothing else.

    The body must be chunked; its pieces are those of :func:`read_body`.
    """
    async for line in body:
        size = int(line.split(b";")[0], 16)
        if size == 1:
            chunk = b"".join([piece async for piece in _next(body, 3)])
            if chunk != _EMPTY_LINE:
                yield line + chunk
            continue
        yield line
        if size == 0:
            break
        async for piece in _next(body, size + 2):
            yield piece
    async for line in body:
        yield line


async def _next(body: AsyncIterator[bytes], count: int) -> AsyncIterator[bytes]:
    while count > 0:
        piece = await anext(body)
        count -= len(piece)
        yield piece
