"""Bytes that wait for their reader: a little of them in memory, the rest in a temporary file."""

from __future__ import annotations

import asyncio
import tempfile
from collections import deque
from typing import IO, TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["MOST_IN_MEMORY", "Spool"]

T = TypeVar("T")

MOST_IN_MEMORY = 1 << 20
"""How many bytes are held in memory before they go into a file."""
_READ = 1 << 18


class Spool:
    """A queue of bytes, for one task that puts and one that gets.

    What is put stays in memory until there is more of it than `MOST_IN_MEMORY`; then all of it goes
    to the end of a temporary file. So the file has what is older than the memory has. The file has no
    name, is used in threads only, and is gone when it is closed. `arrived` is set by each `put`.
    """

    def __init__(self) -> None:
        self.arrived = asyncio.Event()
        self._pieces: deque[bytes] = deque()
        self._size = 0
        self._file: IO[bytes] | None = None
        self._written = self._read = 0
        self._one_by_one = asyncio.Lock()
        self._work: asyncio.Future[bytes] | None = None

    def __bool__(self) -> bool:
        return bool(self._pieces) or self._read < self._written

    async def put(self, piece: bytes) -> None:
        """Keep a piece. Raise `OSError` when it cannot be written, such as on a full disk."""
        self._pieces.append(piece)
        self._size += len(piece)
        if self._size > MOST_IN_MEMORY:
            async with self._one_by_one:
                await self._in_thread(self._write)
        self.arrived.set()

    async def get(self) -> bytes:
        """Return the oldest bytes, in a piece of any size; empty when there are none now."""
        async with self._one_by_one:
            if self._read < self._written:
                return await self._in_thread(self._read_file)
        if not self._pieces:
            return b""
        piece = self._pieces.popleft()
        self._size -= len(piece)
        return piece

    async def close(self) -> None:
        """Forget everything, and remove the file."""
        self._pieces.clear()
        if self._work is not None and not self._work.done():
            await asyncio.wait([self._work])
        if self._file is not None:
            await self._in_thread(self._close_file)

    async def _in_thread(self, work: Callable[[], bytes]) -> bytes:
        """Do what may have to wait for a disk. It goes on when the caller is cancelled."""
        self._work = asyncio.get_running_loop().run_in_executor(None, work)
        return await asyncio.shield(self._work)

    def _write(self) -> bytes:
        if self._file is None:
            self._file = tempfile.TemporaryFile(prefix="aiocouch-")  # noqa: SIM115 - see close
        if self._read == self._written:  # all of it was read: use the room again
            self._read = self._written = 0
        block = b"".join(self._pieces)
        self._file.seek(self._written)
        self._file.write(block)
        self._file.flush()
        self._written += len(block)
        self._pieces.clear()
        self._size = 0
        return b""

    def _read_file(self) -> bytes:
        if self._file is None:
            return b""
        self._file.seek(self._read)
        block = self._file.read(min(_READ, self._written - self._read))
        self._read += len(block)
        return block

    def _close_file(self) -> bytes:
        if self._file is not None:
            self._file.close()
        return b""
