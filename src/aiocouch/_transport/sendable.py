"""Bodies in the form in which aiohttp sends them best."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

from aiocouch._wire.texts import Texts

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterable

__all__ = ["LARGE", "Pieces", "sendable"]

LARGE = 1 << 15
"""More bytes than these may have to wait until the server takes them."""
_LARGE_IN_ONE = 1 << 20  # aiohttp warns of larger ones, and would write them at once
_PIECE = 1 << 17


class Pieces:
    """A large body in pieces, from its beginning each time that it must be sent."""

    def __init__(self, body: bytes) -> None:
        self._body = body

    async def __aiter__(self) -> AsyncGenerator[bytes, None]:
        for start in range(0, len(self._body), _PIECE):
            yield self._body[start : start + _PIECE]


def sendable(
    body: bytes | Texts | AsyncIterable[bytes], more_than_once: bool
) -> AsyncIterable[bytes] | bytes | io.BytesIO:
    """Return a large body for aiohttp, where a middleware of the program may send it `more_than_once`."""
    if not isinstance(body, bytes | Texts):
        return body
    if more_than_once:
        whole = bytes(body)
        return whole if len(whole) <= _LARGE_IN_ONE else io.BytesIO(whole)
    return Pieces(body) if isinstance(body, bytes) else body
