"""Where a dump is written: a file of gzip members, or of plain text, with sums.

What is under way is in `NAME.part`, which gets its name when it is whole. Each mark ends a member and is
on disk before anything goes on, so that a dump which was killed is taken up after its last mark.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import itertools
import os
import zlib
from errno import EINVAL
from typing import IO, TYPE_CHECKING, Any, Protocol

from aiocouch.dumping.couchbackup import array_line, header_line, to_theirs
from aiocouch.dumping.lines import control

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

GZIP = 31
"""What zlib calls a gzip member with a window of full size."""

_PORTION = 1 << 20
_AHEAD = 8 << 20  # bytes that may wait to be written
_QUICK = 2  # levels that isal has as well
_NOT_ON_DISK = {None, EINVAL}  # such as a file in memory, which has no number, and /dev/null


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
        self._waiting: list[tuple[list[bytes], Callable[[], None] | None]] = []
        self._waiting_size = 0
        self._task: asyncio.Task[None] | None = None
        self._error: OSError | None = None
        self._member: Any = None

    async def write(
        self, lines: Iterable[bytes], written: Callable[[], None] | None = None
    ) -> None:
        """Write some lines together: nobody else's come between. They are taken in a thread.

        A list is written soon, while the caller goes on, unless much is waiting. `written` is called behind
        the lines, and before anything else is written. Raise what failed before, such as `OSError`.
        """
        if not isinstance(lines, list):
            await self._drain()
            async with self._gate:
                await asyncio.to_thread(self._write_all, lines)
                _call([written])
            return
        self._waiting.append((lines, written))
        self._waiting_size += sum(map(len, lines))
        if self._waiting_size >= _AHEAD:
            await self._drain()
        elif self._task is None or self._task.done():
            self._raise_error()
            self._task = asyncio.get_running_loop().create_task(self._drain_soon())

    async def begin(self, header: dict[str, Any]) -> None:
        """Write the first line."""
        await self.write([control("header", header)])

    async def mark(self, kind: str, facts: Callable[[], dict[str, Any]]) -> None:
        """Write a mark or the end behind all that was given so far, and have all on disk."""
        await self._drain()
        async with self._gate:
            await asyncio.to_thread(self._mark, kind, facts())

    async def close(self) -> None:
        """Wait until nothing more is written, before the file is closed."""
        if self._task is not None and not self._task.done():
            await asyncio.wait({self._task})

    async def _drain_soon(self) -> None:
        with contextlib.suppress(OSError):  # who writes next gets it
            await self._drain()

    async def _drain(self) -> None:
        """Write all that waits."""
        async with self._gate:
            self._raise_error()
            while self._waiting:
                some, self._waiting, self._waiting_size = self._waiting, [], 0
                lines = itertools.chain.from_iterable(lines for lines, _ in some)
                try:
                    await asyncio.to_thread(self._write_all, lines)
                except OSError as error:
                    self._error = error
                    raise
                _call(written for _, written in some)

    def _raise_error(self) -> None:
        if self._error is not None:
            raise self._error

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
            self._member = _compressor(self._level)
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
            try:
                os.fsync(self._file.fileno())
            except OSError as error:
                if error.errno not in _NOT_ON_DISK:
                    raise


def _call(functions: Iterable[Callable[[], None] | None]) -> None:
    for function in functions:
        if function is not None:
            function()


def _compressor(level: int) -> Any:
    """Return what makes a member: by isal, where it is installed, in a sixth of the time."""
    if level <= _QUICK:
        try:
            from isal import isal_zlib
        except ImportError:
            pass
        else:
            return isal_zlib.compressobj(level, isal_zlib.DEFLATED, GZIP)
    return zlib.compressobj(level, zlib.DEFLATED, GZIP)


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
