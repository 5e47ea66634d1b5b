"""Writes that aiohttp would send a second time by itself, without a look at what became of the first."""

from __future__ import annotations

import aiohttp

__all__ = ["SENT_AGAIN", "broken", "sent_once"]

SENT_AGAIN = frozenset({"PUT", "DELETE"})
"""The writes that aiohttp sends again when a connection turns out to be broken."""


class _BrokenError(aiohttp.ClientError):
    """A connection broke. aiohttp does not know this error, and leaves it alone."""

    def __init__(self, error: Exception) -> None:
        super().__init__(str(error))
        self.error = error


async def sent_once(
    request: aiohttp.ClientRequest, handler: aiohttp.ClientHandlerType
) -> aiohttp.ClientResponse:
    """Return a middleware of aiohttp under which nothing is sent a second time. See `broken`."""
    try:
        return await handler(request)
    except (aiohttp.ClientOSError, aiohttp.ServerDisconnectedError) as error:
        raise _BrokenError(error) from error


def broken(error: Exception) -> Exception:
    """Return what aiohttp has raised, without our disguise."""
    return error.error if isinstance(error, _BrokenError) else error
