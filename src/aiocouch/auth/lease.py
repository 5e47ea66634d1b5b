"""Headers that hold for a time, and how they are renewed: by one, however many wait."""

from __future__ import annotations

import logging
import math
from abc import abstractmethod
from functools import partial
from typing import TYPE_CHECKING

import msgspec

from aiocouch._wire.secret import SecretHeaders
from aiocouch.auth.flow import Ask, Auth
from aiocouch.auth.once import Once

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from aiocouch.exception import CouchDBError

__all__ = ["Lease", "Leased", "lease"]

_log = logging.getLogger("aiocouch")

_MARGIN = 60.0
"""Seconds before the end at which a lease of any length is renewed."""
_PART = 0.1
"""The part of a short lease that is left when it is renewed."""


class Lease(msgspec.Struct, frozen=True):
    """Headers, when it is time to renew them, and when they are worth nothing (by one clock)."""

    headers: Mapping[str, str]
    due: float = math.inf
    ends: float = math.inf


def lease(headers: Mapping[str, str], since: float, seconds: float | None) -> Lease:
    """Return a lease of so many seconds, None for one without an end."""
    hidden = SecretHeaders(headers)
    if seconds is None:
        return Lease(hidden)
    ends = since + seconds
    return Lease(hidden, ends - min(_MARGIN, seconds * _PART), ends)


class Leased(Auth):
    """A flow whose headers hold for a time. A child fetches them.

    `clock` gives seconds.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._lease: Lease | None = None
        self._once = Once()

    @abstractmethod
    async def fetch(self, current: Lease | None, ask: Ask) -> Lease:
        """Return a new lease; `current` again if there is no other."""

    async def still_holds(self, current: Lease, ask: Ask) -> bool:
        """Return whether a lease holds although a request was refused, for another reason then."""
        return False

    def is_refusal(self, error: CouchDBError) -> bool:
        """Return whether an error may mean that the headers do not hold."""
        return error.status == 401

    @property
    def current(self) -> Lease | None:
        """The lease of now."""
        return self._lease

    def take(self, fresh: Lease) -> None:
        """Use another lease from now on."""
        self._lease = fresh

    def lapse(self) -> None:
        """Fetch anew before the next request."""
        self._lease = None

    def ready(self) -> Mapping[str, str] | None:
        """Return the headers, until it is time to renew them."""
        held = self._lease
        return held.headers if held is not None and self._clock() < held.due else None

    async def headers(self, ask: Ask) -> Mapping[str, str]:
        """Return the headers; new ones if there are none that hold."""
        held = self._lease
        if held is None or self._clock() >= held.ends:
            await self.renew(ask)
        elif self._clock() >= held.due:
            await self._once(partial(self._renew_early, held, ask))
        return (self._lease or held or Lease({})).headers

    async def refused(self, error: CouchDBError, sent: Mapping[str, str], ask: Ask) -> bool:
        """Renew what was refused, unless somebody has done so meanwhile; tell whether it is new."""
        if not self.is_refusal(error):
            return False
        if self.is_current(sent):
            await self._once(partial(self._replace, ask))
        return not self.is_current(sent)

    def is_current(self, sent: Mapping[str, str]) -> bool:
        """Return whether these headers are those of now."""
        return self._lease is not None and self._lease.headers is sent

    async def renew(self, ask: Ask) -> None:
        """Fetch a new lease, or wait for whoever is doing so."""
        await self._once(partial(self._renew, ask))

    async def _renew(self, ask: Ask) -> None:
        self._lease = await self.fetch(self._lease, ask)

    async def _renew_early(self, held: Lease, ask: Ask) -> None:
        """Renew; where that fails, go on with the old one, and try again in half the time left."""
        self._lease = Lease(held.headers, (self._clock() + held.ends) / 2, held.ends)
        try:
            await self._renew(ask)
        except Exception as error:  # noqa: BLE001 - a callback may raise what it likes
            # Without its text, which may be anybody's.
            _log.warning("%r could not be renewed early: %s", self, type(error).__name__)

    async def _replace(self, ask: Ask) -> None:
        held = self._lease
        if held is None or not await self.still_holds(held, ask):
            await self._renew(ask)
