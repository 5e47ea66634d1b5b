"""The rows of one feed after another, as if it had never broken."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections import deque
from collections.abc import AsyncGenerator, Awaitable, Callable
from dataclasses import dataclass, field
from operator import itemgetter, length_hint
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar

import msgspec

from aiocouch._transport.request import Repeat
from aiocouch._wire.codec import DECODE_ERRORS
from aiocouch._wire.rows import split_lines
from aiocouch.changes.options import ask, rescued
from aiocouch.changes.patience import Patience
from aiocouch.changes.presence import Presence
from aiocouch.exception import CouchDBError, Facts, NotFoundError, TruncatedError
from aiocouch.newer import check_newer, is_time

if TYPE_CHECKING:
    from aiocouch.changes.window import Window
    from aiocouch.remote import Remote, Stream
    from aiocouch.typing import JsonDict

__all__ = ["AtBreak", "Followed", "RowReader", "updates"]

LOGGER = logging.getLogger("aiocouch")
_ROWS = msgspec.json.Decoder(list[dict[str, Any]])

T = TypeVar("T")
AtBreak: TypeAlias = Callable[[CouchDBError, float], object]


@dataclass(frozen=True)
class Followed:
    """What is followed: the path of the feed, its options, and the members that each row must have."""

    remote: Remote
    path: str
    options: JsonDict
    members: tuple[str, str, str]
    endpoint: str | None = None  # of the database
    patience: Patience = field(default_factory=Patience)
    at_break: AtBreak | None = None


class RowReader:
    """Reads the rows after a sequence, connects again when that breaks, and goes on after the last.

    `at_end` gets the sequence of a closing line. Raises what `Patience` does not wait for.
    """

    def __init__(
        self,
        followed: Followed,
        sequence: str | None,
        window: Window,
        at_end: Callable[[str], None],
    ) -> None:
        self.sequence = sequence
        self.breaks = 0
        self._at_end = at_end
        self._closing: str | None = None
        self._followed = followed
        self._window = window
        self._stream: Stream | None = None
        self._presence: Presence | None = None
        self._birth: Any = None  # of the database
        self._later: CouchDBError | None = None
        self._stopping = asyncio.Event()
        self.clock = asyncio.get_running_loop().time

    async def batch(self) -> list[JsonDict]:
        """Return the next rows; none when it was stopped."""
        while not self._stopping.is_set():
            try:
                stream = self._stream or await self.unless_stopped(self._begin())
                if stream is not None and (rows := await self._next(stream)):
                    return rows
            except CouchDBError as error:
                await self.close()
                if not self._stopping.is_set():
                    await self._rest(error)
        return []

    @property
    def is_stopping(self) -> bool:
        """Whether it was stopped."""
        return self._stopping.is_set()

    def stop(self) -> None:
        """Let `batch` end, also one that waits."""
        self._stopping.set()
        if self._stream is not None:
            self._stream.cut("the follower was stopped")

    async def close(self) -> None:
        """End the request."""
        stream, self._stream, self._later, self._closing = self._stream, None, None, None
        if stream is not None:
            await stream.close()

    async def _begin(self) -> Stream:
        followed = self._followed
        options = dict(followed.options)
        if self.sequence is not None:
            options["since"] = self.sequence
            if is_time(self.sequence):
                await check_newer(followed.remote, "times as since=")
        self._stream = stream = ask(followed.remote, followed.path, options)
        try:
            await stream.__aenter__()
        except NotFoundError as error:
            raise _without_updates(error) if followed.endpoint is None else error from None
        if followed.endpoint is not None:
            self._presence = Presence(followed.remote, followed.endpoint)
            await self._look_at_birth(followed.endpoint)
        stream.at_beat = self._beat
        return stream

    async def _look_at_birth(self, endpoint: str) -> None:
        """Notice another database of the same name, whose rows have never come before."""
        info = await self._followed.remote.json("GET", endpoint, into=dict[str, Any])
        birth = info.get("instance_start_time")
        if self._birth not in (None, birth):
            LOGGER.warning("%s was created anew, and is followed from there", endpoint)
            self._window.clear()
        self._birth = birth

    async def _beat(self) -> None:
        self._followed.patience.succeed()
        if self._presence is not None:
            await self._presence()

    async def _next(self, stream: Stream) -> list[JsonDict]:
        """Return the rows of the next piece; none when all of them had come before."""
        if self._later is not None:
            if self._closing is not None:
                self.sequence = self._closing
                self._at_end(self._closing)
            raise self._later
        text = await stream.line_text()
        if not text:
            raise TruncatedError(f"{self._followed.path}: the feed ended without its last line")
        array = b"[%b]" % text.replace(b"\n", b",")
        rows = self._good(stream, self._decoded(stream, array, text))
        if rows:
            self._followed.patience.succeed()
            self.sequence = rows[-1]["seq"] or _last(rows) or self.sequence
        return self._window.fresh(rows, array)

    def _decoded(self, stream: Stream, array: bytes, text: bytes) -> list[JsonDict]:
        try:
            rows = _ROWS.decode(array)
            if len(rows) == text.count(b"\n") + 1:  # else two lines together were one row
                return rows
        except DECODE_ERRORS:
            pass
        return self._one_by_one(stream, split_lines(text))

    def _one_by_one(self, stream: Stream, lines: list[bytes]) -> list[JsonDict]:
        """Return the rows up to the first that is not one."""
        rows: list[JsonDict] = []
        try:
            for line in lines:
                row = stream.decode(line, rescued)
                if not isinstance(row, dict):
                    stream.refuse(row)
                rows.append(row)
        except CouchDBError as error:
            self._later = error
            if not rows:
                raise
        return rows

    def _good(self, stream: Stream, rows: list[JsonDict]) -> list[JsonDict]:
        """Return the rows up to a line that is not an event: the last one, or nonsense."""
        members = itemgetter(*self._followed.members)
        good = iter(rows)
        try:
            deque(map(members, good), maxlen=0)  # a loop would cost more than all else here
        except KeyError:
            at = len(rows) - length_hint(good) - 1
            self._end_with(stream, rows[at])
            return rows[:at]
        return rows

    def _end_with(self, stream: Stream, row: JsonDict) -> None:
        if "last_seq" in row:
            self._closing = row["last_seq"]
            self._later = TruncatedError(f"{self._followed.path}: the server ended the feed")
            return
        try:
            stream.refuse(row)
        except CouchDBError as error:
            self._later = error

    async def _rest(self, error: CouchDBError) -> None:
        seconds = self._followed.patience.wait(error)
        self.breaks += 1
        LOGGER.warning(
            "the feed %s broke: %s; it goes on in %.1f seconds after the sequence %s",
            *(self._followed.path, error, seconds, self.sequence),
        )
        if self._followed.at_break is not None:
            self._followed.at_break(error, seconds)
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._stopping.wait(), seconds)

    async def unless_stopped(self, work: Awaitable[T]) -> T | None:
        """Return what the work gives; None when it was stopped before."""
        task = asyncio.ensure_future(work)
        stopped = asyncio.ensure_future(self._stopping.wait())
        try:
            await asyncio.wait({task, stopped}, return_when=asyncio.FIRST_COMPLETED)
            return task.result() if task.done() else None
        finally:
            task.cancel()
            stopped.cancel()


async def updates(remote: Remote, path: str) -> AsyncGenerator[JsonDict, None]:
    """Yield the rows of a feed of all databases that ends by itself."""
    try:
        async with remote.stream("GET", path, repeat=Repeat.FREELY) as stream:
            while batch := await stream.batch(_ROWS, rescued):
                for row in batch:
                    yield row
    except NotFoundError as error:
        raise _without_updates(error) from None


def _last(rows: list[JsonDict]) -> Any:
    return next((row["seq"] for row in reversed(rows) if row["seq"] is not None), None)


def _without_updates(error: NotFoundError) -> NotFoundError:
    """Return an error that says of which database CouchDB speaks."""
    facts = Facts(error.method, error.path, error.status, error.error, error.reason)
    return NotFoundError(f"{error} (_global_changes, where updates are kept; create it)", facts)
