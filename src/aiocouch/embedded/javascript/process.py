"""One worker process as the server sees it: start, one call at a time, kill."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import subprocess
import sys
from collections import OrderedDict
from importlib.util import find_spec
from pathlib import Path

import msgspec

from aiocouch.embedded.errors import CouchError
from aiocouch.embedded.javascript.protocol import HEADER, Order, Reply

_PROGRAM = Path(__file__).with_name("worker.py")
_MISSING = "JavaScript needs quickjs-ng: pip install 'aiocouch[embedded]'"
_UNITS = 24
_BUFFER = 1 << 20
_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(Reply).decode


class WorkerLostError(Exception):
    """The process went away in the middle of a call."""


class WorkerProcess:
    """A process that runs JavaScript. Whoever holds it makes one call at a time."""

    def __init__(self) -> None:
        self._units: OrderedDict[str, None] = OrderedDict()
        self._process: subprocess.Popen[bytes] | None = None
        self._reader: asyncio.StreamReader | None = None
        self._writer: asyncio.StreamWriter | None = None

    @property
    def pid(self) -> int | None:
        """The id of the process, None before it starts and after its end."""
        return None if self._process is None else self._process.pid

    def knows(self, unit: str) -> bool:
        """Return whether the process has this context already."""
        return unit in self._units

    async def start(self) -> None:
        """Start the process; it is ready when it answers. CouchError without QuickJS."""
        if find_spec("quickjs") is None:
            raise CouchError(500, "no_javascript", _MISSING)
        ours, theirs = socket.socketpair()
        for end in (ours, theirs):
            end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _BUFFER)
        with theirs:
            self._process = subprocess.Popen(  # noqa: ASYNC220, S603 - takes about 1 ms
                [sys.executable, "-I", str(_PROGRAM)],
                stdin=theirs.fileno(),
                stdout=subprocess.DEVNULL,
                start_new_session=True,
                env=_environment(),
            )
        ours.setblocking(False)
        self._reader, self._writer = await asyncio.open_connection(sock=ours, limit=_BUFFER)

    async def call(self, order: Order, setup: tuple[str, str], seconds: float) -> Reply:
        """Send an order and wait for its reply, at most so long (wall clock).

        `setup` goes along when the process does not know the unit. Raise WorkerLostError or
        TimeoutError, after which the process must be killed.
        """
        self._remember(order, setup)
        frame = _encode(order)
        try:
            async with asyncio.timeout(seconds):
                return _decode(await self._exchange(frame))
        except TimeoutError:
            raise
        except (OSError, asyncio.IncompleteReadError) as error:
            raise WorkerLostError from error

    async def _exchange(self, frame: bytes) -> bytes:
        assert self._reader is not None
        assert self._writer is not None
        self._writer.writelines((HEADER.pack(len(frame)), frame))
        await self._writer.drain()
        (size,) = HEADER.unpack(await self._reader.readexactly(HEADER.size))
        return await self._reader.readexactly(size)

    def _remember(self, order: Order, setup: tuple[str, str]) -> None:
        if order.unit in self._units:
            self._units.move_to_end(order.unit)
            return
        order.setup = setup
        self._units[order.unit] = None
        while len(self._units) > _UNITS:
            order.forget.append(self._units.popitem(last=False)[0])

    def forget(self, unit: str) -> None:
        """Note that the process could not set up this unit."""
        self._units.pop(unit, None)

    def kill(self) -> None:
        """End the process at once, whatever it does."""
        if self._writer is not None:
            with contextlib.suppress(RuntimeError):  # the loop is closed: nobody sends any more
                self._writer.close()
        if self._process is not None:
            self._process.kill()
            self._process.wait()
        self._process = self._reader = self._writer = None
        self._units.clear()


def _environment() -> dict[str, str]:
    kept = ("PATH", "LD_LIBRARY_PATH", "SYSTEMROOT", "TMPDIR", "TZ")
    return {name: os.environ[name] for name in kept if name in os.environ}
