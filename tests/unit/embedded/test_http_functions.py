"""Shows, lists, updates and rewrites at their edges, as Apache CouchDB 3.5.0 answers there."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from aiocouch.embedded.errors import CouchError
from aiocouch.embedded.rewriting import check_rules
from tests.unit.embedded.server_client import ServerClient

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

DESIGN: dict[str, Any] = {
    "views": {"v": {"map": "function (doc) { emit(doc.n) }"}},
    "shows": {"fails": "function (doc) { return doc.a.b }"},
    "lists": {
        "sends": "function () { while (getRow()) send(undefined) }",
        "breaks": "function () { send('head'); getRow(); send('lost'); throw('up') }",
    },
    "updates": {"touch": "function (doc, req) { return [{_id: req.id, n: 1}, 'done'] }"},
    "rewrites": [{"from": "/up", "to": "../../../other"}],
}


@pytest.fixture
async def client() -> AsyncIterator[ServerClient]:
    async with ServerClient() as client:
        await client("PUT", "/db")
        assert (await client("PUT", "/db/_design/f", DESIGN)).status == 201
        yield client


async def test_a_show_that_fails_on_a_missing_document(client: ServerClient) -> None:
    answer = await client("GET", "/db/_design/f/_show/fails/nosuch")
    assert (answer.status, answer.json["reason"]) == (404, "document not found")
    assert (await client("GET", "/db/_design/f/_show/fails")).status == 500


async def test_a_list_cannot_send_nothing(client: ServerClient) -> None:
    await client("PUT", "/db/doc", {"n": 1})
    answer = await client("GET", "/db/_design/f/_list/sends/v")
    assert (answer.status, answer.json["error"]) == (500, "render_error")


async def test_a_list_that_breaks_after_it_has_begun(client: ServerClient) -> None:
    answer = await client("GET", "/db/_design/f/_list/breaks/v")
    assert answer.status == 200
    assert answer.body.startswith(b"head\n{")
    assert b"lost" not in answer.body
    assert b"up" in answer.body


async def test_methods_of_updates(client: ServerClient) -> None:
    answer = await client("DELETE", "/db/_design/f/_update/touch/a%2Fb")
    assert answer.status == 201
    assert answer.headers["X-Couch-Id"] == "a%2Fb"
    assert (await client("GET", "/db/_design/f/_update/touch/a")).status == 405
    assert (await client("GET", "/db/_design/f/_update/nosuch/a")).status == 404


async def test_rewrites_stay_in_their_database(client: ServerClient) -> None:
    answer = await client("GET", "/db/_design/f/_rewrite/up")
    assert (answer.status, answer.json["error"]) == (500, "insecure_rewrite_rule")
    await client("PUT", "/_node/_local/_config/chttpd/secure_rewrites", "false")
    await client("PUT", "/other")
    assert (await client("GET", "/db/_design/f/_rewrite/up")).json["db_name"] == "other"


def test_two_steps_up_are_the_database_itself() -> None:
    check_rules([{"from": "/a", "to": "../../doc"}, {"to": 5}, "no rule"])
    with pytest.raises(CouchError):
        check_rules([{"to": "a/../../../b"}])


async def test_more_copies_than_there_are_nodes(client: ServerClient) -> None:
    for path, more in (("/db/_bulk_docs?w=2", {}), ("/db/_bulk_docs", {"w": 2})):
        answer = await client("POST", path, {"docs": [{}], **more})
        assert answer.status == 202
        assert answer.json[0]["accepted"] is True
    answer = await client("POST", "/db/_bulk_docs?w=1", {"docs": [{}]})
    assert answer.status == 201
    assert "accepted" not in answer.json[0]


async def test_a_feed_that_runs_backwards_has_no_beginning(client: ServerClient) -> None:
    assert (await client("GET", "/db/_changes?descending=true&since=x")).status == 200
    assert (await client("GET", "/db/_changes?since=x")).status == 400
