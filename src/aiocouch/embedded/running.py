"""A server that runs in this process, opened by the first who comes in and closed by the last who leaves.

Sockets are one way in, `EmbeddedCouchDB` opens them; sessions in this process come in by a call.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
from pathlib import Path
from typing import TYPE_CHECKING

from aiocouch.embedded.http.app import answer
from aiocouch.embedded.http.message import Answer
from aiocouch.embedded.http.phrases import phrase
from aiocouch.embedded.identity import SERVER_ADMIN_ROLE, SYSTEM, User
from aiocouch.embedded.state import Server
from aiocouch.embedded.store.registry import FolderInUseError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from aiocouch.embedded.http.message import Incoming

__all__ = ["Entrance", "Running", "host_in"]

_PATIENCE = 1.0
"""Seconds that requests have to end when the server does."""
_TURNS = 10
"""Turns of the loop in which it closes the generators, one in the other, of requests that were left."""


class Entrance:
    """The way in by a call, to a server that runs in `loop`."""

    def __init__(self, server: Server) -> None:
        self.loop = asyncio.get_running_loop()
        self._server = server
        self._busy = 0
        self._was_left = False
        self._end: asyncio.Future[None] | None = None

    @property
    def address(self) -> str:
        """What URLs of this server have for a host."""
        return self._server.address

    async def answer(self, call: Incoming) -> Answer | None:
        """Answer a request; None where its route has written the answer into it.

        Raise ConnectionRefusedError when the server has stopped.
        """
        if self._end is not None:
            raise ConnectionRefusedError("the server in this process has stopped")
        self._busy += 1
        try:
            reply = await answer(self._server, call)
        except BaseException:
            self._was_left = True
            raise
        finally:
            self._was_left |= call.is_gone
            self._busy -= 1
            if self._end is not None and not self._busy and not self._end.done():
                self._end.set_result(None)
        return reply if isinstance(reply, Answer) else None

    @staticmethod
    def phrase(status: int) -> str:
        """Return the reason phrase of a status."""
        return phrase(status)

    async def close(self) -> None:
        """Let nobody in any more, and wait a moment for what is under way."""
        self._end = self.loop.create_future()
        if self._busy:
            await asyncio.wait([self._end], timeout=_PATIENCE)
        for _ in range(_TURNS if self._was_left else 0):
            await asyncio.sleep(0)


class Running:
    """A server, from the first `enter` to the last `leave`, or until `stop`.

    `folder` None is memory. `admin` is who comes in by a call without credentials.
    """

    def __init__(
        self,
        folder: Path | None,
        overrides: Mapping[str, Mapping[str, str]] | None = None,
        *,
        admin: str | None = None,
        ui: Path | None = None,
    ) -> None:
        self._folder = folder
        self._overrides = overrides
        self._ui = ui
        self._lock = asyncio.Lock()
        self._coming = self._guests = 0
        self._server: Server | None = None
        self._entrance: Entrance | None = None
        self.user = SYSTEM if admin is None else User(admin, (SERVER_ADMIN_ROLE,), "default")

    @property
    def url(self) -> str:
        """What names it: `embedded:///folder`, or `embedded:` in memory."""
        return (
            "embedded:"
            if self._folder is None
            else self._folder.absolute().as_uri().replace("file:", "embedded:", 1)
        )

    @property
    def server(self) -> Server:
        """The state of the server that runs."""
        if self._server is None:
            raise RuntimeError("the server is not running")
        return self._server

    async def enter(self) -> Entrance:
        """Start it unless it runs, and keep it running until `leave`. Return the way in."""
        self._coming += 1
        try:
            async with self._lock:
                if self._entrance is not None and self._entrance.loop.is_closed():
                    self.abandon()
                if self._entrance is None:
                    self._entrance = await self._start()
                self._guests += 1
                return self._entrance
        finally:
            self._coming -= 1

    async def leave(self, entrance: Entrance) -> None:
        """Stop it if nobody else came in by this way."""
        async with self._lock:
            if entrance is self._entrance:
                self._guests -= 1
                if not self._guests:
                    await self._stop()

    async def stop(self) -> None:
        """Answer what is under way, then close the databases, whoever is in.

        All of it is tried, whatever fails; the last failure is raised.
        """
        async with self._lock:
            await self._stop()

    async def stop_waiting(self) -> None:
        """End replications, and feeds that wait for changes."""
        if self._server is not None:
            await self._server.stop_waiting()

    def abandon(self) -> None:
        """Close the files of a server whose loop is closed: nobody can ask it any more."""
        server, self._server, self._entrance = self._server, None, None
        self._guests = 0
        if server is not None:
            server.abandon()

    async def _start(self) -> Entrance:
        if self._folder is not None:
            _drop_abandoned(self._folder.resolve())
        server = self._server = Server(self._folder, self._overrides)
        if self._folder is not None:
            _open.setdefault(self._folder.resolve(), (asyncio.get_running_loop(), self))
        server.ui = self._ui
        entrance = Entrance(server)
        server.host_of = lambda user: _Inside(entrance, user)
        try:
            server.create_system_databases()
            await server.create_system_documents()
            server.start_watching()
        except BaseException:
            await self._stop()
            raise
        return entrance

    async def _stop(self) -> None:
        server, entrance = self._server, self._entrance
        self._guests = 0
        self._entrance = None
        async with contextlib.AsyncExitStack() as stack:
            # the last one is done first
            stack.callback(self._end)
            if server is not None:
                stack.push_async_callback(server.close)
            if entrance is not None:
                stack.push_async_callback(entrance.close)
            if server is not None:
                await server.stop_waiting()

    def _end(self) -> None:
        self._server = None
        if self._folder is not None and not self._coming:
            _forget(self._folder.resolve(), self)


class _Inside:
    """How a server asks itself, as some user: its replicator does."""

    def __init__(self, entrance: Entrance, user: User) -> None:
        self._entrance = entrance
        self.user = user

    @property
    def url(self) -> str:
        return f"http://{self._entrance.address}"

    async def enter(self) -> Entrance:
        return self._entrance

    async def leave(self, entrance: Entrance) -> None:
        pass


_open: dict[Path, tuple[asyncio.AbstractEventLoop, Running]] = {}
"""The servers of this process that have folders."""

os.register_at_fork(after_in_child=_open.clear)  # they are of another process then


def _drop_abandoned(folder: Path) -> None:
    """Close what a loop that is closed has left open, such as that of an `asyncio.run` without a `close`."""
    loop, running = _open.get(folder, (None, None))
    if loop is not None and running is not None and loop.is_closed():
        del _open[folder]
        running.abandon()


def _forget(folder: Path, running: Running) -> None:
    if folder in _open and _open[folder][1] is running:
        del _open[folder]


class _InFolder:
    """The server of a folder: the one that this process has open, or else a new one."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._own = Running(folder, admin=_ADMIN)
        self._used: Running = self._own
        self.url = self._own.url
        self.user = self._own.user

    async def enter(self) -> Entrance:
        folder, loop = self._folder.resolve(), asyncio.get_running_loop()
        _drop_abandoned(folder)
        theirs, self._used = _open.setdefault(folder, (loop, self._own))
        if theirs is not loop:
            raise FolderInUseError(
                f"The folder {folder} is in use: another event loop of this process serves it."
            )
        try:
            return await self._used.enter()
        except BaseException:
            _forget(folder, self._own)
            raise

    async def leave(self, entrance: Entrance) -> None:
        await self._used.leave(entrance)


_ADMIN = "admin"


def host_in(folder: str | None) -> Running | _InFolder:
    """Return the server of a folder, or a new one in memory. Nothing is opened yet."""
    return Running(None, admin=_ADMIN) if folder is None else _InFolder(Path(folder))
