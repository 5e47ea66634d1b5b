"""Bodies that are sent in pieces, and what happens when the server takes none of them."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Awaitable

__all__ = ["Upload"]

T = TypeVar("T")


class Upload:
    """A body that is sent in pieces. It may last as long as it likes, while the server takes them.

    What its source takes to give the next piece is the program's own time.
    """

    def __init__(self, body: AsyncIterable[bytes], silence: float) -> None:
        self._body = body
        self._silence = silence
        self._limit = asyncio.timeout(None)
        self._is_over = False

    def __aiter__(self) -> AsyncIterator[bytes]:
        # At once: a body that can be had only once says so here.
        return self._pieces(aiter(self._body))

    async def _pieces(self, body: AsyncIterator[bytes]) -> AsyncGenerator[bytes, None]:
        loop = asyncio.get_running_loop()
        async for piece in body:
            self._wait_until(loop.time() + self._silence)
            yield piece
            self._wait_until(None)

    def _wait_until(self, when: float | None) -> None:
        if not self._is_over:
            self._limit.reschedule(when)

    async def watch(self, answer: Awaitable[T]) -> T:
        """Return the answer. Raise `TimeoutError` when no piece has been taken for too long."""
        try:
            async with self._limit:
                return await answer
        except TimeoutError:
            if not self._limit.expired():
                raise
            what = f"the server took nothing of the body for {self._silence:g} seconds"
            raise TimeoutError(what) from None
        finally:
            self._is_over = True
