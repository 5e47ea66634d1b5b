"""A server in the process of a test, as if it were any server."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from aiocouch.testing import CouchDBServer

if TYPE_CHECKING:
    from aiocouch import CouchDB
    from aiocouch.embedded import EmbeddedCouchDB

_OF_SOCKETS = frozenset({"connector", "middlewares", "tls", "trace_configs"})


class ServerInside(CouchDBServer):
    """Its sessions come in by calls. It has a URL as well, for what is about HTTP."""

    def __init__(self, server: EmbeddedCouchDB) -> None:
        super().__init__(server.url)
        object.__setattr__(self, "_server", server)

    def connect(self, **kwargs: Any) -> CouchDB:
        """Make a session, as the admin; by the socket if its options are for sockets."""
        if not _OF_SOCKETS.isdisjoint(kwargs):
            return super().connect(**kwargs)
        server: EmbeddedCouchDB = vars(self)["_server"]
        return server.connect(**kwargs)
