"""A stream cut into portions that are under way at the same time.

One task reads the stream and gathers items. A portion goes out when it is full, when the stream has
ended, or when its first item has waited long enough, and only if one of the places of the window is
free. A place is free again when the outcomes of its portion have been handed out, so that a loop which
takes its time holds the stream back.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterable, Awaitable, Callable, Iterable, Iterator
from contextlib import aclosing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from aiocouch.exception import CouchDBError
from aiocouch.writing.outcome import WriteOutcome

if TYPE_CHECKING:
    from aiocouch.writing.items import Given, Item
    from aiocouch.writing.outcome import State

__all__ = ["Flow", "Limits", "Portion"]


@dataclass(frozen=True)
class Limits:
    """How large a portion may be, how many are under way, and how long an item waits for others."""

    window: int
    batch_size: int
    batch_bytes: int
    delay: float
    ordered: bool


class Portion:
    """Items that go out together. `outcomes` are in their places, None where it is not known yet."""

    __slots__ = ("error", "is_done", "items", "outcomes", "size", "task")

    def __init__(self) -> None:
        self.items: list[Item] = []
        self.outcomes: list[WriteOutcome | None] = []
        self.size = 0
        self.task: asyncio.Task[None] | None = None
        self.is_done = False
        self.error: Exception | None = None

    def add(self, item: Item) -> None:
        """Add an item."""
        self.items.append(item)
        self.outcomes.append(None)
        self.size += len(item.text or b"")

    def left(self) -> Iterator[WriteOutcome]:
        """Yield what has not been handed out, with what is known about it."""
        sent = self.task is not None
        refused = self.error is not None and not _is_unclear(self.error)
        for item, outcome in zip(self.items, self.outcomes, strict=True):
            if outcome is not None:
                yield outcome
            elif item is not _HANDED_OUT:
                state: State = "unknown" if sent and not refused else "unsent"
                yield WriteOutcome(item.doc, item.id, state)

    def hand_out(self) -> Iterator[WriteOutcome]:
        """Yield the outcomes that are known, each forgotten here before the loop has it."""
        for at, outcome in enumerate(self.outcomes):
            if outcome is not None:
                self.outcomes[at], self.items[at] = None, _HANDED_OUT
                yield outcome


_HANDED_OUT: Any = object()


def _is_unclear(error: Exception) -> bool:
    """Return whether the server may have done what it was asked for. 412 comes when some is done already."""
    if not isinstance(error, CouchDBError):
        return False  # of a function for conflicts
    refused = error.status is not None and 400 <= error.status < 500 and error.status != 412
    return not refused


class Flow:
    """Reads a stream and has its portions carried out. Errors end it, after what is under way."""

    def __init__(
        self,
        source: AsyncIterable[Given | Item] | Iterable[Given | Item],
        prepare: Callable[[Given | Item], Item],
        carry_out: Callable[[Portion], Awaitable[None]],
        limits: Limits,
    ) -> None:
        self._source = source
        self._prepare = prepare
        self._carry_out = carry_out
        self._limits = limits
        self._free = limits.window
        self._gathered = Portion()
        self._held: Item | None = None  # waits until another edit of its document is done
        self._portions: deque[Portion] = deque()
        self._lost: list[WriteOutcome] = []
        self._busy: set[str] = set()
        self._timer: asyncio.TimerHandle | None = None
        self._overdue = False
        self._ended = False
        self._error: Exception | None = None
        self._pump: asyncio.Task[None] | None = None
        self._news = asyncio.Event()  # for the loop: something is done
        self._room = asyncio.Event()  # for the pump: a place is free, or an id

    async def outcomes(self) -> AsyncGenerator[WriteOutcome, None]:
        """Yield what became of each document. Raise, at the end, what has ended the stream."""
        self._pump = asyncio.get_running_loop().create_task(self._read())
        try:
            while (portion := await self._next()) is not None:
                for outcome in portion.hand_out():
                    yield outcome
                self._leave(portion)
            if self._error is not None:
                raise self._error
        finally:
            await self._stop()

    @property
    def left(self) -> list[WriteOutcome]:
        """What became of the documents that were read and that the loop has not seen."""
        held = Portion()
        if self._held is not None:
            held.add(self._held)
        waiting = [*self._portions, self._gathered, held]
        return [*self._lost, *(outcome for portion in waiting for outcome in portion.left())]

    # -- the reader -------------------------------------------------------------------------------

    async def _read(self) -> None:
        """Read the stream to its end or to an error, and send what came before it."""
        try:
            try:
                await self._gather()
            except Exception as error:  # noqa: BLE001 - whatever it is, the loop gets it
                self._fail(error)
            if self._gathered.items:
                await self._send()
        finally:
            self._cancel_timer()
            self._ended = True
            self._news.set()

    async def _gather(self) -> None:
        if isinstance(self._source, AsyncGenerator):
            async with aclosing(self._source) as source:
                async for doc in source:
                    await self._take(doc)
        elif isinstance(self._source, AsyncIterable):
            async for doc in self._source:
                await self._take(doc)
        else:
            for doc in self._source:
                await self._take(doc)

    async def _take(self, doc: Given | Item) -> None:
        item = self._prepare(doc)
        if item.id in self._busy:
            await self._wait_for(item)
        gathered, limits = self._gathered, self._limits
        if gathered.items and gathered.size + len(item.text or b"") > limits.batch_bytes:
            self._held = item
            await self._send()
            self._held = None
            gathered = self._gathered
        gathered.add(item)
        self._busy.add(item.id)
        if len(gathered.items) >= limits.batch_size:
            await self._send()
        elif self._timer is None:
            loop = asyncio.get_running_loop()
            self._timer = loop.call_later(limits.delay, self._time_is_up)

    async def _wait_for(self, item: Item) -> None:
        """Wait until an edit of the same document is done, so that the two keep their order."""
        self._held = item
        if self._gathered.items:
            await self._send()
        while item.id in self._busy:
            self._room.clear()
            await self._room.wait()
        self._held = None

    async def _send(self) -> None:
        """Send what is gathered, as soon as there is a place for it."""
        while self._free == 0 and self._gathered.items:
            self._room.clear()
            await self._room.wait()
        self._start()
        await asyncio.sleep(0)  # a plain stream gives no other turn to those who are waiting

    def _time_is_up(self) -> None:
        self._timer = None
        self._overdue = True
        self._start_overdue()

    def _start_overdue(self) -> None:
        if self._overdue and self._free and self._gathered.items:
            self._start()

    def _cancel_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    # -- the portions -----------------------------------------------------------------------------

    def _start(self) -> None:
        portion, self._gathered = self._gathered, Portion()
        self._cancel_timer()
        self._overdue = False
        if not portion.items:  # the timer was faster
            return
        self._free -= 1
        self._portions.append(portion)
        portion.task = asyncio.get_running_loop().create_task(self._run(portion))

    async def _run(self, portion: Portion) -> None:
        try:
            await self._carry_out(portion)
        except Exception as error:  # noqa: BLE001 - whatever it is, the loop gets it
            portion.error = error
            self._fail(error)
            if self._pump is not None:
                self._pump.cancel()
        finally:
            portion.is_done = True
            self._busy.difference_update(item.id for item in portion.items)
            self._news.set()
            self._room.set()

    def _fail(self, error: Exception) -> None:
        if self._error is None:
            self._error = error

    async def _next(self) -> Portion | None:
        """Return the next portion that is done, None at the end."""
        while True:
            for portion in self._portions:
                if portion.is_done:
                    return portion
                if self._limits.ordered:
                    break
            if self._ended and not self._portions:
                return None
            self._news.clear()
            await self._news.wait()

    def _leave(self, portion: Portion) -> None:
        self._lost.extend(portion.left())
        self._portions.remove(portion)
        self._free += 1
        self._room.set()
        self._start_overdue()

    async def _stop(self) -> None:
        """End all tasks. Nothing is sent afterwards."""
        self._cancel_timer()
        tasks = [portion.task for portion in self._portions if portion.task is not None]
        tasks += [self._pump] if self._pump is not None else []
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
