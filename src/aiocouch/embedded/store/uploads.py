"""Attachments on their way in: from pieces of a request's body into the store."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from aiocouch.embedded.store.attachments import Spool
from aiocouch.embedded.store.writer import to_the_end

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from types import TracebackType
    from typing import Self

    from aiocouch.embedded.documents.attachment import Content, Encoder
    from aiocouch.embedded.store.database import Database


_log = logging.getLogger("aiocouch.embedded")


class Uploads:
    """The contents that one request brings; a context manager around the writing of its document.

    Until its end compaction leaves the contents alone, though no document has them yet. What a
    request that fails has written is removed.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._spools: list[Spool] = []

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for spool in self._spools:
            spool.let_go()

    async def take(self, pieces: AsyncIterator[bytes], encoder: Encoder) -> Content:
        """Store the pieces of one attachment and give its facts. One chunk is held in memory."""
        spool = Spool(encoder, self._database.uploads)
        self._spools.append(spool)
        try:
            async for piece in pieces:
                for write in spool.feed(piece):
                    await self._database.write(write)
            return await self._database.write(spool.finish())
        except BaseException:
            await self._abandon(spool)
            raise

    async def _abandon(self, spool: Spool) -> None:
        """Remove what was written, though we are cancelled once more; what stays is garbage."""
        try:
            await to_the_end(self._database.write(spool.abandon))
        except Exception:  # noqa: BLE001 - the first failure is what counts
            _log.warning("an upload to %r was not cleaned up", self._database, exc_info=True)
