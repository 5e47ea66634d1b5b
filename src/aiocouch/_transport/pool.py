"""Who uses the connections of a connector, and who gives one up when others wait.

aiohttp hands the connections out. Here is only counted: so it is known when a request must wait, and
answers whose readers do something else meanwhile can be read on, which frees their connections.
"""

from __future__ import annotations

import math
from enum import Enum
from typing import TYPE_CHECKING, Protocol
from weakref import WeakKeyDictionary

from aiocouch.exception import TransportError

if TYPE_CHECKING:
    import aiohttp

    from aiocouch.exception import Facts

__all__ = ["Place", "Pool", "Span", "pool_of"]

_OTHERS = 10  # a tenth of the connections, at least one, is for those that are not held by the idle


class Holder(Protocol):
    """What has a connection while its reader does something else."""

    def settle(self) -> None:
        """Leave the pool if the answer has ended, so that the connection is free already."""
        ...

    def give_up(self) -> None:
        """Read on without the reader, as long as others wait."""
        ...


class Span(Enum):
    """How long an answer takes: as its data need, until something happens, or for ever."""

    ENDS = 0
    WAITS = 1
    ENDLESS = 2


class Pool:
    """The use of one connector, by all sessions that share it.

    `limit` is the number of connections. `busy` counts the requests that have one or wait for one,
    `feeds` those of them that wait for something to happen. `idle` has those whose readers do
    something else; those that have done so for longest come first.
    """

    def __init__(self, connector: aiohttp.BaseConnector) -> None:
        limits = [limit for limit in (connector.limit, connector.limit_per_host) if limit]
        self.limit = min(limits, default=math.inf)
        self.busy = 0
        self.feeds = 0
        self.idle: dict[Holder, None] = {}

    def is_short(self) -> bool:
        """Return whether somebody waits while the idle have more connections than their share."""
        return self.busy > self.limit and len(self.idle) > self._share()

    def make_room(self, facts: Facts) -> None:
        """Let those that may give up their connection, for a request that has to wait for one.

        Raise `TransportError` when it would wait for something to happen: feeds have all connections.
        """
        if self.feeds >= self.limit:
            raise TransportError(
                f"{facts.method} {facts.path}: changes feeds that wait hold all "
                f"{self.feeds} connections of the connector: it needs a higher limit",
                facts,
            )
        self.relieve()

    def relieve(self) -> None:
        """Let the idle give up what is more than their share. For when `busy` is above `limit`."""
        if self.is_short():
            for holder in list(self.idle):
                holder.settle()
        if self.is_short():
            for holder in list(self.idle)[: len(self.idle) - self._share()]:
                holder.give_up()

    def _share(self) -> int:
        """Return how many connections the idle may keep while others wait."""
        rest = int(self.limit) - self.feeds
        return max(rest - max(rest // _OTHERS, 1), 0)


class Place:
    """The place of one answer in the pool, from its request until its connection is free."""

    def __init__(self, pool: Pool, span: Span) -> None:
        self._pool: Pool | None = pool
        self._may_idle = span is Span.ENDS
        self._is_feed = span is not Span.ENDS
        self._holder: Holder | None = None
        pool.busy += 1
        pool.feeds += self._is_feed

    def turn_away(self, holder: Holder) -> None:
        """Note that the reader does something else now."""
        pool = self._pool
        if pool is not None and self._may_idle:
            self._holder = holder
            pool.idle[holder] = None
            if pool.busy > pool.limit:
                pool.relieve()

    def return_to(self) -> None:
        """Note that the reader is back."""
        if self._pool is not None and self._holder is not None:
            self._pool.idle.pop(self._holder, None)

    def is_wanted(self) -> bool:
        """Return whether the connection is still held, and others wait for it."""
        return self._pool is not None and self._pool.is_short()

    def leave(self) -> None:
        """Note that the connection is free, or about to be closed."""
        self.return_to()
        pool, self._pool, self._holder = self._pool, None, None
        if pool is not None:
            pool.busy -= 1
            pool.feeds -= self._is_feed


_pools: WeakKeyDictionary[aiohttp.BaseConnector, Pool] = WeakKeyDictionary()


def pool_of(connector: aiohttp.BaseConnector) -> Pool:
    """Return the pool of the connector, one and the same for all sessions that use it."""
    pool = _pools.get(connector)
    if pool is None:
        pool = _pools[connector] = Pool(connector)
    return pool
