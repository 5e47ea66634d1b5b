"""Followers: the changes of a database, or of all databases, for months."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import weakref
from contextlib import aclosing
from dataclasses import dataclass, fields
from types import AsyncGeneratorType
from typing import TYPE_CHECKING, Any, Generic, Self, TypeAlias, TypedDict, TypeVar, cast

from aiocouch._hints import complete
from aiocouch._wire.options import with_query
from aiocouch.changes.checkpoint import checkpoint_of, sequence_in
from aiocouch.changes.crew import Acknowledged, Crew, Handler, OnError
from aiocouch.changes.events import DatabaseUpdate, FollowedChange, FollowedDeletion
from aiocouch.changes.keeper import Keeper
from aiocouch.changes.ledger import Ledger
from aiocouch.changes.options import feed_options
from aiocouch.changes.patience import Patience
from aiocouch.changes.reader import AtBreak, Followed, RowReader
from aiocouch.changes.window import Window
from aiocouch.exception import CouchDBError, InvalidInputError, InvalidTypeError
from aiocouch.newer import time_text

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Iterable, Mapping
    from datetime import datetime
    from types import TracebackType

    from aiocouch._transport.policy import RetryPolicy
    from aiocouch.answers import DatabaseEvent
    from aiocouch.changes.checkpoint import Checkpoint, CheckpointOption
    from aiocouch.database import Database
    from aiocouch.remote import Remote
    from aiocouch.typing import JsonDict

__all__ = ["FollowOptions", "FollowUpdatesOptions", "Follower", "follow_changes", "follow_updates"]

LOGGER = logging.getLogger("aiocouch")

E = TypeVar("E", bound=Acknowledged)

_REFUSED = ("feed", "limit", "descending", "timeout", "last-event-id")


class FollowUpdatesOptions(TypedDict, total=False):
    """How a follower works.

    since: a sequence, a time, or "now"; without it from the beginning. What is in the checkpoint comes first
    checkpoint: the name of a document `_local/aiocouch-follower-{name}`, the path of a file, or an object
    checkpoint_every: after how many acknowledged events a checkpoint is written
    checkpoint_seconds: after how many seconds it is written, if any were acknowledged
    explicit_acks: only `ack()` acknowledges
    max_unacknowledged: how many events may be not acknowledged before no more are read
    window: how many events are remembered, so that they do not come again
    heartbeat: in milliseconds; when three are missing, the connection is dead
    retry: how long is waited before it connects again
    on_reconnect: is called with the error and the seconds until then
    """

    since: str | datetime | None
    checkpoint: CheckpointOption
    checkpoint_every: int
    checkpoint_seconds: float
    explicit_acks: bool
    max_unacknowledged: int
    window: int
    heartbeat: int
    retry: RetryPolicy | None
    on_reconnect: AtBreak | None


class FollowOptions(FollowUpdatesOptions, total=False):
    """How a follower works, and which changes it gives: as `changes()`."""

    include_docs: bool
    style: str
    filter: str | None
    view: str
    doc_ids: Iterable[str]
    selector: Mapping[str, Any]
    conflicts: bool
    attachments: bool
    att_encoding_info: bool
    seq_interval: int
    extra: Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class Manner:
    """How a follower works: the options that are not those of the feed."""

    checkpoint: CheckpointOption = None
    checkpoint_every: int = 1000
    checkpoint_seconds: float = 5.0
    explicit_acks: bool = False
    max_unacknowledged: int = 10_000
    window: int = 10_000
    heartbeat: int = 10_000  # ms
    retry: RetryPolicy | None = None
    on_reconnect: AtBreak | None = None

    def __post_init__(self) -> None:
        least = {"checkpoint_every": 1, "checkpoint_seconds": 0, "max_unacknowledged": 1}
        for name, value in {**least, "window": 0, "heartbeat": 1}.items():
            given = getattr(self, name)
            if isinstance(given, bool) or not isinstance(given, int | float) or given < value:
                raise InvalidInputError(f"{name} must be a number from {value} on, not {given!r}")


_MANNER = frozenset(field.name for field in fields(Manner))


MakeFollowed: TypeAlias = "Callable[[JsonDict, Database, Ledger, int], object | None]"
"""Makes an event of a row of a document that was not deleted; None: it is passed over."""


class _State:
    """What a follower knows. Its own object: a generator that held the follower would keep it."""

    def __init__(
        self,
        followed: Followed,
        manner: Manner,
        checkpoint: Checkpoint | None,
        since: str | None,
        database: Database | None = None,
        *,
        make: MakeFollowed = FollowedChange,
    ) -> None:
        self.make = make
        self.followed = followed
        self.manner = manner
        self.since = since
        self.database = database
        self.keeper = Keeper(checkpoint, manner.checkpoint_seconds)
        self.ledger: Ledger | None = None
        self.source: RowReader | None = None
        self.is_stopped = False
        self.breaks = 0

    def stop(self) -> None:
        self.is_stopped = True
        if self.ledger is not None:
            self.ledger.due = 0
        if self.source is not None:
            self.source.stop()

    def room_in(self, ledger: Ledger) -> bool:
        return ledger.outstanding < self.manner.max_unacknowledged

    def sequence(self) -> str | None:
        return None if self.ledger is None else self.ledger.sequence

    async def begin(self) -> tuple[Ledger, RowReader]:
        """Go on after what is acknowledged, here or in the checkpoint."""
        sequence = self.sequence()
        if self.ledger is None:
            sequence = await self.keeper.load()
            if sequence is None and self.since == "now":
                sequence = await self._now()
                await self.keeper.save(lambda: sequence)
            elif sequence is None:
                sequence = self.since
        self.ledger = ledger = Ledger(sequence)
        window = Window(0 if self.database is None else self.manner.window)
        self.source = RowReader(self.followed, sequence, window, ledger.close)
        return ledger, self.source

    async def _now(self) -> str:
        path = with_query(self.followed.path, {"since": "now", "limit": 1})
        answer = await self.followed.remote.json("GET", path, into=dict[str, Any])
        return sequence_in(answer, self.followed.path)


class Follower(Generic[E]):
    """The events of a feed for as long as you like: `async for event in follower`.

    It connects again when the connection breaks, or three heartbeats are missing, and goes on after the
    last event. Each event comes at least once: it comes again after a restart unless it was acknowledged,
    which it is when the next one is asked for, or with `explicit_acks` by its `ack()`. What is
    acknowledged without a gap goes into the checkpoint. Rows that a cluster sends again come once, as
    far as the `window` goes.

    The loop ends by `stop()`, or by an error: what the server refuses, such as `UnauthorizedError`,
    `ForbiddenError`, or `NotFoundError` when the database is deleted. An event whose loop is left is not
    acknowledged. Another loop over the same follower goes on after what is. Use it with `async with`, so
    that the last checkpoint is written when it is left.
    """

    def __init__(self, state: _State) -> None:
        self._state = state
        self._lent: weakref.ref[AsyncGenerator[E, None]] | None = None

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self._state.followed.path} since {self.sequence!r}>"

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.close()

    def __aiter__(self) -> AsyncGenerator[E, None]:
        return self._events(self._state.manner.explicit_acks)

    def _events(self, explicit: bool) -> AsyncGenerator[E, None]:
        events = self._lent() if self._lent is not None else None
        if events is None or (isinstance(events, AsyncGeneratorType) and events.ag_frame is None):
            events = _follow(self._state, explicit)
            self._lent = weakref.ref(events)
        return events

    async def run(
        self, handler: Handler[E], *, workers: int = 1, on_error: OnError[E] = "stop"
    ) -> None:
        """Call `handler` with each event, a function or coroutine function, until `stop()`.

        An event is acknowledged when the handler returns. With several `workers`, events of one
        document are handled one after the other, in their order; those of different documents at the
        same time. When the handler raises, `on_error` says what is done: "stop" raises the error, "skip"
        acknowledges the event, "retry" tries again after 0.1 seconds or less, then longer, up to 30; or a
        function of the event, the error and the number of tries says one of the three.
        """
        crew = Crew(handler, workers, on_error)
        async with aclosing(self._events(True)) as events:
            await crew.run(events)

    def stop(self) -> None:
        """End the loop, or `run`, once the events that were handed out are handled."""
        self._state.stop()

    async def close(self) -> None:
        """Stop, end the request, and write the checkpoint. Raise what goes wrong with it."""
        self.stop()
        events = self._lent() if self._lent is not None else None
        if events is not None and not getattr(events, "ag_running", False):
            await events.aclose()
        if self._state.source is not None:
            await self._state.source.close()
        await self.save()

    async def save(self) -> None:
        """Write the checkpoint now."""
        await self._state.keeper.save(self._state.sequence)

    @property
    def sequence(self) -> str | None:
        """Up to where everything is acknowledged; None before the first event is asked for."""
        return self._state.sequence()

    @property
    def reconnects(self) -> int:
        """How often the feed broke."""
        source = self._state.source
        return self._state.breaks + (source.breaks if source is not None else 0)

    @property
    def unacknowledged(self) -> int:
        """How many events came and are not acknowledged, or come after one that is not."""
        ledger = self._state.ledger
        return 0 if ledger is None else ledger.outstanding

    @property
    def lag(self) -> float:
        """For how many seconds the oldest event that is not acknowledged has been here; else 0."""
        ledger = self._state.ledger
        since = None if ledger is None else ledger.since
        return 0.0 if since is None else asyncio.get_running_loop().time() - since

    async def pending(self) -> int | None:
        """Return how many changes of the database are not acknowledged yet (`GET /{db}/_changes`).

        Those that a filter keeps back count as well. None of the updates of all databases, whose
        number CouchDB does not tell.
        """
        followed = self._state.followed
        path = with_query(followed.path, {"since": self.sequence or 0, "limit": 0})
        answer = await followed.remote.json("GET", path, into=dict[str, Any])
        found: int | None = answer.get("pending")
        return found


async def _follow(state: _State, explicit: bool) -> AsyncGenerator[Any, None]:
    if state.is_stopped:
        return
    ledger, source = await state.begin()
    watching = asyncio.ensure_future(state.keeper.watch(state.sequence, source.stop))
    ledger.due, database, make = state.manner.checkpoint_every, state.database, state.make
    try:
        while rows := await _batch(state, ledger, source, explicit):
            before = ledger.add(rows, source.clock())
            for place, row in enumerate(rows, before + 1):
                deleted = "deleted" in row and row["deleted"]  # get() would be a call
                if database is None:
                    yield DatabaseUpdate(cast("DatabaseEvent", row), ledger, place)
                elif deleted:
                    yield FollowedDeletion(row, ledger, place)
                elif (event := make(row, database, ledger, place)) is not None:
                    yield event
                elif explicit:
                    ledger.acknowledge(place)
                if explicit:
                    done = ledger.acknowledged
                else:
                    ledger.acknowledged = done = place
                if done >= ledger.due and await _is_to_end(state, ledger):
                    return
        state.keeper.check()
    finally:
        watching.cancel()
        await _end(state, source)


async def _batch(
    state: _State, ledger: Ledger, source: RowReader, explicit: bool
) -> list[JsonDict]:
    """Return the next rows, when there is room for them."""
    if explicit and not state.room_in(ledger):
        await _room(state, ledger, source)
    return await source.batch()


async def _is_to_end(state: _State, ledger: Ledger) -> bool:
    """Write a checkpoint, and say whether the follower was stopped."""
    if state.is_stopped:
        return True
    ledger.due = ledger.acknowledged + state.manner.checkpoint_every
    await state.keeper.save_soon(state.sequence)
    return False


async def _room(state: _State, ledger: Ledger, source: RowReader) -> None:
    """Wait until some of what was handed out is acknowledged."""
    LOGGER.warning(
        "%d events of %s are not acknowledged: no more are read until some are",
        *(ledger.outstanding, state.followed.path),
    )
    moved = asyncio.Event()
    ledger.at_move = moved.set
    try:
        while not state.room_in(ledger) and not source.is_stopping:
            moved.clear()
            await source.unless_stopped(moved.wait())
    finally:
        ledger.at_move = None


async def _end(state: _State, source: RowReader) -> None:
    state.breaks += source.breaks
    source.breaks = 0
    with contextlib.suppress(CouchDBError):
        await source.close()
    try:
        await state.keeper.save(state.sequence)
    except CouchDBError as error:  # `close` raises it; nobody may be there to hear it
        LOGGER.warning("the last checkpoint could not be written: %s", error)


def follow_changes(
    database: Database, options: JsonDict, make: MakeFollowed = FollowedChange
) -> Follower[Any]:
    """Return the follower of a database."""
    manner, asked = _split(options, "follow()")
    return Follower(
        _State(
            Followed(
                database.remote,
                f"{database.endpoint}/_changes",
                {**feed_options(asked), "feed": "continuous", "heartbeat": manner.heartbeat},
                ("seq", "id", "changes"),
                database.endpoint,
                _patience(manner),
                manner.on_reconnect,
            ),
            manner,
            checkpoint_of(manner.checkpoint, database),
            time_text(options.get("since")),
            database,
            make=make,
        )
    )


def follow_updates(remote: Remote, options: JsonDict) -> Follower[DatabaseUpdate]:
    """Return the follower of all databases of a server."""
    manner, asked = _split(options, "follow_updates()")
    if asked:
        raise InvalidTypeError(f"follow_updates() has no option {next(iter(asked))!r}")
    return Follower(
        _State(
            Followed(
                remote,
                "/_db_updates",
                {"feed": "continuous", "heartbeat": manner.heartbeat},
                ("seq", "db_name", "type"),
                patience=_patience(manner),
                at_break=manner.on_reconnect,
            ),
            manner,
            checkpoint_of(manner.checkpoint, None),
            options.get("since"),
        )
    )


def _split(options: JsonDict, what: str) -> tuple[Manner, JsonDict]:
    """Return how it works, and what the feed is asked for."""
    for name in _REFUSED:
        if options.get(name) is not None:
            raise InvalidInputError(f"{what} takes no {name}=")
    own = {name: value for name, value in options.items() if name in _MANNER and value is not None}
    asked = {name: value for name, value in options.items() if name not in _MANNER}
    asked.pop("since", None)
    return Manner(**own), asked


def _patience(manner: Manner) -> Patience:
    return Patience() if manner.retry is None else Patience(manner.retry)


complete("aiocouch")
