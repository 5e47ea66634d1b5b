"""A step: what is sent a second time."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aiocouch._transport.watch import SENT_AGAIN, Watch
from aiocouch.exception import CouchDBError

if TYPE_CHECKING:
    from collections.abc import Awaitable

    from aiocouch._transport.request import Answer, Request, Step

__all__ = ["Retry"]


class Retry:
    """Watches the writes that aiohttp sends a second time by itself."""

    def __init__(self, next: Step) -> None:
        self._next = next

    def __call__(self, request: Request) -> Awaitable[Answer]:
        """The answer of the next step."""
        if request.method in SENT_AGAIN:
            return self._watched(request, Watch(request.method))
        return self._next(request)

    async def _watched(self, request: Request, watch: Watch) -> Answer:
        request.watch = watch
        try:
            return await self._next(request)
        except CouchDBError as error:
            unclear = watch.unclear(error) if watch.broke else error
            if unclear is error:
                raise
            raise unclear from error
