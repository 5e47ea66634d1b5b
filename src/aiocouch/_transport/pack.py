"""A step: large bodies are compressed, as long as the server takes that."""

from __future__ import annotations

import asyncio
import zlib
from typing import TYPE_CHECKING

from aiocouch._wire.texts import Texts
from aiocouch.exception import InvalidInputError, UnsupportedMediaTypeError

if TYPE_CHECKING:
    from collections.abc import Awaitable

    from aiocouch._transport.request import Answer, Request, Step

__all__ = ["Pack", "number_of_bytes"]

_PACKED = {"Content-Encoding": "gzip"}
_WORTH_IT = 0.8


class Pack:
    """Compresses bodies of more than `above` bytes. A server that answers 415 gets none any more."""

    def __init__(self, next: Step, above: int) -> None:
        self._next = next
        self._above = above
        self._is_taken = True

    def __call__(self, request: Request) -> Awaitable[Answer]:
        """Return the answer of the next step."""
        body = request.body
        if (
            self._is_taken
            and isinstance(body, bytes | Texts)
            and len(body) > self._above
            and request.headers is None
            and request.span is None
        ):
            return self._packed(request, body)
        return self._next(request)

    async def _packed(self, request: Request, plain: bytes | Texts) -> Answer:
        body = bytes(plain)
        packed = await asyncio.to_thread(zlib.compress, body, 1, zlib.MAX_WBITS | 16)
        if len(packed) >= _WORTH_IT * len(body):
            return await self._next(request)
        request.body, request.headers = packed, _PACKED
        try:
            return await self._next(request)
        except UnsupportedMediaTypeError:
            self._is_taken = False
        request.body, request.headers = plain, None
        return await self._next(request)


def number_of_bytes(given: int | str | None) -> int | None:
    """Return the value of `gzip_above`. Raise `InvalidInputError`."""
    try:
        return None if given is None else int(given)
    except (TypeError, ValueError):
        raise InvalidInputError(f"gzip_above={given!r} is not a number of bytes") from None
