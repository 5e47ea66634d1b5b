"""A program: does a piece of work by hand and with aiocouch, in turn, and prints the CPU ratios."""

from __future__ import annotations

import asyncio
import gc
import json
import sys
import time
from collections.abc import Awaitable, Callable
from typing import Any

import aiohttp
import msgspec

from aiocouch import CouchDB, Database
from aiocouch.document import Document
from benchmarks.canned import BATCH, CITIES, DOCUMENTS, TOGETHER
from benchmarks.clients.work import document

SINGLE = 300
JSON = {"Content-Type": "application/json"}
Work = Callable[[], Awaitable[int]]
"""Returns how many documents, ids or events it has seen."""

IDS = [f"d{number % TOGETHER:07}" for number in range(SINGLE)]
DATA = [document(number) for number in range(BATCH)]


class ByHand:
    """The least that anyone would write: a body is read and decoded at once."""

    def __init__(self, session: aiohttp.ClientSession, url: str) -> None:
        self.session = session
        self.url = f"{url}/bench"

    async def _json(self, method: str, path: str, body: Any = None) -> Any:
        data = None if body is None else msgspec.json.encode(body)
        headers = None if body is None else JSON
        async with self.session.request(
            method, f"{self.url}/{path}", data=data, headers=headers
        ) as answer:
            answer.raise_for_status()
            return msgspec.json.decode(await answer.read())

    async def all(self) -> int:
        rows = (await self._json("GET", "_all_docs?include_docs=true"))["rows"]
        return sum(row["doc"]["serial"] >= 0 for row in rows)

    async def ids(self) -> int:
        return len([row["id"] for row in (await self._json("GET", "_all_docs"))["rows"]])

    async def changes(self) -> int:
        return len([row["id"] for row in (await self._json("GET", "_changes"))["results"]])

    async def find(self) -> int:
        query = {"selector": {"type": "city"}, "limit": 10_000}
        docs = (await self._json("POST", "_find", query))["docs"]
        return sum(doc["serial"] >= 0 for doc in docs)

    async def bulk(self) -> int:
        rows = await self._json("POST", "_bulk_docs", {"docs": DATA})
        return sum(row["ok"] for row in rows)

    bulk_docs = bulk

    async def get1(self) -> int:
        return sum([(await self._json("GET", id))["serial"] >= 0 for id in IDS])

    async def together(self) -> int:
        found = await asyncio.gather(*(self._json("GET", id) for id in IDS[:TOGETHER]))
        return sum(doc["serial"] >= 0 for doc in found)

    async def save(self) -> int:
        answers = [await self._json("PUT", id, data) for id, data in zip(IDS, DATA, strict=False)]
        return sum(answer["ok"] for answer in answers)


class Ours:
    """The same with aiocouch."""

    def __init__(self, couchdb: CouchDB) -> None:
        self.database = Database(couchdb, "bench")
        self.batched = self.database.batched()

    async def all(self) -> int:
        return sum([doc["serial"] >= 0 async for doc in self.database.docs()])

    async def ids(self) -> int:
        return len([id async for id in self.database.akeys()])

    async def changes(self) -> int:
        return len([event.id async for event in self.database.changes()])

    async def find(self) -> int:
        found = self.database.find({"type": "city"})
        return sum([doc["serial"] >= 0 async for doc in found])

    async def bulk(self) -> int:
        async with self.database.create_docs() as operation:
            for data in DATA:
                operation.create(data["_id"], data)
        return len(operation.ok or ())

    async def bulk_docs(self) -> int:
        return sum("error" not in row for row in await self.database.bulk_docs(DATA))

    async def get1(self) -> int:
        return sum([(await self.database[id])["serial"] >= 0 for id in IDS])

    async def together(self) -> int:
        found = await asyncio.gather(*(self.batched[id] for id in IDS[:TOGETHER]))
        return sum(doc["serial"] >= 0 for doc in found)

    async def save(self) -> int:
        for id, data in zip(IDS, DATA, strict=False):
            await Document(self.database, id, data).save()
        return len(IDS)


SIZES = {
    "all": DOCUMENTS,
    "ids": DOCUMENTS,
    "changes": DOCUMENTS,
    "find": CITIES,
    "bulk": BATCH,
    "bulk_docs": BATCH,
    "get1": SINGLE,
    "together": TOGETHER,
    "save": SINGLE,
}


async def cost(work: Work, size: int, times: int) -> float:
    """Seconds of CPU that the work takes so many times. Raises RuntimeError when it was not done."""
    gc.collect()
    start = time.process_time()
    for _ in range(times):
        if await work() != size:
            raise RuntimeError("the work was not done")
    return time.process_time() - start


async def measure(url: str, name: str, pairs: int, times: int) -> list[float]:
    """The ratios of some pairs, after one of each to warm up."""
    async with aiohttp.ClientSession() as session, CouchDB(url) as couchdb:
        by_hand: Work = getattr(ByHand(session, url), name)
        ours: Work = getattr(Ours(couchdb), name)
        for work in (by_hand, ours):
            await cost(work, SIZES[name], 1)
        ratios: list[float] = []
        for _ in range(pairs):
            base = await cost(by_hand, SIZES[name], times)
            ratios.append(await cost(ours, SIZES[name], times) / base)
        return ratios


def main() -> None:
    """Measure what the command line names."""
    url, name, pairs, times = sys.argv[1:]
    ratios = asyncio.run(measure(url, name, int(pairs), int(times)))
    sys.stdout.write(json.dumps(ratios))


if __name__ == "__main__":
    main()
