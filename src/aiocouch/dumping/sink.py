"""Where a dump is written: a file of gzip members, or of plain text, with sums.

What is under way is in `NAME.part`, which gets its name when it is whole. Each mark ends a member and is
on disk before anything goes on, so that a dump which was killed is taken up after its last mark.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import io
import os
import zlib
from typing import IO, TYPE_CHECKING, Any, Protocol

from aiocouch.dumping.couchbackup import array_line, header_line, to_theirs
from aiocouch.dumping.lines import control

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

GZIP = 31
"""What zlib calls a gzip member with a window of full size."""

_PORTION = 1 << 20


class Hash(Protocol):
    """A sum that grows, as hashlib has them."""

    def update(self, data: bytes, /) -> None: ...
    def hexdigest(self) -> str: ...


class Sink:
    """Writes lines into a file, in a thread. `level` is that of zlib, 0 for plain text.

    `sum` is the SHA-256 of the text that the file has already.
    """

    def __init__(self, file: IO[bytes], level: int, sum: Hash | None = None) -> None:
        self.size = 0
        """How many bytes of text were written."""
        self._file = file
        self._level = level
        self._sum = sum or hashlib.sha256()
        self._gate = asyncio.Lock()
        self._member: Any = None

    async def write(
        self, lines: Iterable[bytes], written: Callable[[], None] | None = None
    ) -> None:
        """Write some lines together: nobody else's come between. They are taken in a thread.

        `written` is called behind them, and before anything else is written.
        """
        async with self._gate:
            await asyncio.to_thread(self._write_all, lines)
            if written is not None:
                written()

    async def begin(self, header: dict[str, Any]) -> None:
        """Write the first line."""
        await self.write([control("header", header)])

    async def mark(self, kind: str, facts: dict[str, Any]) -> None:
        """Write a mark or the end, and have all on disk."""
        async with self._gate:
            await asyncio.to_thread(self._mark, kind, facts)

    def _write_all(self, lines: Iterable[bytes]) -> None:
        portion: list[bytes] = []
        size = 0
        for line in lines:
            portion.append(line)
            size += len(line)
            if size >= _PORTION:
                self._write(portion)
                portion, size = [], 0
        if portion:
            self._write(portion)

    def _write(self, lines: Sequence[bytes]) -> None:
        text = b"\n".join([*lines, b""])
        self._sum.update(text)
        self.size += len(text)
        if not self._level:
            self._file.write(text)
            return
        if self._member is None:
            self._member = zlib.compressobj(self._level, zlib.DEFLATED, GZIP)
        self._file.write(self._member.compress(text))

    def _mark(self, kind: str, facts: dict[str, Any]) -> None:
        self._write([control(kind, {**facts, "sha256": self._sum.hexdigest()})])
        self._flush()

    def _flush(self) -> None:
        """End the member, and have all on disk."""
        if self._member is not None:
            self._file.write(self._member.flush())
            self._member = None
        self._file.flush()
        if self._file.seekable():
            with contextlib.suppress(io.UnsupportedOperation):  # it is in memory
                os.fsync(self._file.fileno())


class CouchbackupSink(Sink):
    """Writes a file of couchbackup: documents that come together are an array, and there are no marks."""

    async def begin(self, header: dict[str, Any]) -> None:
        """Write the first line."""
        await super().write([header_line(attachments=header["options"]["attachments"])])

    async def write(
        self, lines: Iterable[bytes], written: Callable[[], None] | None = None
    ) -> None:
        """Write some documents."""
        texts = [to_theirs(line) for line in lines]
        await super().write([array_line(texts)] if texts else [], written)

    def _mark(self, kind: str, facts: dict[str, Any]) -> None:
        del facts
        if kind == "end":
            self._flush()
