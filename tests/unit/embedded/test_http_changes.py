"""`_changes` on an embedded server: what the recordings of CouchDB do not reach."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import aiohttp
import msgspec
import pytest

from tests.unit.embedded.server_client import ServerClient

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

FILTERS = {
    "big": "function (doc, req) { return doc.n > 2 }",
    "revs": "function (doc, req) { return doc._revisions.start == 2 }",
    "body": "function (doc, req) { return req.body == 'undefined' }",
}


@pytest.fixture
async def client() -> AsyncIterator[ServerClient]:
    """A server with the database `db` and four documents, one of them deleted."""
    async with ServerClient() as client:
        await client("PUT", "/db")
        for n, name in enumerate("abcd"):
            await client("PUT", f"/db/{name}", {"n": n})
        rev = (await client("GET", "/db/b")).json["_rev"]
        await client("DELETE", f"/db/b?rev={rev}")
        yield client


async def at_work(client: ServerClient) -> None:
    """Wait until a request is being served in the database."""
    database = client.embedded.server.databases.open("db")
    assert database is not None
    async with asyncio.timeout(20):
        while True:
            if database.visitors:
                break
            await asyncio.sleep(0)
    await client("GET", "/db")


async def ids(client: ServerClient, query: str, body: Any = None) -> list[str]:
    method = "GET" if body is None else "POST"
    answer = await client(method, f"/db/_changes?{query}", body)
    return [row["id"] for row in answer.json["results"]]


async def test_more_changes_than_a_chunk_all_come(client: ServerClient) -> None:
    docs = [{"_id": f"x{n:04}"} for n in range(1203)]
    await client("POST", "/db/_bulk_docs", {"docs": docs})
    assert len(await ids(client, "")) == 1207
    assert len(await ids(client, "descending=true")) == 1207
    assert len(await ids(client, "limit=700")) == 700
    changes = (await client("GET", "/db/_changes?limit=700")).json
    assert changes["pending"] == 507
    rest = await ids(client, f"since={changes['last_seq']}")
    assert len(rest) == 507
    selected = {"selector": {"_id": {"$gte": "x1200"}}}
    assert await ids(client, "filter=_selector&limit=2", selected) == ["x1200", "x1201"]


async def test_a_longpoll_waits_for_the_next_change(client: ServerClient) -> None:
    waiting = asyncio.create_task(ids(client, "feed=longpoll&since=now&heartbeat=20"))
    await at_work(client)
    await client("PUT", "/db/new", {})
    assert await waiting == ["new"]


async def test_a_longpoll_with_a_filter_waits_for_what_passes(client: ServerClient) -> None:
    selector = {"selector": {"n": 7}}
    query = "feed=longpoll&since=now&filter=_selector"
    waiting = asyncio.create_task(ids(client, query, selector))
    await at_work(client)
    for n in (6, 7):
        await client("PUT", f"/db/new{n}", {"n": n})
    assert await waiting == ["new7"]


async def test_a_feed_ends_when_its_database_goes(client: ServerClient) -> None:
    waiting = asyncio.create_task(client("GET", "/db/_changes?feed=continuous&since=now"))
    await at_work(client)
    await client("DELETE", "/db")
    (line,) = (await waiting).body.split()
    assert set(msgspec.json.decode(line)) == {"last_seq", "pending"}


async def test_a_feed_ends_when_the_server_stops() -> None:
    async with ServerClient() as client:
        await client("PUT", "/db")
        await client("PUT", "/db/d", {})
        url = f"{client.embedded.url_with_credentials}/db/_changes?feed=continuous&heartbeat=50000"
        async with aiohttp.ClientSession() as session, session.get(url) as response:
            assert b'"id":"d"' in await response.content.readline()
            await client.embedded.stop()
            assert b'"last_seq"' in await response.content.read()


async def test_a_sequence_of_another_database_means_the_beginning(client: ServerClient) -> None:
    seq = (await client("GET", "/db/_changes?limit=3")).json["last_seq"]
    assert len(await ids(client, f"since={seq}")) == 1
    assert len(await ids(client, f"since=%22{seq}%22")) == 1
    await client("DELETE", "/db")
    await client("PUT", "/db")
    await client("PUT", "/db/x", {})
    assert await ids(client, f"since={seq}") == ["x"]


async def test_the_limit_ends_a_continuous_feed(client: ServerClient) -> None:
    answer = await client("GET", "/db/_changes?feed=continuous&limit=2")
    lines = [msgspec.json.decode(line) for line in answer.body.split()]
    assert [line.get("id") for line in lines] == ["a", "c", None]
    assert lines[2]["pending"] == 2


async def test_descending_feeds_end(client: ServerClient) -> None:
    answer = await client("GET", "/db/_changes?feed=continuous&descending=true&timeout=1")
    assert len(answer.body.split()) == 5
    assert await ids(client, "feed=longpoll&descending=true") == ["b", "d", "c", "a"]


async def test_an_event_source_goes_on_after_the_last_event(client: ServerClient) -> None:
    seq = (await client("GET", "/db/_changes?limit=3")).json["last_seq"]
    answer = await client(
        "GET", "/db/_changes?feed=eventsource&timeout=1", Last_Event_ID=f'"{seq}"'
    )
    assert answer.body.count(b"data: ") == 1
    assert answer.headers["Cache-Control"] == "no-cache"


@pytest.mark.parametrize(
    ("query", "expected"),
    [("filter=f/big", ["d"]), ("filter=f/revs", ["b"]), ("filter=f/body&limit=2", ["a", "c"])],
)
async def test_functions_as_filters(client: ServerClient, query: str, expected: list[str]) -> None:
    await client("PUT", "/db/_design/f", {"filters": FILTERS})
    assert await ids(client, query) == expected


async def test_ids_are_looked_up(client: ServerClient) -> None:
    many = [f"none{n}" for n in range(500)]
    assert await ids(client, "filter=_doc_ids", {"doc_ids": ["d", *many, "a"]}) == ["a", "d"]
    assert await ids(client, "filter=_doc_ids", {"doc_ids": ["a", "a"]}) == ["a", "a"]


async def test_attachments_and_conflicts_in_rows(client: ServerClient) -> None:
    inline = {"t": {"content_type": "text/plain", "data": "aGVsbG8="}}
    for letter in "ab":
        body = {"_rev": f"1-{letter * 32}", "_attachments": inline}
        await client("PUT", "/db/z?new_edits=false", body)
    query = (
        "include_docs=true&attachments=true&conflicts=true&filter=_doc_ids&doc_ids=%5B%22z%22%5D"
    )
    (row,) = (await client("GET", f"/db/_changes?{query}")).json["results"]
    assert row["doc"]["_conflicts"] == [f"1-{'a' * 32}"]
    assert row["doc"]["_attachments"]["t"]["data"] == "aGVsbG8="


@pytest.mark.parametrize(
    ("query", "status"),
    [
        ("since=5", 400),
        ("since=x", 400),
        ("since=1-g1forged", 400),
        ("since=%220%22", 400),
        ("feed=x", 400),
        ("heartbeat=0", 400),
        ("seq_interval=0", 400),
        ("limit=x", 500),
        ("timeout=x", 500),
        ("style=x", 500),
        ("filter=_nosuch", 400),
        ("filter=a", 400),
        ("filter=a/b", 404),
        ("filter=_view&view=a/b", 404),
        ("filter=_view&view=a", 500),
        ("filter=_view", 400),
        ("filter=_selector", 400),
        ("filter=_doc_ids", 400),
        ("limit=-1", 200),
        ("include_docs=x", 200),
        ("DESCENDING=true&Limit=1", 200),
    ],
)
async def test_options(client: ServerClient, query: str, status: int) -> None:
    assert (await client("GET", f"/db/_changes?{query}")).status == status


@pytest.mark.parametrize("fields", ["all_fields", [5]])
async def test_bad_fields(client: ServerClient, fields: object) -> None:
    body = {"selector": {}, "fields": fields}
    assert (await client("POST", "/db/_changes?filter=_selector", body)).status == 400


async def test_fields_of_documents(client: ServerClient) -> None:
    body = {"selector": {"n": {"$gt": 1}}, "fields": ["n", "no.such", "_id"]}
    answer = await client("POST", "/db/_changes?filter=_selector&include_docs=true", body)
    assert [row["doc"] for row in answer.json["results"]] == [
        {"n": 2, "_id": "c"},
        {"n": 3, "_id": "d"},
    ]


async def test_an_event_source_that_has_to_wait_sends_a_line(client: ServerClient) -> None:
    path = "/db/_changes?feed=eventsource&timeout=1"
    assert (await client("GET", f"{path}&since=now")).body == b"\n"
    assert (await client("GET", f"{path}&since=now&limit=0")).body == b""
    await client("PUT", "/db/a", {})
    assert (await client("GET", path)).body.startswith(b"data: ")
