"""An embedded server in the test's own loop, and a plain HTTP client for it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aiocouch.embedded.server import EmbeddedCouchDB
from tests.support.http import Answer, HTTPClient

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path
    from types import TracebackType
    from typing import Self

__all__ = ["ADMIN", "FAST_HASHES", "Answer", "ServerClient"]

ADMIN = ("admin", "admin")
FAST_HASHES = {"chttpd_auth": {"iterations": "2"}}
# on a busy machine functions may take longer than the usual limit
PATIENCE = {"couchdb": {"os_process_timeout": "60000"}}


class ServerClient(HTTPClient):
    """A running server. `await client("GET", "/path")` asks as the admin."""

    def __init__(self, path: Path | None = None, **settings: Mapping[str, str]) -> None:
        super().__init__("", ADMIN)
        self.embedded = EmbeddedCouchDB(path, settings={**FAST_HASHES, **PATIENCE, **settings})

    async def __aenter__(self) -> Self:
        await self.embedded.start()
        self.url = self.embedded.url
        return await super().__aenter__()

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await super().__aexit__(kind, error, trace)
        await self.embedded.stop()
