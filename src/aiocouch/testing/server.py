"""Servers to test against: a URL with credentials, and an embedded server on a thread."""

from __future__ import annotations

import asyncio
import threading
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, unquote, urlsplit, urlunsplit

if TYPE_CHECKING:
    import os
    from collections.abc import Mapping
    from types import TracebackType

    from aiocouch.couchdb import CouchDB

__all__ = ["BackgroundCouchDB", "CouchDBServer"]


@dataclass(frozen=True)
class CouchDBServer:
    """Where a CouchDB is, and the server admin to enter with."""

    url: str
    """The URL of the server, without credentials and without a trailing slash."""
    user: str = "admin"
    password: str = field(default="admin", repr=False)

    @classmethod
    def from_url(cls, url: str) -> CouchDBServer:
        """Take apart a URL such as ``http://user:password@host:5984``.

        Without credentials in it, the user is ``admin`` with the password ``admin``.
        """
        parts = urlsplit(url)
        where = urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2], query=""))
        user, password = unquote(parts.username or "admin"), unquote(parts.password or "admin")
        return cls(where.rstrip("/"), user, password)

    @property
    def auth_url(self) -> str:
        """The URL with the credentials in it, for programs that take only a URL."""
        scheme, rest = self.url.split("://", 1)
        return f"{scheme}://{quote(self.user, safe='')}:{quote(self.password, safe='')}@{rest}"

    def connect(self, **kwargs: Any) -> CouchDB:
        """Make a session with this server as its admin; close it or use it with ``async with``.

        Keyword arguments go to :class:`aiocouch.CouchDB`.
        """
        # Not above: pytest loads this module at every start, whether a test needs it or not.
        from aiocouch.couchdb import CouchDB

        return CouchDB(self.url, self.user, self.password, **kwargs)


class BackgroundCouchDB:
    """An embedded server that runs on a thread of its own.

    For tests and programs without an event loop, and for fixtures that outlive one. A context
    manager; entering gives a :class:`CouchDBServer` that answers already.

    ``path`` is a folder that keeps the data, None keeps it in memory. The server listens on ``host``
    and ``port``, 0 for any free one. ``admin`` is name and password of the server admin, and
    ``settings`` are sections of CouchDB's configuration.
    """

    def __init__(
        self,
        path: str | os.PathLike[str] | None = None,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        admin: tuple[str, str] = ("admin", "admin"),
        settings: Mapping[str, Mapping[str, str]] | None = None,
    ) -> None:
        self._path = path
        self._options: dict[str, Any] = {"host": host, "port": port, "settings": settings}
        self._admin = admin
        self._thread: threading.Thread | None = None
        self._started: Future[tuple[str, asyncio.AbstractEventLoop, asyncio.Event]] = Future()

    def __enter__(self) -> CouchDBServer:
        self._started = Future()
        self._thread = threading.Thread(target=self._run, name="couchdb", daemon=True)
        self._thread.start()
        url, _, _ = self._started.result()
        return CouchDBServer(url.rstrip("/"), *self._admin)

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        _, loop, stop = self._started.result()
        loop.call_soon_threadsafe(stop.set)
        if self._thread is not None:
            self._thread.join()

    def _run(self) -> None:
        try:
            asyncio.run(self._serve())
        except BaseException as error:
            # Before the start, the error belongs to the caller; afterwards nobody waits for it.
            if self._started.done():
                raise
            self._started.set_exception(error)

    async def _serve(self) -> None:
        # Only here: the client alone can be installed without what the server needs.
        from aiocouch.embedded import EmbeddedCouchDB

        stop = asyncio.Event()
        async with EmbeddedCouchDB(self._path, admin=self._admin, **self._options) as server:
            self._started.set_result((server.url, asyncio.get_running_loop(), stop))
            await stop.wait()
