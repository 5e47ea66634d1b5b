"""`python -m benchmarks.typed`: the CPU of reading documents as values of a model.

All read the same canned answers, in turn and in one process; the ratios are of pairs. A Struct is held
against `docs()` whose content is looked at; a pydantic model against its own `model_validate_json` of the
same texts, once without what it takes to read them from the socket, and once with it.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import json
import statistics
import time
from typing import TYPE_CHECKING, Any

import msgspec
import pydantic

from aiocouch import CouchDB, Database
from benchmarks.canned import DOCUMENTS, serving, stored

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from aiocouch.models import Collection

    Work = Callable[[], Awaitable[int]]


class Population(msgspec.Struct):
    """A part of a `Place`."""

    total: int
    year: int
    estimated: bool


class Mayor(msgspec.Struct):
    """A part of a `Place`."""

    name: str
    since: str
    party: str | None


class Place(msgspec.Struct):
    """A document of the benchmarks, with all its members."""

    type: str
    serial: int
    name: str
    position: dict[str, float]
    population: Population
    tags: list[str]
    monthly: list[float]
    mayor: Mayor
    text: str


class Spot(msgspec.Struct):
    """What many programs want of it: a part of its members."""

    serial: int
    name: str
    type: str
    tags: list[str]
    population: Population


class CheckedPopulation(pydantic.BaseModel):
    """A part of a `CheckedPlace`."""

    total: int
    year: int
    estimated: bool


class CheckedMayor(pydantic.BaseModel):
    """A part of a `CheckedPlace`."""

    name: str
    since: str
    party: str | None


class CheckedPlace(pydantic.BaseModel):
    """The same by pydantic."""

    type: str
    serial: int
    name: str
    position: dict[str, float]
    population: CheckedPopulation
    tags: list[str]
    monthly: list[float]
    mayor: CheckedMayor
    text: str


TEXTS = [json.dumps(stored(n), separators=(",", ":")).encode() for n in range(DOCUMENTS)]


class Works:
    """What is measured. Each returns how many documents it has seen."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._places = database.collection(Place)
        self._spots = database.collection(Spot)
        self._checked = database.collection(CheckedPlace)

    async def docs(self) -> int:
        """Look into documents."""
        return sum([doc["serial"] >= 0 async for doc in self._database.docs()])

    async def structs(self) -> int:
        """Read Structs with all members."""
        return await _seen(self._places)

    async def parts(self) -> int:
        """Read Structs with half of the members."""
        return await _seen(self._spots)

    async def validated(self) -> int:
        """Let pydantic decode the texts of the documents."""
        validate = CheckedPlace.model_validate_json
        return sum(validate(text).serial >= 0 for text in TEXTS)

    async def models(self) -> int:
        """Read models of pydantic."""
        return await _seen(self._checked)

    async def unread(self) -> int:
        """Read documents that nobody looks at: what the socket costs."""
        return len([doc async for doc in self._checked.all()])


async def _seen(places: Collection[Any]) -> int:
    return sum([place.value.serial >= 0 async for place in places.all()])


async def cost(work: Work, times: int) -> float:
    """Seconds of CPU of this process for so many times."""
    gc.collect()
    start = time.process_time()
    for _ in range(times):
        if await work() != DOCUMENTS:
            raise RuntimeError("not all documents came")
    return time.process_time() - start


async def measure(url: str, count: int, pairs: int) -> None:
    """Measure, and print the medians of the ratios."""
    async with CouchDB(url) as couchdb:
        works = Works(Database(couchdb, "bench"))
        ours = (works.docs, works.structs, works.parts)
        several = (*ours, works.validated, works.models, works.unread)
        for work in several:
            await cost(work, 1)
        rounds = [[await cost(work, count // DOCUMENTS) for work in several] for _ in range(pairs)]
    structs = [structs / docs for docs, structs, *_ in rounds]
    parts = [parts / docs for docs, _, parts, *_ in rounds]
    models = [(models - unread) / validated for *_, validated, models, unread in rounds]
    whole = [models / validated for *_, validated, models, _ in rounds]
    print(f"{count} documents, {pairs} pairs")
    print(f"structs / docs() looked at: {statistics.median(structs):.3f}")
    print(f"the same with half of the members: {statistics.median(parts):.3f}")
    print(f"values of pydantic / model_validate_json: {statistics.median(models):.3f}")
    print(f"the same with reading the rows: {statistics.median(whole):.3f}")


def main() -> None:
    """Measure what the command line says."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.typed", description=__doc__)
    parser.add_argument("--count", type=int, default=50_000)
    parser.add_argument("--pairs", type=int, default=7)
    given = parser.parse_args()
    with serving() as url:
        asyncio.run(measure(url, given.count, given.pairs))


if __name__ == "__main__":
    main()
