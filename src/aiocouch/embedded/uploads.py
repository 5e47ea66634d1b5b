"""Attachments on their way in: from pieces of a request's body into the store."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aiocouch.embedded.store.attachments import Spool

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from types import TracebackType
    from typing import Self

    from aiocouch.embedded.attachment import Content, Encoder
    from aiocouch.embedded.store.database import Database


class Uploads:
    """The contents that one request brings; a context manager around the writing of its document.

    Until its end compaction leaves the contents alone, though no document has them yet. What a
    request that fails has written is removed.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._blobs: list[int] = []

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._database.uploads.difference_update(self._blobs)

    async def take(self, pieces: AsyncIterator[bytes], encoder: Encoder) -> Content:
        """Store the pieces of one attachment and give its facts. One chunk is held in memory."""
        spool = Spool(encoder)
        try:
            async for piece in pieces:
                for write in spool.feed(piece):
                    await self._database.write(write)
                    self._hold(spool.blob)
            content = await self._database.write(spool.finish())
        except BaseException:
            await self._database.write(spool.abandon)
            raise
        self._hold(content.blob)
        return content

    def _hold(self, blob: int) -> None:
        if blob not in self._database.uploads:
            self._database.uploads.add(blob)
            self._blobs.append(blob)
