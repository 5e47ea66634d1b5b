"""The feed of one `_changes` request."""

from __future__ import annotations

import re
import weakref
from collections.abc import AsyncGenerator
from types import AsyncGeneratorType
from typing import TYPE_CHECKING, Any, Generic, TypeAlias, TypeVar

import msgspec

from aiocouch.changes.events import ChangedEvent, DeletedEvent
from aiocouch.changes.options import ask, beats, feed_options, is_event_source, rescued, waits
from aiocouch.changes.presence import Presence
from aiocouch.exception import InvalidInputError, TruncatedError
from aiocouch.newer import check_newer, is_time

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from aiocouch.database import Database
    from aiocouch.remote import Stream
    from aiocouch.typing import JsonDict

__all__ = ["ChangesFeed", "EventFeed", "Make"]

E = TypeVar("E")
Make: TypeAlias = "Callable[[JsonDict, Database], object | None]"
"""Makes an event of a row of a document that was not deleted; None: it is passed over."""

_ROWS = msgspec.json.Decoder(list[dict[str, Any]])
_Events = AsyncGenerator[Any, None]


class _Now(msgspec.Struct):
    last_seq: str | int


class _Progress:
    """How far a feed is. Its own object: a generator that held the feed would never be let go."""

    def __init__(self, database: Database, options: JsonDict, make: Make) -> None:
        self.database = database
        self.options = options
        self.make = make
        self.in_hand: str | None = None  # the sequence of the last event
        self.last_sequence: str | None = (
            None  # that of the last one before which the next was asked
        )
        self.pending: int | None = None
        self.count = 0
        self.is_over = False
        self.stream: Stream | None = None

    def left(self) -> JsonDict:
        """Return the options for what is left of the feed."""
        options = dict(self.options)
        if self.last_sequence is None:
            return options
        if options.get("descending"):
            raise InvalidInputError("a descending feed cannot go on where its loop was left")
        options.pop("last-event-id", None)
        options["since"] = self.last_sequence
        if self.limit is not None:
            options["limit"] = max(self.limit - self.count, 0)
        return options

    @property
    def begins_now(self) -> bool:
        """Whether the feed waits for what happens from now on, and now has no sequence yet."""
        given = (self.options.get(name) for name in ("since", "last-event-id"))
        since = [one for one in given if one is not None]
        is_now = bool(since) and all(one == "now" for one in since)
        return self.last_sequence is None and is_now and waits(self.options)

    @property
    def limit(self) -> int | None:
        """How many events there may be, where that is a number."""
        limit = str(self.options.get("limit"))
        return int(limit) if limit.isdecimal() else None

    @property
    def may_end(self) -> bool:
        """Whether the server may end the feed without an event more: it had to, or need not wait."""
        return (
            not waits(self.options)
            or (self.options["feed"] == "longpoll" and self.in_hand is not None)
            or (self.limit is not None and self.count >= self.limit)
        )

    def counted(self, rows: Iterable[JsonDict]) -> Iterator[JsonDict]:
        """Yield the rows. Only a limit makes them worth counting."""
        for row in rows:
            self.count += 1
            yield row


class EventFeed(AsyncGenerator[E, None], Generic[E]):
    """The events of one `_changes` request, an async iterator.

    `last_sequence` is where a next feed goes on: after the last event that was handled, which is one
    whose next was asked for, and after the closing line once the feed has ended. `pending` is the
    number of events that the server held back, None until then.

    Leaving a loop over it ends the request. Another loop over the same feed goes on after the last
    event, by a new request. A feed that waits raises `NotFoundError` when its database is deleted,
    `TruncatedError` when it is cut or silent for too long: when three heartbeats are missing, or 30
    seconds after its `timeout`.
    """

    def __init__(self, database: Database, options: JsonDict, make: Make = ChangedEvent) -> None:
        self._progress = _Progress(database, feed_options(options), make)
        self._own: _Events | None = None
        self._lent: weakref.ref[_Events] | None = None  # to a loop, which ends it by letting it go

    @property
    def database(self) -> Database:
        """The database whose changes these are."""
        return self._progress.database

    @property
    def last_sequence(self) -> str | None:
        """Where a next feed goes on."""
        return self._progress.last_sequence

    @property
    def pending(self) -> int | None:
        """How many events the server held back."""
        return self._progress.pending

    def __aiter__(self) -> AsyncGenerator[E, None]:
        events = self._running() or _follow(self._progress)
        self._own, self._lent = None, weakref.ref(events)
        return events

    def _running(self) -> _Events | None:
        events = self._own or (self._lent() if self._lent is not None else None)
        # An error that went through a loop, such as its cancelling, has ended the generator.
        is_over = isinstance(events, AsyncGeneratorType) and events.ag_frame is None
        return None if is_over else events

    def _events(self) -> _Events:
        events = self._running()
        if events is None:
            events = self._own = _follow(self._progress)
        return events

    async def __anext__(self) -> E:
        event: E = await anext(self._events())
        return event

    async def asend(self, value: None) -> E:
        """Return the next event, as `anext`."""
        event: E = await self._events().asend(value)
        return event

    async def athrow(self, *error: Any) -> E:
        """Raise an error inside the feed, which ends it."""
        self._progress.is_over = True
        event: E = await self._events().athrow(*error)
        return event

    async def aclose(self) -> None:
        """Stop, and free the connection."""
        self._progress.is_over = True
        events = self._running()
        if events is not None:
            await events.aclose()
        if self._progress.stream is not None:  # that of a loop that was left just now
            await self._progress.stream.close()


