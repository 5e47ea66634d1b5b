"""Documents that exist throughout are in every answer, though they are written all the while."""

from __future__ import annotations

import asyncio
import itertools
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import pytest

from tests.unit.embedded.server_client import ServerClient

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable
    from pathlib import Path

DOCUMENTS = 240
"""More than the first chunk that is read."""

BUSY = 6
READS = 25
LONGEST = 1.0
"""Seconds after which no further read begins."""

IDS = [f"d{number:03}" for number in range(DOCUMENTS)]
SCRIPTS = {
    "_id": "_design/d",
    "filters": {"all": "function (doc) { return doc._id[0] === 'd'; }"},
    "views": {"all": {"map": "function (doc) { emit(doc.n, null); }", "reduce": "_count"}},
}


@pytest.fixture(params=["memory", "folder"])
async def client(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[ServerClient]:
    path = tmp_path / "data" if request.param == "folder" else None
    async with ServerClient(path) as client:
        await client("PUT", "/db")
        docs = [{"_id": name, "n": number} for number, name in enumerate(IDS)]
        await client("POST", "/db/_bulk_docs", {"docs": [SCRIPTS, *docs]})
        yield client


async def write_on(client: ServerClient, name: str) -> None:
    """Write a document again and again, under another number each time."""
    rev = (await client("GET", f"/db/{name}")).json["_rev"]
    for number in itertools.count():
        answer = await client("PUT", f"/db/{name}", {"_rev": rev, "n": number * 37 % DOCUMENTS})
        assert answer.status == 201, answer.body
        rev = answer.json["rev"]


async def missing_while_written(
    client: ServerClient, read: Callable[[], Awaitable[list[str]]]
) -> list[set[str]]:
    """What reads lacked while documents were written without a pause."""
    step = DOCUMENTS // BUSY
    writers = [asyncio.create_task(write_on(client, name)) for name in IDS[::step]]
    lacking = []
    loop = asyncio.get_running_loop()
    end = loop.time() + LONGEST
    try:
        for _ in range(READS):
            lacking.append(set(IDS) - set(await read()))
            if loop.time() > end:
                break
    finally:
        for writer in writers:
            writer.cancel()
        ended = await asyncio.gather(*writers, return_exceptions=True)
    assert {type(error) for error in ended} == {asyncio.CancelledError}
    return [some for some in lacking if some]


def changes(
    client: ServerClient, query: str, body: Any = None
) -> Callable[[], Awaitable[list[str]]]:
    async def read() -> list[str]:
        method = "GET" if body is None else "POST"
        answer = (await client(method, f"/db/_changes?{query}", body)).json
        assert "_doc_ids" in query or answer["pending"] == 0
        return [row["id"] for row in answer["results"]]

    return read


@pytest.mark.parametrize(
    "query",
    [
        "",
        "style=all_docs",
        "descending=true",
        "include_docs=true",
        "limit=100000",
        "feed=longpoll",
        "seq_interval=7",
        "filter=d/all",
        "filter=_view&view=d/all",
    ],
)
async def test_a_feed_lacks_nothing(client: ServerClient, query: str) -> None:
    assert await missing_while_written(client, changes(client, query)) == []


@pytest.mark.parametrize(
    ("query", "body"),
    [
        ("filter=_doc_ids", {"doc_ids": IDS}),
        ("filter=_doc_ids&descending=true", {"doc_ids": IDS}),
        ("filter=_selector", {"selector": {"n": {"$gte": 0}}}),
    ],
)
async def test_a_feed_that_is_posted_lacks_nothing(
    client: ServerClient, query: str, body: dict[str, Any]
) -> None:
    assert await missing_while_written(client, changes(client, query, body)) == []


async def test_a_feed_read_in_pages_lacks_nothing(client: ServerClient) -> None:
    async def read() -> list[str]:
        since, found = "0", []
        while True:
            query = f"limit=110&since={quote(since)}"
            answer = (await client("GET", f"/db/_changes?{query}")).json
            found += [row["id"] for row in answer["results"]]
            since = answer["last_seq"]
            if not answer["pending"]:
                return found

    assert await missing_while_written(client, read) == []


async def test_a_view_that_is_built_meanwhile_lacks_nothing(client: ServerClient) -> None:
    numbers = itertools.count()

    async def read() -> list[str]:
        name = f"v{next(numbers)}"
        script = f"function (doc) {{ if (doc.n >= 0) emit(doc._id, '{name}'); }}"
        await client("PUT", f"/db/_design/{name}", {"views": {"v": {"map": script}}})
        answer = (await client("GET", f"/db/_design/{name}/_view/v")).json
        return [row["id"] for row in answer["rows"]]

    assert await missing_while_written(client, read) == []


async def test_a_mango_index_that_is_built_meanwhile_lacks_nothing(client: ServerClient) -> None:
    numbers = itertools.count()

    async def read() -> list[str]:
        name = f"m{next(numbers)}"
        index = {"index": {"fields": ["n"]}, "name": name, "ddoc": name}
        await client("POST", "/db/_index", index)
        query = {"selector": {"n": {"$gte": 0}}, "use_index": name, "limit": 1000}
        answer = (await client("POST", "/db/_find", query)).json
        return [doc["_id"] for doc in answer["docs"]]

    assert await missing_while_written(client, read) == []


@pytest.mark.parametrize(
    "path", ["_all_docs?include_docs=true", "_design/d/_view/all?reduce=false"]
)
async def test_rows_that_are_read_meanwhile_lack_nothing(client: ServerClient, path: str) -> None:
    async def read() -> list[str]:
        return [row["id"] for row in (await client("GET", f"/db/{path}")).json["rows"]]

    assert await missing_while_written(client, read) == []


async def test_a_replication_brings_everything(client: ServerClient) -> None:
    numbers = itertools.count()

    async def read() -> list[str]:
        target = f"copy{next(numbers)}"
        wish = {"source": "db", "target": target, "create_target": True}
        answer = await client("POST", "/_replicate", wish)
        assert answer.json["ok"], answer.body
        rows = (await client("GET", f"/{target}/_all_docs")).json["rows"]
        return [row["id"] for row in rows]

    assert await missing_while_written(client, read) == []
