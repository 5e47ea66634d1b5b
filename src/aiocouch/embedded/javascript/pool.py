"""Worker processes on demand: few when little is asked, more when some of them hang."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING

import msgspec

from aiocouch.embedded.errors import CouchError
from aiocouch.embedded.javascript.process import WorkerLostError, WorkerProcess
from aiocouch.embedded.javascript.protocol import Mapping, Order, Reply

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

_GRACE = 0.3


class Limits(msgspec.Struct, frozen=True):
    """What one call may use: seconds of CPU, bytes of memory. `processes` run at most at once.

    `idle` processes stay alive when nobody needs them; others end after `linger` seconds.
    """

    seconds: float = 5.0
    memory: int = 128 * 1024 * 1024
    processes: int = 16
    idle: int = 2
    linger: float = 10.0


class Unit(msgspec.Struct, frozen=True):
    """A JavaScript context: its name, and the door and JSON text that prepare it."""

    name: str
    door: str
    text: str


class WorkerPool:
    """Gives each call a process of its own for as long as it takes.

    A process that runs out of time or memory is killed; nobody else notices.
    """

    def __init__(self, limits: Limits | None = None) -> None:
        self.limits = limits or Limits()
        self._slots: asyncio.Semaphore | None = None
        self._idle: list[WorkerProcess] = []
        self._busy: set[WorkerProcess] = set()
        self._trimming: asyncio.TimerHandle | None = None

    async def call(self, unit: Unit, door: str, text: str, mapping: Mapping | None = None) -> Reply:
        """Go through a door of a unit.

        Raise CouchError(500, "os_process_error") when the call takes too long or too much.
        """
        limits = self.limits
        seconds = limits.seconds + (mapping.budget / 1000 if mapping else 0)
        order = Order(unit.name, None, [], door, text, seconds, limits.memory, mapping)
        async with self._process(unit.name) as process:
            try:
                reply = await process.call(order, (unit.door, unit.text), seconds + _GRACE)
            except TimeoutError:
                raise timed_out() from None
            except WorkerLostError:
                raise CouchError(500, "os_process_error", "{exit_status,1}") from None
            if reply.broken is not None:
                raise timed_out() if reply.broken == "timed out" else out_of_memory()
            if reply.text.startswith('{"fatal":true'):
                process.kill()
            elif reply.text.startswith('{"fatal":'):
                process.forget(unit.name)
            return reply

    @contextlib.asynccontextmanager
    async def _process(self, unit: str) -> AsyncIterator[WorkerProcess]:
        if self._slots is None:
            self._slots = asyncio.Semaphore(self.limits.processes)
        async with self._slots:
            process = self._take(unit)
            try:
                if process.pid is None:
                    await process.start()
                yield process
            except BaseException:
                self._busy.discard(process)
                process.kill()
                raise
            self._give_back(process)

    def _take(self, unit: str) -> WorkerProcess:
        known = [process for process in self._idle if process.knows(unit)]
        process = known[-1] if known else self._idle[-1] if self._idle else WorkerProcess()
        if process in self._idle:
            self._idle.remove(process)
        self._busy.add(process)
        return process

    def _give_back(self, process: WorkerProcess) -> None:
        self._busy.discard(process)
        self._idle.append(process)
        if len(self._idle) > self.limits.idle and self._trimming is None:
            loop = asyncio.get_running_loop()
            self._trimming = loop.call_later(self.limits.linger, self._trim)

    def _trim(self) -> None:
        self._trimming = None
        surplus = len(self._idle) - self.limits.idle
        for process in self._idle[: max(surplus, 0)]:
            self._idle.remove(process)
            process.kill()

    def processes(self) -> list[int]:
        """Return the ids of the processes that run."""
        workers = [*self._idle, *self._busy]
        return [worker.pid for worker in workers if worker.pid is not None]

    def close(self) -> None:
        """End all processes; calls under way fail."""
        if self._trimming is not None:
            self._trimming.cancel()
            self._trimming = None
        for process in [*self._idle, *self._busy]:
            process.kill()
        self._idle.clear()
        self._busy.clear()


def timed_out() -> CouchError:
    """Return a 500: the function ran longer than the server lets it."""
    return CouchError(500, "os_process_error", "OS process timed out.")


def out_of_memory() -> CouchError:
    """Return a 500: the function took more memory than the server lets it."""
    return CouchError(500, "os_process_error", "{exit_status,1}")
