"""Work that many wait for and one does."""

from __future__ import annotations

import asyncio
import copy
from typing import TYPE_CHECKING

from aiocouch.exception import CouchDBError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

__all__ = ["Once"]


class Once:
    """Runs one piece of work at a time; whoever comes meanwhile shares what comes of it.

    The first does it, in its own task. When that is cancelled, the next one begins anew.
    """

    def __init__(self) -> None:
        self._flight: asyncio.Future[None] | None = None

    async def __call__(self, work: Callable[[], Awaitable[None]]) -> None:
        """Do the work, or wait for whoever does it. Raise what the work raised, for all."""
        while (flight := self._flight) is not None:
            await asyncio.wait([flight])  # which, unlike `await`, a waiter's end does not cancel
            if not flight.cancelled():
                return _share(flight)
        await self._lead(work)
        return None

    async def _lead(self, work: Callable[[], Awaitable[None]]) -> None:
        flight = self._flight = asyncio.get_running_loop().create_future()
        try:
            await work()
        except Exception as error:
            flight.set_exception(error)
            flight.exception()  # somebody has seen it, even if nobody else waits
            raise
        else:
            flight.set_result(None)
        finally:
            self._flight = None
            flight.cancel()  # of no effect unless we were cancelled
            del flight  # which has the error, which has this frame


def _share(flight: asyncio.Future[None]) -> None:
    error = flight.exception()
    if isinstance(error, CouchDBError):
        raise copy.copy(error)  # each has a traceback of its own
    if error is not None:
        raise error
