"""What goes out for a range that is read in slices."""

import asyncio
import json
import time
from abc import ABC, abstractmethod
from collections.abc import AsyncGenerator
from itertools import pairwise
from typing import Any

from aiocouch import Database
from aiocouch.document import Document
from tests.wire.canned import Answer, CannedServer, Request, doc_row, json_answer, row, rows_text

IDS = [f"d{number:04}" for number in range(50)]


class Server(ABC):
    """Has fifty documents of 200 kB: ten in a slice."""

    def __init__(self) -> None:
        self.bounds: list[tuple[str, str]] = []

    @abstractmethod
    async def ready(self, rows: int) -> None:
        """Wait as long as an answer of so many rows shall take."""

    def answer(self, request: Request) -> Answer:
        if request.path == "/db":
            return json_answer({"doc_count": 50, "sizes": {"external": 50 * 200_000}})
        if "include_docs" not in request.query:
            return Answer(body=rows_text([row(id) for id in IDS], 50))
        start = json.loads(request.query.get("startkey", '""'))
        end = json.loads(request.query.get("endkey", '"z"'))
        self.bounds.append((start, end))
        return Answer(pieces=self._pieces([doc_row(id) for id in IDS if start <= id < end]))

    async def _pieces(self, rows: list[dict[str, Any]]) -> AsyncGenerator[bytes, None]:
        await self.ready(len(rows))
        yield rows_text(rows, 50)


class TogetherServer(Server):
    """Answers a slice only when `together` of them are asked for."""

    def __init__(self, together: int) -> None:
        super().__init__()
        self._barrier = asyncio.Barrier(together)

    async def ready(self, rows: int) -> None:
        await self._barrier.wait()


class PacedServer(Server):
    """Answers as a CouchDB with cores to spare: so many rows a second in each request."""

    def __init__(self, seconds_a_row: float) -> None:
        super().__init__()
        self._seconds = seconds_a_row

    async def ready(self, rows: int) -> None:
        await asyncio.sleep(rows * self._seconds)  # the pace is what is tested


async def test_slices_are_asked_for_at_the_same_time(canned: CannedServer, base: Database) -> None:
    server = TogetherServer(together=3)
    canned.handler = server.answer
    async with asyncio.timeout(20):
        found = [doc.id async for doc in base.docs(streams=3)]
    assert found == IDS
    ends = ["", "d0009", "d0019", "d0029", "d0039", "d0049", "z"]
    assert sorted(server.bounds) == list(pairwise(ends))


async def test_in_any_order_all_come_once(canned: CannedServer, base: Database) -> None:
    server = TogetherServer(together=2)
    canned.handler = server.answer
    async with asyncio.timeout(20):
        found = [doc.id async for doc in base.docs(streams=2, ordered=False)]
    assert sorted(found) == IDS


async def _seconds(docs: AsyncGenerator[Document, None]) -> float:
    start = time.perf_counter()
    assert [doc.id async for doc in docs] == IDS
    return time.perf_counter() - start


async def test_what_each_request_is_given_slowly_comes_sooner_by_some_of_them(
    canned: CannedServer, base: Database
) -> None:
    canned.handler = PacedServer(seconds_a_row=0.02).answer
    one = await _seconds(base.docs())
    four = await _seconds(base.docs(streams=4))
    assert one > 1.5 * four, f"{one:.2f} s by one request, {four:.2f} s by four"
