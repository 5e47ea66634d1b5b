"""An answer that is written piece by piece and may have something around its body (JSONP)."""

from __future__ import annotations

from typing import Any

from aiohttp import web


class Padded(web.StreamResponse):
    """Send `opening` before the body and `closing` after it, once `open` was called."""

    def __init__(self, opening: bytes, closing: bytes, **options: Any) -> None:
        super().__init__(**options)
        self._opening, self._closing = opening, closing
        self._rest = b""

    async def open(self) -> None:
        """Begin the body."""
        if self._opening:
            await self.write(self._opening)
            self._rest = self._closing + b"\n"

    async def write_eof(self, data: bytes = b"") -> None:
        """End the body."""
        rest, self._rest = self._rest, b""
        await super().write_eof(data + rest)
