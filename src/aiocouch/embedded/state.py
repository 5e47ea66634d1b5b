"""What all handlers of one server share."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aiocouch.embedded.config import Configuration
from aiocouch.embedded.hooks import Hooks
from aiocouch.embedded.store.registry import Databases

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path


class Server:
    """The state of one server, without its sockets.

    `databases` are all databases, `config` the settings, `hooks` what runs around the writes of
    documents, `address` is `host:port` once it listens.
    """

    def __init__(
        self, folder: Path | None, overrides: Mapping[str, Mapping[str, str]] | None = None
    ) -> None:
        self.folder = folder
        self.databases = Databases(folder)
        self.config = Configuration(None if folder is None else folder / "local.ini", overrides)
        self.uuid = self.config.ensure_secret("couchdb", "uuid")
        self.hooks = Hooks()
        self.address = ""

    def create_system_databases(self) -> None:
        """Make `_users` and `_replicator` where they are missing."""
        for name in ("_users", "_replicator"):
            if name not in self.databases:
                self.databases.create(name)

    async def close(self) -> None:
        """Stop all that runs in the background and close the databases."""
        await self.databases.close()
