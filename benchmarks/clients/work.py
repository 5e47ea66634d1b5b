"""What all client programs share: the job, the documents, the meter and the check of the result.

It is run by the Python of each peer's own environment, next to nothing but the peer, so that it needs
the standard library only and is imported as `work`, from its folder.
"""

from __future__ import annotations

import asyncio
import gc
import inspect
import json
import resource
import sys
import time
from collections.abc import Awaitable, Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

BATCH = 1_000  # documents in one request of `bulk`
PAGE = 1_000  # documents in one answer of `find` where the program pages by hand
AT_A_TIME = 32  # requests in flight in `get32`
_STATUS = Path("/proc/self/status")


@dataclass(frozen=True)
class Job:
    """One piece of work: what to do, on which server, with how many documents."""

    work: str
    url: str
    user: str
    password: str
    database: str
    count: int
    """How many documents the work is about."""
    stored: int = 0
    """How many documents the database has."""
    more: dict[str, Any] = field(default_factory=dict)
    """What else the work wants to know."""

    @property
    def auth_url(self) -> str:
        """The URL with the credentials in it."""
        scheme, rest = self.url.split("://", 1)
        return f"{scheme}://{self.user}:{self.password}@{rest}"

    def ids(self) -> list[str]:
        """Ids from all over the database, as many as the work is about; always the same ones."""
        return [document_id(number) for number in self.numbers()]

    def numbers(self) -> list[int]:
        """The numbers of these documents."""
        return [(index * 7919) % self.stored for index in range(self.count)]


class Tally:
    """Counts what has come, so that nobody is fast because of work that was left out."""

    def __init__(self) -> None:
        self.count = 0
        self.total = 0

    def documents(self, documents: Iterable[Any]) -> None:
        """Add documents by a member, which a lazy client must decode them for."""
        for document in documents:
            self.count += 1
            self.total += document["serial"]

    def ids(self, ids: Iterable[str]) -> None:
        """Add ids, without those of design documents."""
        for id in ids:
            if id[0] == "d":
                self.count += 1
                self.total += int(id[1:])


def document_id(number: int) -> str:
    """The id of the n-th document."""
    return f"d{number:07d}"


def document(number: int) -> dict[str, Any]:
    """The n-th document: about 610 bytes once CouchDB sends it, two in five of them cities."""
    return {
        "_id": document_id(number),
        "type": "city" if number % 5 < 2 else "town",
        "serial": number,
        "name": f"Place {number}",
        "position": {"latitude": number % 180 - 89.75, "longitude": number % 360 - 179.25},
        "population": {
            "total": number * 37 % 1_000_003,
            "year": 2026,
            "estimated": number % 2 == 0,
        },
        "tags": ["river", "harbour", f"zone-{number % 97}", "museum"],
        "monthly": [round((number * month) % 311 / 10 + 0.05, 2) for month in range(1, 13)],
        "mayor": {
            "name": f"Person {number % 1009}",
            "since": "2024-05-17T08:30:00Z",
            "party": None,
        },
        "text": (f"Place {number} lies by the water and is known for its market. " * 3)[:120],
    }


def documents(count: int, start: int = 0) -> Iterator[dict[str, Any]]:
    """The first documents, or those from `start` on."""
    return map(document, range(start, start + count))


def batches(count: int) -> list[list[dict[str, Any]]]:
    """The first documents, as many as go into one request of `bulk` together."""
    return [list(documents(min(BATCH, count - start), start)) for start in range(0, count, BATCH)]


def made(count: int) -> Iterator[list[dict[str, Any]]]:
    """The same, but made while they are asked for: what a program does that loads something."""
    for start in range(0, count, BATCH):
        yield list(documents(min(BATCH, count - start), start))


Work = Callable[[Any, Job, Any], "Tally | Awaitable[Tally]"]
"""A piece of work: it is given the client, the job, and the documents to write."""


@dataclass(frozen=True)
class Program:
    """A client: how it is opened and closed, and what it can do."""

    open: Callable[[Job], Any]
    close: Callable[[Any], Any]
    works: dict[str, Work]


def run(program: Program) -> None:
    """Do the job of the command line, and print what it cost as JSON."""
    job = Job(**json.loads(sys.argv[1]))
    asyncio.run(_run(program, job))


async def _run(program: Program, job: Job) -> None:
    prepared = _prepared(job)
    work = program.works[job.work]
    client = await _settled(program.open(job))
    gc.collect()
    before, start = _cpu(), time.perf_counter()
    tally = await _settled(work(client, job, prepared))
    wall, cpu = time.perf_counter() - start, _cpu() - before
    await _settled(program.close(client))
    figures = {"cpu": cpu, "process": _cpu(), "wall": wall, "peak_kb": peak_kb()}
    print(json.dumps({**figures, "count": tally.count, "total": tally.total}))


def _prepared(job: Job) -> Any:
    """The documents to write; they are not part of what is measured."""
    if job.work in {"bulk", "bulk-docs"}:
        return batches(job.count)
    if job.work == "bulk-made":
        return made(job.count)
    return list(documents(job.count)) if job.work == "save" else None


async def _settled(value: Any) -> Any:
    return await value if inspect.isawaitable(value) else value


def _cpu() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def peak_kb() -> int:
    """The most memory that the process has had, in KiB.

    Not ru_maxrss where there is something better: it begins with the memory of the parent process.
    """
    if _STATUS.exists():
        for line in _STATUS.read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1])
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def in_parts(items: list[Any], parts: int = AT_A_TIME) -> list[list[Any]]:
    """The items dealt out to as many workers."""
    return [items[start::parts] for start in range(parts)]
