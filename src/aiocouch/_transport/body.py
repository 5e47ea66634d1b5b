"""The bytes of an answer, read while they come, by a program that does other things meanwhile."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import aiohttp

from aiocouch._transport.spool import Spool

if TYPE_CHECKING:
    from aiocouch._transport.pool import Place

__all__ = ["FOREIGN", "ResponseBody"]

FOREIGN = (aiohttp.ClientError, TimeoutError)
"""What aiohttp raises when no whole answer comes."""

_LATER = 1.0  # seconds: aiohttp's own limit comes first, for its words are better


class ResponseBody:
    """The bytes after the head of an answer. `close` it.

    While its reader is away, and others wait for a connection, it is read on into a `Spool`, from
    where the reader then gets it. An error that happens meanwhile is raised after what came before.
    """

    def __init__(
        self, response: aiohttp.ClientResponse, place: Place, silence: float | None = None
    ) -> None:
        self.response = response
        self._limit = None if silence is None else silence + _LATER
        self._place = place
        self._spool: Spool | None = None
        self._reading_on: asyncio.Task[None] | None = None
        self._cut: Exception | None = None
        self._is_closed = False

    async def chunk(self) -> bytes:
        """Return the next bytes, of any number; empty at the end. Raise one of `FOREIGN`, or `OSError`."""
        if self._spool or self._reading_on is not None:
            return await self._kept()
        if self._cut is not None:
            raise self._cut
        self._place.return_to()
        try:
            chunk = await self._any()
        except FOREIGN as error:
            self._place.leave()
            if self._cut is not None:
                raise self._cut from None
            self._cut = error
            if not (chunk := _left_in(self.response.content)):
                raise
            return chunk
        if chunk:
            self._place.turn_away(self)
        else:
            self._place.leave()
        return chunk

    async def _any(self) -> bytes:
        """Return what has come.

        The limit is our own as well: aiohttp may lose its, as in a feed of CouchDB 3.5.2 whose
        database is deleted.
        """
        async with asyncio.timeout(self._limit):
            return await self.response.content.readany()

    async def rows(self) -> list[Any]:
        """Return nothing: by a socket all rows are text."""
        return []

    async def rest(self, seconds: float) -> None:
        """Leave the socket alone for a moment, so that the kernel gathers what comes."""
        connection = self.response.connection
        if connection is None or connection.transport is None or self._reading_on is not None:
            return
        transport = connection.transport
        transport.pause_reading()
        try:
            await asyncio.sleep(seconds)
        finally:
            transport.resume_reading()

    def cut(self, error: Exception) -> None:
        """End the request where it is, and raise the error after what has been read."""
        if self._cut is None:
            self._cut = error
            self.response.close()
            self._place.leave()

    @property
    def is_coming(self) -> bool:
        """Whether the answer has not ended yet."""
        return self.response.connection is not None

    async def close(self) -> None:
        """End the request, and forget what was read on."""
        self._is_closed = True
        self.response.close()
        self._place.leave()
        if self._reading_on is not None:
            await asyncio.wait([self._reading_on])
        elif self._spool is not None:
            await self._spool.close()

    # -- for the pool -----------------------------------------------------------------------------

    def settle(self) -> None:
        """Leave the pool if the answer has ended, so that the connection is free already."""
        if not self.is_coming:
            self._place.leave()

    def give_up(self) -> None:
        """Read on without the reader, as long as others wait."""
        if self._reading_on is None:
            if self._spool is None:
                self._spool = Spool()
            reading = self._read_on(self._spool)
            self._reading_on = asyncio.get_running_loop().create_task(reading)

    async def _read_on(self, spool: Spool) -> None:
        try:
            while self._place.is_wanted():
                if piece := await self._any():
                    await spool.put(piece)
                else:
                    self._place.leave()
        except (*FOREIGN, OSError) as error:  # OSError: such as a full disk
            self.cut(error)
        finally:
            self._reading_on = None
            spool.arrived.set()
            if self._is_closed:
                await spool.close()

    async def _kept(self) -> bytes:
        """Return the next bytes of what was read on, or else of what comes then."""
        while self._spool is not None:
            self._spool.arrived.clear()
            if piece := await self._spool.get():
                return piece
            if self._reading_on is None:
                break
            await self._spool.arrived.wait()
        return await self.chunk()


def _left_in(content: aiohttp.StreamReader) -> bytes:
    """Return what came before an error. aiohttp keeps it, and raises the error without giving it."""
    take = getattr(content, "_read_nowait", None)
    left: bytes = take(-1) if take is not None else b""
    return left
