"""A server in this process, as the client sees it: it asks it by a call and needs no socket."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module
from typing import TYPE_CHECKING, Any, Protocol
from urllib.parse import unquote

from yarl import URL

from aiocouch.exception import InvalidInputError

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Awaitable

    from aiocouch._transport.calls import Call
    from aiocouch._transport.url import Servers

__all__ = ["Entrance", "Host", "Whole", "host_in"]

_SCHEME = "embedded:"


class Whole(Protocol):
    """An answer that is there as a whole."""

    status: int
    headers: dict[str, str]
    body: bytes


class Entrance(Protocol):
    """A server that runs, in a loop. `address` is what its URLs have for a host."""

    loop: asyncio.AbstractEventLoop

    @property
    def address(self) -> str: ...

    def answer(self, call: Call, /) -> Awaitable[Whole | None]:
        """Answer a call: with what is returned or, where that is None, by what the call was told."""
        ...

    def phrase(self, status: int, /) -> str:
        """Return the reason phrase of a status."""
        ...


class Host(Protocol):
    """A server in this process, whether it runs or not. `user` is who comes in without credentials."""

    @property
    def url(self) -> str: ...
    @property
    def user(self) -> object: ...

    async def enter(self) -> Entrance:
        """Start it unless it runs, and keep it running until `leave`."""
        ...

    async def leave(self, entrance: Any, /) -> None:
        """Stop it, if nobody else has it running."""
        ...


def host_in(server: Servers) -> Host | None:
    """Return the server in this process that is meant, None for any other. Nothing is opened yet.

    Raise `InvalidInputError` for an `embedded:` URL that means none.
    """
    if isinstance(server, str | URL):
        text = str(server)
        return _host_of(text) if text.startswith(_SCHEME) else None
    if server is None or isinstance(server, Sequence):
        return None
    return server if hasattr(server, "enter") else None


def _host_of(url: str) -> Host:
    path = url.removeprefix(_SCHEME)
    bare = path.removeprefix("//")
    if path and (not bare.startswith("/") or bare == "/" or "?" in path or "#" in path):
        raise InvalidInputError(
            "a database in this process is embedded:///and/its/folder, or embedded: for memory, "
            "without user, password, query and fragment; ? and # of a folder are %3F and %23"
        )
    # By name: the server stands above the client, and few programs have one in them.
    found: Host = import_module("aiocouch.embedded.running").host_in(unquote(bare) or None)
    return found
