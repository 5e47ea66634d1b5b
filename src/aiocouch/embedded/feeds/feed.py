"""Feeds: how rows are framed for each kind, and how a feed waits without costing anything.

Shared by `_changes` and `_db_updates`. Nothing here knows HTTP; a feed is written through a
function that takes bytes.
"""

from __future__ import annotations

import asyncio
import contextlib
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING

import msgspec

from aiocouch.embedded.codec import encode
from aiocouch.embedded.errors import bad_request

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

NORMAL = "normal"
LONGPOLL = "longpoll"
CONTINUOUS = "continuous"
EVENTSOURCE = "eventsource"
KINDS = frozenset({NORMAL, LONGPOLL, CONTINUOUS, EVENTSOURCE})

DEFAULT_TIMEOUT = 60.0
"""Seconds that a feed waits for news unless told otherwise, and the most it can be told."""


class Patience(msgspec.Struct, frozen=True):
    """How long a feed waits: it ends after `seconds`, or beats every `seconds` when `beats`."""

    seconds: float = DEFAULT_TIMEOUT
    beats: bool = False


def read_patience(timeout: str | None, heartbeat: str | None, longest: float) -> Patience:
    """Read the options `timeout` and `heartbeat` (milliseconds, or `true`).

    `longest` is the configured limit in seconds. A heartbeat that is not a positive number is a 400;
    a bad timeout raises ValueError.
    """
    if heartbeat is not None and heartbeat != "true":
        return Patience(min(longest, _heartbeat(heartbeat)), beats=True)
    if heartbeat == "true":
        return Patience(longest, beats=True)
    if timeout is None or timeout == "infinity":
        return Patience(longest)
    return Patience(min(longest, max(int(timeout), 0) / 1000))


def _heartbeat(text: str) -> float:
    try:
        milliseconds = int(text)
    except ValueError:
        raise bad_request(
            "Invalid heartbeat value. Expecting a positive integer value (in milliseconds)."
        ) from None
    if milliseconds <= 0:
        raise bad_request("The heartbeat value should be a positive integer (in milliseconds).")
    return milliseconds / 1000


class Framing(ABC):
    """Turns rows (JSON objects as text) into the bytes of one kind of feed."""

    content_type = "application/json"
    cache_control = "must-revalidate"
    head = b""
    beat = b"\n"
    idle = b""
    """What a feed sends that has to wait for its very first row."""

    @abstractmethod
    def row(self, text: bytes, seq: bytes) -> bytes:
        """Return the bytes of one row; `seq` is its sequence as JSON text."""

    @abstractmethod
    def tail(self, facts: Mapping[str, object]) -> bytes:
        """Return the bytes that end the feed; `facts` are `last_seq` and the like."""


class ListFraming(Framing):
    """One JSON object with the rows in it: the normal and the longpoll feed."""

    head = b'{"results":[\n'
    idle = b"\n"

    def __init__(self) -> None:
        self._lead = b""

    def row(self, text: bytes, seq: bytes) -> bytes:
        del seq
        lead, self._lead = self._lead, b",\r\n"
        return lead + text

    def tail(self, facts: Mapping[str, object]) -> bytes:
        return b"\n],\n" + encode(facts)[1:] + b"\n\n"


class LineFraming(Framing):
    """One row a line: the continuous feed."""

    def row(self, text: bytes, seq: bytes) -> bytes:
        del seq
        return text + b"\n"

    def tail(self, facts: Mapping[str, object]) -> bytes:
        return encode(facts) + b"\n\n"


class EventFraming(Framing):
    """Server-sent events; a row's sequence is its id."""

    content_type = "text/event-stream"
    cache_control = "no-cache"
    beat = b"event: heartbeat\ndata: \n\n"
    idle = b"\n"

    def row(self, text: bytes, seq: bytes) -> bytes:
        return b"data: %b\nid: %b\n\n" % (text, seq)

    def tail(self, facts: Mapping[str, object]) -> bytes:
        del facts
        return b""


def framing(kind: str) -> Framing:
    """Return a fresh framing for a kind of feed."""
    if kind == CONTINUOUS:
        return LineFraming()
    return EventFraming() if kind == EVENTSOURCE else ListFraming()


class Waiting:
    """The feeds of a server that wait, so that they can be ended when the server stops."""

    def __init__(self) -> None:
        self.stopped = False
        self._timeouts: set[asyncio.Timeout] = set()

    async def for_news(
        self,
        news: Callable[[], Awaitable[bool]],
        patience: Patience,
        beat: Callable[[], Awaitable[None]],
        latest: Callable[[], float] = lambda: 0.0,
    ) -> bool:
        """Wait until `news()` returns; call `beat()` whenever a beating feed has waited enough.

        Return what `news` gave; False when a feed without heartbeats has waited long enough, or
        the server stops. A timer and a future are all that a waiting feed costs. `latest` tells
        the time of news, by the clock of the loop, that came while `news` did not return.
        """
        seconds = patience.seconds
        while not self.stopped:
            # whatever there is always more of, others are served in between
            await asyncio.sleep(0)
            with contextlib.suppress(TimeoutError):
                return await self._once(news, seconds)
            if self.stopped:
                return False
            if patience.beats:
                await beat()
                continue
            seconds = latest() + patience.seconds - asyncio.get_running_loop().time()
            if seconds <= 0:
                return False
        return False

    async def _once(self, news: Callable[[], Awaitable[bool]], seconds: float) -> bool:
        # a feed that comes after the stop does not even begin to wait
        async with asyncio.timeout(0 if self.stopped else seconds) as timeout:
            self._timeouts.add(timeout)
            try:
                return await news()
            finally:
                self._timeouts.discard(timeout)

    def stop(self) -> None:
        """End all feeds that wait, and let none wait any more."""
        self.stopped = True
        now = asyncio.get_running_loop().time()
        for timeout in self._timeouts:
            timeout.reschedule(now)
