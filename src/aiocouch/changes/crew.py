"""Workers that share the events of a follower, with the order kept for each document."""

from __future__ import annotations

import asyncio
import inspect
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import TYPE_CHECKING, Any, Generic, Literal, Protocol, TypeAlias, TypeVar

from aiocouch.changes.patience import RESTARTS
from aiocouch.exception import CouchDBError, InvalidInputError

if TYPE_CHECKING:
    from aiocouch._transport.policy import RetryPolicy

__all__ = ["Crew", "Handler", "OnError", "Verdict"]

LOGGER = logging.getLogger("aiocouch")


class Acknowledged(Protocol):
    """What all events of followers have."""

    @property
    def id(self) -> str:
        """Of which document, or database."""
        ...

    def ack(self) -> None:
        """Note that it is handled."""
        ...


E = TypeVar("E", bound=Acknowledged)

Verdict: TypeAlias = Literal["stop", "skip", "retry"]
Handler: TypeAlias = Callable[[E], Awaitable[object] | None]
OnError: TypeAlias = Verdict | Callable[[E, Exception, int], Verdict | Awaitable[Verdict]]

_VERDICTS = ("stop", "skip", "retry")
_AHEAD = 16  # events that wait for a worker


class Crew(Generic[E]):
    """Gives each event to the worker of its document. The first error that stops one is raised."""

    def __init__(
        self,
        handler: Handler[E],
        workers: int,
        on_error: OnError[E],
        policy: RetryPolicy = RESTARTS,
    ) -> None:
        if not isinstance(workers, int) or workers < 1:
            raise InvalidInputError(f"workers must be a number from 1 on, not {workers!r}")
        if not callable(on_error) and on_error not in _VERDICTS:
            raise InvalidInputError(f"on_error must be one of {_VERDICTS}, not {on_error!r}")
        self._handler = handler
        self._on_error = on_error
        self._policy = policy
        self._queues: list[asyncio.Queue[E | None]] = [
            asyncio.Queue(_AHEAD) for _ in range(workers)
        ]

    async def run(self, events: AsyncIterator[E]) -> None:
        """Handle the events until there are no more. What was begun is ended before an error of theirs."""
        try:
            async with asyncio.TaskGroup() as group:
                for queue in self._queues:
                    group.create_task(self._work(queue))
                failure = await self._hand_out(events)
        except BaseExceptionGroup as errors:
            raise _first(errors) from None
        if failure is not None:
            raise failure

    async def _hand_out(self, events: AsyncIterator[E]) -> Exception | None:
        failure = None
        try:
            async for event in events:
                await self._queues[hash(event.id) % len(self._queues)].put(event)
        except Exception as error:  # noqa: BLE001 - it is raised when the workers are ready
            failure = error
        for queue in self._queues:
            await queue.put(None)
        return failure

    async def _work(self, queue: asyncio.Queue[E | None]) -> None:
        while (event := await queue.get()) is not None:
            await self._handle(event)
            event.ack()

    async def _handle(self, event: E) -> None:
        tries = 1
        while (verdict := await self._verdict(event, tries)) == "retry":
            seconds = self._policy.wait(tries, CouchDBError())
            await asyncio.sleep(self._policy.longest_wait if seconds is None else seconds)
            tries += 1
        if verdict == "skip":
            LOGGER.warning("the event of %r was skipped after %d tries", event.id, tries)

    async def _verdict(self, event: E, tries: int) -> Verdict | None:
        """Return what is to be done after one more try; None: it was handled."""
        try:
            done = self._handler(event)
            if inspect.isawaitable(done):
                await done
        except Exception as error:
            verdict = await self._judged(event, error, tries)
            if verdict == "stop":
                raise
            LOGGER.warning("the handler failed at %r (try %d): %r", event.id, tries, error)
            return verdict
        return None

    async def _judged(self, event: E, error: Exception, tries: int) -> Verdict:
        found: Any = self._on_error
        if callable(self._on_error):
            verdict = self._on_error(event, error, tries)
            found = await verdict if inspect.isawaitable(verdict) else verdict
        if found not in _VERDICTS:
            raise InvalidInputError(f"on_error must give one of {_VERDICTS}, not {found!r}")
        return found  # type: ignore[no-any-return]


def _first(errors: BaseExceptionGroup[Any]) -> BaseException:
    error: BaseException = errors
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error