class ChangesFeed(EventFeed["ChangedEvent | DeletedEvent"]):
    """The feed of `Database.changes`."""


async def _follow(progress: _Progress) -> _Events:
    limit = progress.limit
    progress.last_sequence = progress.in_hand or progress.last_sequence
    if progress.is_over or (limit is not None and 0 < limit <= progress.count):
        return
    database, make = progress.database, progress.make
    read = _READ.get(progress.options.get("feed", ""), _batch)
    try:
        if progress.begins_now:
            progress.last_sequence = await sequence_now(database)
        if is_time(progress.left().get("since")):
            await check_newer(database.remote, "times as since=")
        async with _request(progress) as stream:
            progress.stream = stream
            if waits(progress.options):
                stream.at_beat = Presence(database.remote, database.endpoint)
            while batch := await read(stream):
                for row in batch if limit is None else progress.counted(batch):
                    if not ("seq" in row and "id" in row and "changes" in row):
                        if "last_seq" not in row:
                            stream.refuse(row)
                        stream.meta = row
                        progress.count -= 1  # it is not an event
                        break
                    # With seq_interval only some rows have a sequence.
                    progress.in_hand = sequence = row["seq"] or progress.in_hand
                    deleted = "deleted" in row and row["deleted"]  # get() would be a call
                    event = DeletedEvent(row) if deleted else make(row, database)
                    if event is not None:
                        yield event
                    progress.last_sequence = sequence
        await _end(progress, stream)
    except TimeoutError:
        progress.is_over = True
        if waits(progress.options):  # the server may be silent because the database is gone
            await Presence(database.remote, database.endpoint).look()
        raise
    except Exception:  # not when a loop is left: another may go on
        progress.is_over = True
        raise


async def sequence_now(database: Database) -> str:
    """Return the sequence of now, after which nothing is lost that happens later (`GET /{db}/_changes`)."""
    path = f"{database.endpoint}/_changes?since=now&limit=1"
    return str((await database.remote.json("GET", path, into=_Now)).last_seq)


async def _end(progress: _Progress, stream: Stream) -> None:
    """Take note of the closing line.

    A server writes it also when the database is deleted, which is the reason where there is no other.
    """
    has_no_last_line = is_event_source(progress.options)
    if "last_seq" not in stream.meta and not has_no_last_line:
        raise TruncatedError(
            f"the changes feed of {progress.database!r} ended without its last line"
        )
    if not progress.may_end:
        await Presence(progress.database.remote, progress.database.endpoint).look()
        if has_no_last_line and beats(progress.options):
            raise TruncatedError(f"the changes feed of {progress.database!r} ended by itself")
    progress.is_over = True
    progress.last_sequence = progress.in_hand = stream.meta.get("last_seq", progress.in_hand)
    progress.pending = stream.meta.get("pending")


def _request(progress: _Progress) -> Stream:
    options = progress.left()
    return ask(progress.database.remote, f"{progress.database.endpoint}/_changes", options)


async def _batch(stream: Stream) -> Iterable[JsonDict]:
    """Return the next rows; none at the end."""
    return await stream.batch(_ROWS, rescued)


async def _lines(stream: Stream) -> Iterable[JsonDict]:
    """Return the next rows of a continuous feed, which are decoded one after the other."""
    lines = await stream.lines()
    return _decoded(stream, lines) if lines else ()


async def _events(stream: Stream) -> Iterable[JsonDict]:
    """Return the next rows of an event source. Its heartbeats are events, too, without data."""
    while lines := await stream.lines():
        data = [line.removeprefix(b"data:").strip() for line in lines if not _BESIDE(line)]
        if rows := [text for text in data if text]:
            return _decoded(stream, rows)
        if stream.at_beat is not None:
            await stream.at_beat()
    return ()


_BESIDE = re.compile(rb"(id|event|retry)?:").match
_READ = {"continuous": _lines, "eventsource": _events}


def _decoded(stream: Stream, lines: list[bytes]) -> Iterator[JsonDict]:
    for line in lines:
        row = stream.decode(line, rescued)
        if not isinstance(row, dict):
            stream.refuse(row)
        yield row
