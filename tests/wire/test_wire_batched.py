"""What goes out for reads that wait at the same time."""

import asyncio
import json

import pytest

import aiocouch
from aiocouch import Database
from tests.wire.canned import Answer, CannedServer, Request, json_answer


def rows_of(request: Request) -> Answer:
    keys = json.loads(request.body)["keys"]
    rows = [
        {"id": key, "key": key, "value": {"rev": "1-a"}, "doc": {"_id": key, "_rev": "1-a"}}
        for key in keys
    ]
    return json_answer({"total_rows": len(rows), "offset": 0, "rows": rows})


async def test_one_request_for_all_of_one_turn(canned: CannedServer, base: Database) -> None:
    canned.handler = rows_of
    together = base.batched()
    found = await asyncio.gather(*(together[id] for id in ("a", "b", "a")))
    assert [doc.id for doc in found] == ["a", "b", "a"]
    request = canned.only()
    assert (request.method, request.path) == ("POST", "/db/_all_docs")
    assert json.loads(request.body) == {"keys": ["a", "b"]}


async def test_the_size_is_kept(canned: CannedServer, base: Database) -> None:
    canned.handler = rows_of
    together = base.batched(size=2)
    await asyncio.gather(*(together[id] for id in "abcde"))
    assert [len(json.loads(request.body)["keys"]) for request in canned.requests] == [2, 2, 1]


async def test_what_fails_together_is_read_alone(canned: CannedServer, base: Database) -> None:
    def refuse_batches(request: Request) -> Answer:
        if request.method == "POST":
            return json_answer({"error": "forbidden", "reason": "no lists"}, 403)
        if request.path.endswith("/b"):
            return json_answer({"error": "not_found", "reason": "missing"}, 404)
        return json_answer({"_id": "a", "_rev": "1-a"})

    canned.handler = refuse_batches
    together = base.batched()
    first, second = await asyncio.gather(together["a"], together["b"], return_exceptions=True)
    assert isinstance(first, aiocouch.Document)
    assert isinstance(second, aiocouch.NotFoundError)
    assert [request.method for request in canned.requests] == ["POST", "GET", "GET"]


async def test_a_reader_that_gives_up_disturbs_nobody(canned: CannedServer, base: Database) -> None:
    canned.handler = rows_of
    together = base.batched(delay=0.05)
    first = asyncio.ensure_future(together.get("a"))
    second = asyncio.ensure_future(together.get("b"))
    await asyncio.sleep(0)
    first.cancel()
    assert (await second).id == "b"
    with pytest.raises(asyncio.CancelledError):
        await first
