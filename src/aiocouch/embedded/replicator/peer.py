"""One database at an end of a replication, by the client's own transport.

So are databases of this server, but by calls instead of a socket.
"""

from __future__ import annotations

import base64
import contextlib
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import aiohttp

from aiocouch.exception import CouchDBError, TransportError
from aiocouch.remote import Remote, silent_for
from aiocouch.replication.remote_endpoint import RemoteEndpoint

if TYPE_CHECKING:
    from collections.abc import Mapping

    from aiocouch._transport.host import Host
    from aiocouch.embedded.replicator.specification import Endpoint

_SILENCE = 60.0
_LONGEST_LINE = 64 * 1024


class ReplicationError(Exception):
    """A replication cannot go on; `error` and `reason` are what CouchDB would say."""

    def __init__(self, error: str, reason: str, status: int = 500) -> None:
        super().__init__(f"{error}: {reason}")
        self.error = error
        self.reason = reason
        self.status = status


class Peer(RemoteEndpoint):
    """Requests to one database. `close` it.

    `host` is this server, for a database of its own: it is asked by calls.
    """

    def __init__(self, end: Endpoint, host: Host | None = None) -> None:
        parts = urlsplit(end.url)
        self.is_open = False
        self._login = f"{parts.scheme}://{parts.netloc}/_session"
        self._user = _basic_user(end)
        self.remote = (
            _remote(end, f"{parts.scheme}://{parts.netloc}") if host is None else _own(end, host)
        )
        super().__init__(self.remote, parts.path.rstrip("/"))

    async def close(self) -> None:
        """Close the connections."""
        await self.remote.close()

    # what fails here is told in CouchDB's words

    async def info(self) -> Mapping[str, Any]:
        """Return `GET /db`; raise ReplicationError when it cannot be opened."""
        try:
            info = await super().info()
        except CouchDBError as error:
            self._cannot_open(error)
            raise
        self.is_open = True
        return info

    async def create(self, options: Mapping[str, Any]) -> None:
        """Make the database unless it exists."""
        try:
            await super().create(options)
        except CouchDBError as error:
            self._cannot_open(error)
            raise

    async def checkpoint(self, name: str) -> Mapping[str, Any]:
        """Return `_local/name`, {} when there is none."""
        try:
            return await super().checkpoint(name)
        except CouchDBError as error:
            self._cannot_open(error)
            raise

    def _cannot_open(self, error: CouchDBError) -> None:
        if error.status == 403:
            raise ReplicationError("forbidden", self.name, 403) from error
        if error.status == 401 and self._user is not None:
            # CouchDB logs in with what is for basic authentication, and fails there
            reason = f'{{session_request_unauthorized,"{self._login}","{self._user}"}}'
            raise ReplicationError("replication_auth_error", reason) from error
        if error.status == 401:
            reason = f"unauthorized to access or create database {self.name}"
            raise ReplicationError("unauthorized", reason, 401) from error
        if error.status == 404:
            raise ReplicationError("db_not_found", f"could not open {self.name}") from error

    def unreachable(self, error: TransportError) -> ReplicationError:
        """Return the words for an error of the connection."""
        if isinstance(error, aiohttp.ClientConnectorDNSError):
            return ReplicationError("nxdomain", f"could not resolve {self.name}")
        kind = type(error).__name__
        what = f'{{http_request_failed,"{error.method}","{self.name}",{{error,{kind}}}}}'
        return ReplicationError("error", what)


def _remote(end: Endpoint, url: str) -> Remote:
    return Remote(
        url,
        headers={**end.headers, **_authorization(end)},
        retry=None,  # the engine does
        proxy=end.proxy,
        cookie_jar=aiohttp.DummyCookieJar(),
        timeout=silent_for(_SILENCE),
        max_line_size=_LONGEST_LINE,
        max_field_size=_LONGEST_LINE,
    )


def _own(end: Endpoint, host: Host) -> Remote:
    headers = {**end.headers, **_authorization(end)}
    return Remote(host, headers=headers, retry=None, timeout=silent_for(_SILENCE))


def _authorization(end: Endpoint) -> dict[str, str]:
    if end.credentials is None:
        return {}
    text = ":".join(end.credentials).encode()
    return {"Authorization": f"Basic {base64.b64encode(text).decode()}"}


def _basic_user(end: Endpoint) -> str | None:
    """Return the name that goes with basic authentication, if that is how the end is asked."""
    if end.credentials is not None:
        return end.credentials[0]
    for name, value in end.headers.items():
        if name.lower() == "authorization" and value.lower().startswith("basic "):
            with contextlib.suppress(ValueError):
                return base64.b64decode(value[6:]).decode().partition(":")[0]
    return None
