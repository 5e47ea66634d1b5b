"""A CouchDB in this process: start it, use its URL, stop it."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

from aiohttp import web

from aiocouch.embedded.http.listener import Listener
from aiocouch.embedded.http.over_http import application
from aiocouch.embedded.state import Server

if TYPE_CHECKING:
    import os
    from collections.abc import Mapping
    from types import TracebackType

_LONGEST_LINE = 1 << 20


def _in_url(host: str) -> str:
    """Return a host as it stands in a URL, where an address of IPv6 has brackets."""
    return f"[{host.replace('%', '%25')}]" if ":" in host else host


class EmbeddedCouchDB:
    """A server that speaks CouchDB 3.5.2's HTTP API::

        async with EmbeddedCouchDB() as server:
            couchdb = CouchDB(server.url, *server.admin)

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
        self._ui = None if ui is None else Path(ui)
        self._server: Server | None = None
        self._runner: web.ServerRunner | None = None

    def __repr__(self) -> str:
        where = "memory" if self._path is None else str(self._path)
        return f"<EmbeddedCouchDB in {where} on {_in_url(self._host)}:{self._port}>"

    async def start(self) -> EmbeddedCouchDB:
        """Open the folder and listen; `url` works from here on."""
        server = Server(self._path, self._overrides())
        self._server = server
        server.ui = self._ui
        try:
            server.create_system_databases()
            await server.create_system_documents()
            await self._listen(server)
            server.start_watching()
        except BaseException:
            await self.stop()
            raise
        return self

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
        server.config.override("chttpd", "bind_address", self._host)
        server.config.override("chttpd", "port", str(self._port))

    async def stop(self) -> None:
        """Answer what is under way, then close the databases.

        All of it is tried, whatever fails; the last failure is raised.
        """
        runner, self._runner = self._runner, None
        async with contextlib.AsyncExitStack() as stack:
            # the last one is done first
            if self._server is not None:
                stack.callback(self._forget)
                stack.push_async_callback(self._server.close)
            if runner is not None:
                stack.push_async_callback(runner.cleanup)
            if self._server is not None:
                await self._server.stop_waiting()

    def _forget(self) -> None:
        self._server = None

    @property
    def server(self) -> Server:
        """The state of the running server."""
        if self._server is None:
            raise RuntimeError("the server is not running")
        return self._server

    @property
    def url(self) -> str:
        """The URL of the running server, without credentials: `http://127.0.0.1:41234`."""
        return f"http://{self.server.address}"

    @property
    def url_with_credentials(self) -> str:
        """The URL with the admin's name and password in it."""
        if self.admin is None:
            return self.url
        name, password = (quote(part, safe="") for part in self.admin)
        return f"http://{name}:{password}@{self.server.address}"

    async def __aenter__(self) -> EmbeddedCouchDB:
        return await self.start()

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.stop()
