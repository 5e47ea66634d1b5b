"""The answer of a feed: its headers go out late, its rows as they come."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from aiocouch.embedded.feeds import feed as feeds

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from aiocouch.embedded.http.exchange import Exchange
    from aiocouch.embedded.http.message import Outgoing, Reply


class FeedAnswer:
    """An answer to a request for a feed of this kind.

    The headers are sent with the first row, so that an error before it can still be told.
    """

    def __init__(self, exchange: Exchange, kind: str, etag: str | None) -> None:
        self._exchange = exchange
        self._framing = feeds.framing(kind)
        self._headers = {"Cache-Control": self._framing.cache_control}
        if etag is not None:
            self._headers["ETag"] = etag
        self._response: Outgoing | None = None
        self.latest = asyncio.get_running_loop().time()
        """When something was sent, by the clock of the loop; at first, when it was asked for."""

    def without_body(self) -> Reply:
        """Answer HEAD: nothing is looked at, and nobody waits."""
        return self._exchange.answer_bytes(b"", self._framing.content_type, 200, self._headers)

    async def rows(self, rows: Iterable[tuple[bytes, bytes]]) -> None:
        """Send rows: their JSON text, and their sequence as JSON text."""
        await self._write(b"".join(self._framing.row(text, seq) for text, seq in rows))

    @property
    def framing(self) -> feeds.Framing:
        """How rows become bytes."""
        return self._framing

    def push(self, data: bytes) -> bool:
        """Send bytes of rows at once; False where they would have to wait, or nobody is there.

        The headers must be out.
        """
        return self._response is not None and self._response.push(data)

    async def beat(self) -> None:
        """Send a sign of life."""
        await self._write(self._framing.beat)

    async def end(self, facts: Mapping[str, object]) -> Reply:
        """Send what ends the feed: `last_seq` and the like."""
        await self._write(self._framing.tail(facts))
        response = await self.open()
        await response.write_eof()
        return response

    async def open(self) -> Outgoing:
        """Send the headers unless they are out."""
        if self._response is None:
            kind = self._framing.content_type
            self._response = await self._exchange.begin(200, self._headers, kind)
            await self._response.write(self._framing.head)
        return self._response

    async def wait(self) -> None:
        """Send the headers before a wait; an event source sends a line with them."""
        if self._response is None:
            response = await self.open()
            if self._framing.idle:
                await response.write(self._framing.idle)

    async def _write(self, data: bytes) -> None:
        if data:
            response = await self.open()
            self.latest = asyncio.get_running_loop().time()
            await response.write(data)
