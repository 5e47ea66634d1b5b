"""A CouchDB in this process: start it, use its URL, stop it."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

from aiohttp import web

from aiocouch.embedded.http.listener import Listener
from aiocouch.embedded.http.over_http import application
from aiocouch.embedded.running import Running

if TYPE_CHECKING:
    import os
    from collections.abc import Mapping
    from types import TracebackType
    from typing import Any

    from aiocouch.couchdb import CouchDB
    from aiocouch.embedded.state import Server

_LONGEST_LINE = 1 << 20


def _in_url(host: str) -> str:
    """Return a host as it stands in a URL, where an address of IPv6 has brackets."""
    return f"[{host.replace('%', '%25')}]" if ":" in host else host


class EmbeddedCouchDB:
    """A server that speaks CouchDB 3.5.2's HTTP API::

        async with EmbeddedCouchDB() as server:
            couchdb = CouchDB(server.url, *server.admin)

    or, without a socket, for this process only::

        async with EmbeddedCouchDB("folder").connect() as couchdb:
            database = await couchdb.create("notes", exists_ok=True)

    `path` is the folder that keeps the databases, None keeps them in memory. `port` 0 takes any
    free port; `host` is a name or an address of IPv4 or IPv6 (`::1`). `admin` is the name and
    password of the server admin, None leaves the server to the admins of its configuration.
    `settings` are sections of the configuration for this run, such as
    `{"chttpd_auth": {"iterations": "10"}}`; they win over what the folder keeps and are not
    written there. `ui` is a folder with the files of a page such as Fauxton, for `/_utils/`.

    Raises FolderInUseError when another process has the folder, StorageError when its files
    cannot be used (FormatError, when a later version has written them), OSError when it is not a
    folder, may not be written, or nobody can listen there.
    """

    def __init__(
        self,
        path: str | os.PathLike[str] | None = None,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        admin: tuple[str, str] | None = ("admin", "admin"),
        settings: Mapping[str, Mapping[str, str]] | None = None,
        ui: str | os.PathLike[str] | None = None,
    ) -> None:
        self._path = None if path is None else Path(path)
        self._host = host.removeprefix("[").removesuffix("]")
        self._port = port
        self.admin = admin
        self._settings = settings or {}
        self._running = Running(
            self._path,
            self._overrides(),
            admin=None if admin is None else admin[0],
            ui=None if ui is None else Path(ui),
        )
        self._runner: web.ServerRunner | None = None

    def __repr__(self) -> str:
        where = "memory" if self._path is None else str(self._path)
        return f"<EmbeddedCouchDB in {where} on {_in_url(self._host)}:{self._port}>"

    async def start(self) -> EmbeddedCouchDB:
        """Open the folder and listen; `url` works from here on."""
        await self._running.enter()
        try:
            await self._listen(self.server)
        except BaseException:
            await self.stop()
            raise
        return self

    def connect(
        self, user: str | None = None, password: str | None = None, **options: Any
    ) -> CouchDB:
        """Return a session that asks this server by calls, without a socket.

        It comes in as the admin unless there is a `user`, or another way to say who it is, such as
        `auth=`. The `options` are those of `aiocouch.CouchDB`, without what is for connections.

        A server that was not started is started by the first request, or by `async with`, without a
        socket, and stopped when the last session with it is closed.
        """
        # Only here: a server that listens needs no client.
        from aiocouch.couchdb import CouchDB

        return CouchDB(self._running, user, password, **options)

    def _overrides(self) -> dict[str, Mapping[str, str]]:
        if self.admin is None:
            return dict(self._settings)
        name, password = self.admin
        return {**self._settings, "admins": {**self._settings.get("admins", {}), name: password}}

    async def _listen(self, server: Server) -> None:
        web_server = Listener(
            application(server),
            handler_cancellation=True,
            auto_decompress=False,
            max_line_size=_LONGEST_LINE,
            max_field_size=_LONGEST_LINE,
            access_log=None,
        )
        self._runner = web.ServerRunner(web_server, shutdown_timeout=1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, self._host, self._port, backlog=1024)
        await site.start()
        self._port = self._runner.addresses[0][1]
        server.address = f"{_in_url(self._host)}:{self._port}"
        server.config.override("chttpd", bind_address=self._host, port=str(self._port))

    async def stop(self) -> None:
        """Answer what is under way, then close the databases.

        All of it is tried, whatever fails; the last failure is raised.
        """
        runner, self._runner = self._runner, None
        async with contextlib.AsyncExitStack() as stack:
            # the last one is done first
            stack.push_async_callback(self._running.stop)
            if runner is not None:
                stack.push_async_callback(runner.cleanup)
            await self._running.stop_waiting()

    @property
    def server(self) -> Server:
        """The state of the running server."""
        return self._running.server

    @property
    def url(self) -> str:
        """The URL of the running server, without credentials: `http://127.0.0.1:41234`."""
        self._require_socket()
        return f"http://{self.server.address}"

    @property
    def url_with_credentials(self) -> str:
        """The URL with the admin's name and password in it."""
        if self.admin is None:
            return self.url
        self._require_socket()
        name, password = (quote(part, safe="") for part in self.admin)
        return f"http://{name}:{password}@{self.server.address}"

    def _require_socket(self) -> None:
        if self._runner is None:
            raise RuntimeError("the server is not running, or was not started to listen")

    async def __aenter__(self) -> EmbeddedCouchDB:
        return await self.start()

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.stop()
