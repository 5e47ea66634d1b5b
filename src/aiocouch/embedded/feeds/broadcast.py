"""New changes for many listeners at once: read and put into text once, sent without waking anybody.

A feed that follows a database and has no options that make it special waits as a follower. After a
commit each follower gets the new rows as bytes; its own task sleeps on. Only where a follower does
not take them (its client reads too slowly), or there are too many, it is woken to read by itself.

Followers that ask the same filter the same question are answered by one call of it.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from typing import TYPE_CHECKING

from aiocouch.embedded.feeds.changes import is_plain, plain_rows, shared_rows

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable

    from aiocouch.embedded.feeds.changes import ChangeRow, Cursor, Feed
    from aiocouch.embedded.feeds.feed import Framing
    from aiocouch.embedded.store.database import Database

_log = logging.getLogger("aiocouch.embedded")

_Place = tuple[int, "Hashable"]
"""The sequence after which a follower waits, and the key of its feed."""

_AT_ONCE = 50
"""Followers that are served before others in the event loop get their turn."""


class Follower:
    """A feed that waits. `push` sends bytes at once, or gives False; `news` is when it last did."""

    __slots__ = ("_future", "_key", "cursor", "feed", "framing", "is_plain", "news", "push")

    def __init__(
        self, cursor: Cursor, feed: Feed, framing: Framing, push: Callable[[bytes], bool]
    ) -> None:
        self.cursor = cursor
        self.feed = feed
        self.is_plain = is_plain(feed)
        self._key = feed.key
        self.framing = framing
        self.push = push
        self.news = 0.0
        self._future: asyncio.Future[bool] | None = None

    async def sleep(self) -> bool:
        """Sleep until it is woken: to read by itself, or (False) as the database went away."""
        self._future = asyncio.get_running_loop().create_future()
        try:
            return await self._future
        finally:
            self._future = None

    def wake(self, *, read: bool) -> None:
        """End the sleep."""
        if self._future is not None and not self._future.done():
            self._future.set_result(read)

    @property
    def place(self) -> _Place:
        """What followers have in common that need the same rows next."""
        return self.cursor.last, self._key

    @property
    def is_asleep(self) -> bool:
        """Whether it may be served."""
        return self._future is not None and not self._future.done()

    def take(self, until: int, rows: list[ChangeRow], data: bytes) -> bool:
        """Send all rows up to a sequence; False where that cannot be now."""
        if rows and not self.push(data):
            return False
        cursor = self.cursor
        cursor.seen = until
        cursor.last = max(until, cursor.last)
        cursor.limit -= len(rows)
        cursor.sent += len(rows)
        if rows:
            cursor.pending = 0
            self.news = asyncio.get_running_loop().time()
        return True


class _News:
    """The rows from one sequence to another, and their bytes in each framing."""

    def __init__(self, rows: list[ChangeRow]) -> None:
        self.rows = rows
        self._bytes: dict[type[Framing], bytes] = {}

    def bytes_for(self, framing: Framing) -> bytes:
        found = self._bytes.get(type(framing))
        if found is None:
            found = b"".join(framing.row(row.text, row.seq) for row in self.rows)
            self._bytes[type(framing)] = found
        return found


class Broadcast:
    """Serves the followers of one database, some at a time."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._followers: dict[Follower, None] = {}
        self._queue: deque[Follower] = deque()
        self._known: dict[tuple[int, int, str], _News | None] = {}
        self._asking: dict[_Place, asyncio.Task[None]] = {}
        self._is_scheduled = False
        self._stop: Callable[[], None] | None = None

    @property
    def has_followers(self) -> bool:
        """Whether anybody is served."""
        return bool(self._followers)

    async def follow(self, follower: Follower) -> bool:
        """Serve a follower; see Broadcasts."""
        database = self._database
        if database.closed:
            return False
        if database.update_seq > follower.cursor.seen:
            return True
        if self._stop is None:
            self._stop = database.subscribe(self._told)
        self._followers[follower] = None
        try:
            return await follower.sleep()
        finally:
            del self._followers[follower]
            if not self._followers:
                self._end()

    def _end(self) -> None:
        self._queue.clear()
        self._known.clear()
        for task in self._asking.values():
            task.cancel()
        if self._stop is not None:
            self._stop()
            self._stop = None

    def _told(self, database: Database) -> None:
        if database.closed:
            for follower in self._followers:
                follower.wake(read=False)
        elif not self._is_scheduled:
            self._schedule()

    def _schedule(self) -> None:
        self._is_scheduled = True
        asyncio.get_running_loop().call_soon(self._serve)

    def _serve(self) -> None:
        """Serve some of those who are behind; go on as long as there are any."""
        self._is_scheduled = False
        if self._database.closed:
            return
        if not self._queue:
            self._known.clear()
            self._queue.extend(filter(self._is_behind, self._followers))
        for _ in range(min(_AT_ONCE, len(self._queue))):
            follower = self._queue.popleft()
            if not self._is_behind(follower):
                continue
            if not follower.is_plain:
                self._ask(follower)
            elif not self._give(follower):
                follower.wake(read=True)
        if self._queue or any(map(self._is_behind, self._followers)):
            self._schedule()

    def _is_behind(self, follower: Follower) -> bool:
        """Return whether somebody has to do something for a follower."""
        behind = follower.is_asleep and follower.cursor.seen < self._database.update_seq
        return behind and (follower.is_plain or follower.place not in self._asking)

    def _ask(self, follower: Follower) -> None:
        """Begin to find out what passes the filter of all who are where this one is."""
        place = follower.place
        task = asyncio.create_task(self._share(place, follower.feed))
        self._asking[place] = task
        task.add_done_callback(lambda _task: self._asked(place))

    def _asked(self, place: _Place) -> None:
        del self._asking[place]
        if not self._is_scheduled and self._followers:
            self._schedule()

    async def _share(self, place: _Place, feed: Feed) -> None:
        """Ask the filter once, and give what passes to all who wait for it."""
        news: _News | None = None
        until = 0
        try:
            rows, until = await shared_rows(self._database, feed, place[0])
            news = _News(rows)
        except Exception:  # noqa: BLE001 - each will meet the fault by itself, and end
            _log.debug("changes of %r could not be filtered", self._database, exc_info=True)
        for number, follower in enumerate(list(self._followers), 1):
            if follower.is_asleep and follower.place == place:
                data = b"" if news is None else news.bytes_for(follower.framing)
                if news is None or not follower.take(until, news.rows, data):
                    follower.wake(read=True)
            if number % _AT_ONCE == 0:
                await asyncio.sleep(0)

    def _give(self, follower: Follower) -> bool:
        until = self._database.update_seq
        try:
            news = self._news(follower.cursor.last, until, follower.feed.style)
        except Exception:  # noqa: BLE001 - it will meet the fault by itself, and end
            _log.debug("changes of %r could not be read", self._database, exc_info=True)
            return False
        return news is not None and follower.take(
            until, news.rows, news.bytes_for(follower.framing)
        )

    def _news(self, since: int, until: int, style: str) -> _News | None:
        key = since, until, style
        if key not in self._known:
            rows = plain_rows(self._database, since, until, style)
            self._known[key] = None if rows is None else _News(rows)
        return self._known[key]


class Broadcasts:
    """The broadcasts of all databases of a server that have any followers."""

    def __init__(self) -> None:
        self._all: dict[Database, Broadcast] = {}

    async def follow(self, database: Database, follower: Follower) -> bool:
        """Serve a follower until it has to read by itself (True), or the database goes away."""
        broadcast = self._all.setdefault(database, Broadcast(database))
        try:
            return await broadcast.follow(follower)
        finally:
            if not broadcast.has_followers:
                self._all.pop(database, None)
