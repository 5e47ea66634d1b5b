"""Who the server takes us for."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from aiocouch.server.answers import Who
from aiocouch.typing import JsonDict

if TYPE_CHECKING:
    from aiocouch.answers import SessionInfo
    from aiocouch.remote import Remote

__all__ = ["Session"]


class Session:
    """The session as the server sees it (`/_session`)."""

    def __init__(self, remote: Remote) -> None:
        self._remote = remote

    async def info(self) -> SessionInfo:
        """Return `userCtx` (`name`, `roles`) and what the server can do (`GET /_session`)."""
        found = await self._remote.json("GET", "/_session", into=JsonDict)
        return cast("SessionInfo", found)

    async def name(self) -> str | None:
        """Return the name that the server knows us by, None without a login (`GET /_session`)."""
        found = await self._remote.json("GET", "/_session", into=Who)
        return found.user.name

    async def roles(self) -> list[str]:
        """Return the roles that we have (`GET /_session`)."""
        found = await self._remote.json("GET", "/_session", into=Who)
        return found.user.roles

    async def end(self) -> None:
        """Tell the server to take its cookie back (`DELETE /_session`).

        CouchDB keeps no list of sessions: whoever has a copy of the cookie can use it until it
        expires.
        """
        await self._remote.json("DELETE", "/_session", into=JsonDict)
