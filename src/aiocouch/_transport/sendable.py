"""Bodies in the form in which aiohttp sends them best."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from aiocouch._wire.texts import Texts

__all__ = ["LARGE", "Pieces", "sendable"]

LARGE = 1 << 20
"""Bytes of a body that aiohttp warns of, and would write at once."""
_PIECE = 1 << 18


class Pieces:
    """A large body in pieces, from its beginning each time that it must be sent."""

    def __init__(self, body: bytes) -> None:
        self._body = body

    async def __aiter__(self) -> AsyncGenerator[bytes, None]:
        for start in range(0, len(self._body), _PIECE):
            yield self._body[start : start + _PIECE]


def sendable(body: bytes | Texts, more_than_once: bool) -> bytes | Texts | Pieces | io.BytesIO:
    """JSON for aiohttp, where a middleware of the program may send it `more_than_once`."""
    if more_than_once:
        whole = bytes(body)
        return whole if len(whole) <= LARGE else io.BytesIO(whole)
    return Pieces(body) if isinstance(body, bytes) else body
