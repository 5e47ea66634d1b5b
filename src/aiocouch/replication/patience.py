"""What may pass by itself, and how long to wait for that."""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import dataclass
from random import Random
from typing import TYPE_CHECKING, TypeVar

from aiocouch._transport.policy import seconds_asked
from aiocouch._wire.multipart import MultipartError
from aiocouch.exception import (
    CouchDBError,
    RemoteResponseError,
    TransportError,
    UnexpectedAnswerError,
)
from aiocouch.replication.endpoint import MissingRevisionError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

T = TypeVar("T")

# Its own: programs that have seeded the common one alike would all come back at once.
_RANDOM = Random()  # noqa: S311
_LATER = frozenset({408, 429, 500, 502, 503, 504})
_LONGEST_ASKED = 60.0
_MOST_DOUBLINGS = 16


@dataclass(frozen=True, slots=True)
class Patience:
    """How often a request is tried, and the pauses between, which double, in seconds.

    A pause is any part of what it may be, so that those who wait do not come back together.
    """

    tries: int = 6
    first: float = 0.25
    longest: float = 10.0

    def longest_pause(self, failures: int) -> float:
        """Return how long the pause after so many failures in a row may be."""
        return min(self.first * 2.0 ** min(failures - 1, _MOST_DOUBLINGS), self.longest)

    async def wait(self, failures: int, error: BaseException) -> None:
        """Wait after so many failures in a row, and no less than the server asked for."""
        pause = _RANDOM.uniform(0.5, 1.0) * self.longest_pause(failures)
        await self.rest(max(pause, _asked_by(error)), error)

    async def rest(self, seconds: float, error: BaseException) -> None:
        """Wait so many seconds because of an error."""
        del error
        await asyncio.sleep(seconds)

    def goes_on(self) -> None:
        """Be told that something has worked."""

    async def again(self, action: Callable[[], Awaitable[T]]) -> T:
        """Do what may be done more than once, until it works or what fails will not pass."""
        failures = 0
        while True:
            try:
                done = await action()
            except (CouchDBError, MultipartError) as error:
                failures += 1
                if failures >= self.tries or not may_pass(error):
                    raise
                reason = error
            else:
                self.goes_on()
                return done
            await self.wait(failures, reason)


@dataclass(frozen=True, slots=True, kw_only=True)
class TellingPatience(Patience):
    """One that tells what it waits for; None: that has passed. When it is `over`, it waits no more."""

    tell: Callable[[BaseException | None], None]
    over: asyncio.Event

    async def rest(self, seconds: float, error: BaseException) -> None:
        """Wait, unless it is over: then raise the error."""
        self.tell(error)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self.over.wait()
        if self.over.is_set():
            raise error

    def goes_on(self) -> None:
        """Tell it."""
        self.tell(None)


DEFAULT_PATIENCE = Patience()


def may_pass(error: BaseException) -> bool:
    """Return whether an error says nothing of what was asked, but of the moment."""
    if isinstance(error, TransportError):
        return True
    if isinstance(error, UnexpectedAnswerError | MissingRevisionError):
        return True  # the page of a proxy whose server is away; a node that lags behind
    if isinstance(error, CouchDBError):
        return error.status in _LATER
    return isinstance(error, MultipartError)


def _asked_by(error: BaseException) -> float:
    """Return the seconds that a server asks for, within reason."""
    if not isinstance(error, RemoteResponseError):
        return 0.0
    return min(seconds_asked(error.headers or {}), _LONGEST_ASKED)
