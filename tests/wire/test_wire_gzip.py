"""Compressed request bodies."""

import gzip
import json

import pytest

from aiocouch import CouchDB, Database
from tests.wire.canned import Answer, CannedServer, Request, json_answer

ROWS = [{"ok": True, "id": "a", "rev": "1-a"}]
TEXT = "the same again and " * 400


async def _save(canned: CannedServer, above: int | None, text: str = TEXT) -> None:
    async with CouchDB(canned.url, gzip_above=above) as couchdb:
        await Database(couchdb, "db").bulk_docs([{"_id": "a", "text": text}])


async def test_large_bodies_are_packed(canned: CannedServer) -> None:
    canned.say_json(ROWS, 201)
    await _save(canned, 1000)
    request = canned.only()
    assert request.headers["content-encoding"] == "gzip"
    assert request.headers["content-type"] == "application/json"
    assert len(request.body) < len(TEXT)
    assert json.loads(gzip.decompress(request.body))["docs"][0]["text"] == TEXT


async def test_small_ones_and_those_that_do_not_shrink_are_not(canned: CannedServer) -> None:
    canned.handler = lambda request: json_answer(ROWS, 201)
    await _save(canned, None)
    await _save(canned, 100_000)
    await _save(canned, 10, "q")
    assert all("content-encoding" not in request.headers for request in canned.requests)


async def test_a_server_that_takes_none_gets_it_plain(canned: CannedServer) -> None:
    def refuse_gzip(request: Request) -> Answer:
        if "content-encoding" in request.headers:
            return json_answer({"error": "bad_ctype", "reason": "gzip is not supported"}, 415)
        return json_answer(ROWS, 201)

    canned.handler = refuse_gzip
    async with CouchDB(canned.url, gzip_above=100) as couchdb:
        for _ in range(2):
            await Database(couchdb, "db").bulk_docs([{"_id": "a", "text": TEXT}])
    packed = ["content-encoding" in request.headers for request in canned.requests]
    assert packed == [True, False, False]


@pytest.mark.parametrize("takes_gzip", [True, False])
async def test_operations_of_many_documents(canned: CannedServer, takes_gzip: bool) -> None:
    def answer(request: Request) -> Answer:
        if "content-encoding" in request.headers and not takes_gzip:
            return json_answer({"error": "bad_ctype", "reason": "gzip is not supported"}, 415)
        return json_answer([{"ok": True, "id": f"{n}", "rev": "1-a"} for n in range(250)], 201)

    canned.handler = answer
    async with (
        CouchDB(canned.url, gzip_above=100) as couchdb,
        Database(couchdb, "db").create_docs() as bulk,
    ):
        for number in range(250):
            bulk.create(f"{number}", {"text": TEXT})
    assert bulk.ok is not None
    assert len(bulk.ok) == 250
    body = canned.requests[-1].body
    sent = json.loads(gzip.decompress(body) if takes_gzip else body)
    assert [doc["_id"] for doc in sent["docs"]] == [f"{number}" for number in range(250)]
