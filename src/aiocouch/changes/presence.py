"""Whether what is followed is still there."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from aiocouch.exception import CouchDBError, NotFoundError

if TYPE_CHECKING:
    from aiocouch.remote import Remote

__all__ = ["Presence"]

SECONDS = 60.0  # between two looks


class Presence:
    """Looks from time to time whether a resource is there, while a feed of it beats.

    CouchDB 3.5.2 may go on with heartbeats when the database has been deleted.
    """

    def __init__(self, remote: Remote, path: str) -> None:
        self._remote = remote
        self._path = path
        self._next = asyncio.get_running_loop().time() + SECONDS

    async def __call__(self) -> None:
        """Raise `NotFoundError` when it is not there. Other errors are those of the feed itself."""
        now = asyncio.get_running_loop().time()
        if now < self._next:
            return
        self._next = now + SECONDS
        try:
            await self.look()
        except NotFoundError:
            raise
        except CouchDBError:
            return

    async def look(self) -> None:
        """Raise what the server answers (`HEAD`)."""
        await self._remote.request("HEAD", self._path)
