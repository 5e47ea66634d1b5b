"""Feeds with filters in JavaScript: many that ask the same, and filters that take their time."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Any

import pytest

from aiocouch.embedded.feeds.changes import Leaf
from aiocouch.embedded.feeds.filters import ByDocument
from aiocouch.embedded.store.records import Entry
from tests.unit.embedded.server_client import ServerClient
from tests.unit.embedded.test_broadcast import listening

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable, Sequence
    from pathlib import Path

    from aiocouch.embedded.javascript.pool import Unit

WAIT = "feed=continuous&since=now&heartbeat=60000"
WASTE = "var end = Date.now() + 30; while (Date.now() < end) {}"
DESIGN = {
    "filters": {
        "rest": "function (doc, req) { return doc.n % 2 == (req.query.rest || 0) }",
        "last": "function (doc) { return doc._id == 'end' || doc.n < 0 }",
        "bad": "function (doc) { throw {broken: doc._id} }",
        "slow": f"function (doc) {{ {WASTE} return false }}",
    },
    "views": {
        "even": {"map": "function (doc) { if (doc.n % 2 == 0) emit(null) }"},
        "slow": {"map": f"function (doc) {{ {WASTE} }}"},
    },
}


@pytest.fixture(params=["memory", "folder"])
async def client(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[ServerClient]:
    async with ServerClient(tmp_path if request.param == "folder" else None) as client:
        await client("PUT", "/db")
        await client("PUT", "/db/_design/d", DESIGN)
        yield client


class Calls:
    """Counts how often the filters were asked."""

    def __init__(self, client: ServerClient, monkeypatch: pytest.MonkeyPatch) -> None:
        self.number = 0
        javascript = client.embedded.server.javascript
        ask = javascript.filter

        async def counted(
            design: Unit, name: str, documents: Iterable[bytes], request: bytes
        ) -> list[bool]:
            self.number += 1
            return await ask(design, name, documents, request)

        monkeypatch.setattr(javascript, "filter", counted)


async def write(client: ServerClient, count: int) -> None:
    for number in range(count):
        assert (await client("PUT", f"/db/d{number}", {"n": number})).status == 201
    await client("POST", "/db/_bulk_docs", {"docs": [{"_id": f"end{n}", "n": n} for n in (0, 1)]})


async def test_those_who_ask_the_same_share_the_answer(
    client: ServerClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with contextlib.AsyncExitStack() as stack:
        readers: list[list[asyncio.Task[list[Any]]]] = [[], []]
        for number in range(40):
            rest = number % 2
            query = f"{WAIT}&filter=d/rest&rest={rest}"
            listener = await stack.enter_async_context(listening(client, query))
            readers[rest].append(asyncio.create_task(listener.rows(f"end{rest}")))
        calls = Calls(client, monkeypatch)
        await write(client, 20)
        for rest in (0, 1):
            wanted = [f"d{number}" for number in range(20) if number % 2 == rest] + [f"end{rest}"]
            for rows in await asyncio.gather(*readers[rest]):
                assert [row["id"] for row in rows] == wanted
    # two questions for each of 21 commits
    assert 2 <= calls.number <= 42


@pytest.mark.parametrize(
    "query",
    ["filter=d/rest&include_docs=true", "filter=_view&view=d/even", "filter=d/rest&limit=1000"],
)
async def test_every_kind_gets_what_passes(client: ServerClient, query: str) -> None:
    async with (
        listening(client, f"{WAIT}&{query}") as one,
        listening(client, f"{WAIT}&{query}") as other,
        listening(client, WAIT) as plain,
    ):
        readers = [asyncio.create_task(each.rows("end0")) for each in (one, other)]
        everything = asyncio.create_task(plain.rows("end1"))
        await write(client, 10)
        for rows in await asyncio.gather(*readers):
            assert [row["id"] for row in rows] == ["d0", "d2", "d4", "d6", "d8", "end0"]
            assert all(("doc" in row) == ("include_docs" in query) for row in rows)
        assert len(await everything) == 12


async def test_many_changes_at_once_are_filtered_part_by_part(client: ServerClient) -> None:
    async with listening(client, f"{WAIT}&filter=d/last") as listener:
        docs = [{"_id": f"x{number:03}", "n": number} for number in range(700)]
        await client("POST", "/db/_bulk_docs", {"docs": [*docs, {"_id": "end"}]})
        assert [row["id"] for row in await listener.rows("end")] == ["end"]
        await client("PUT", "/db/later", {"n": -1})
        assert (await listener.row())["id"] == "later"


async def test_a_filter_that_throws_ends_its_feeds_and_no_other(client: ServerClient) -> None:
    async with listening(client, WAIT) as plain:
        async with (
            listening(client, f"{WAIT}&filter=d/bad") as one,
            listening(client, f"{WAIT}&filter=d/bad") as other,
        ):
            await client("PUT", "/db/a", {})
            for listener in (one, other):
                with pytest.raises((AssertionError, ConnectionError)):
                    await listener.row()
        await client("PUT", "/db/b", {})
        assert [row["id"] for row in await plain.rows("b")] == ["a", "b"]


@pytest.mark.parametrize("kind", ["continuous", "longpoll"])
@pytest.mark.parametrize("query", ["filter=d/slow", "filter=_view&view=d/slow"])
async def test_a_feed_whose_filter_works_long_shows_signs_of_life(
    client: ServerClient, kind: str, query: str
) -> None:
    quick = {"views": {"v": {"map": "function (doc) { emit(doc.n) }"}}}
    docs = [{"_id": f"x{number:04}", "n": number} for number in range(3000)]
    await client("POST", "/db/_bulk_docs", {"docs": [{"_id": "_design/q", **quick}, *docs]})
    # the feed alone would take a minute and a half
    async with (
        asyncio.timeout(60),
        listening(client, f"feed={kind}&heartbeat=200&{query}") as listener,
    ):
        for _ in range(5):
            await listener.beat()
        # nobody else waits for it
        rows = (await client("GET", "/db/_design/q/_view/v")).json["rows"]
        assert len(rows) == 3000
        assert (await client("GET", "/db/_changes?filter=d/last")).json["results"] == []
        await listener.beat()


async def test_a_filter_is_asked_for_as_many_as_it_answers_in_a_moment() -> None:
    sizes: list[int] = []
    now = 0.0

    async def ask(documents: Sequence[bytes]) -> list[bool]:
        nonlocal now
        now += 0.4 if not sizes else 0.0
        sizes.append(len(documents))
        return [True] * len(documents)

    chosen = ByDocument(ask, lambda leaf: leaf.rev.encode(), "key", lambda: now)
    entry = Entry(1, "a", "1-a", 0, b"{}", None, None)
    leaves = [Leaf("1-a", None, entry)] * 3000
    assert await chosen.keep(leaves) == [True] * 3000
    assert sizes[:5] == [20, 10, 40, 160, 500]
    assert max(sizes) == 500
    assert sum(sizes) == 3000
