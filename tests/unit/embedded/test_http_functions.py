"""Shows, lists, updates and rewrites at their edges, as Apache CouchDB 3.5.2 answers there."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from aiocouch.embedded.errors import CouchError
from aiocouch.embedded.http.rewriting import check_rules
from tests.unit.embedded.server_client import ServerClient

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

DESIGN: dict[str, Any] = {
    "views": {"v": {"map": "function (doc) { emit(doc.n) }"}},
    "shows": {
        "fails": "function (doc) { return doc.a.b }",
        "kept": "function () { return {body: '', headers: {'Cache-Control': 'max-age=9'}} }",
        "types": "function () { provides('json', () => '1'); provides('html', () => '2') }",
        "path": "function (doc, req) { return {json: req.requested_path} }",
    },
    "lists": {
        "sends": "function () { while (getRow()) send(undefined) }",
        "body": "function (head, req) { return JSON.stringify(req.body.keys) }",
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


async def test_a_list_sees_the_body_decoded(client: ServerClient) -> None:
    answer = await client("POST", "/db/_design/f/_list/body/v", {"keys": [1, 2]})
    assert answer.body == b"[1,2]"


async def test_a_show_may_be_cached(client: ServerClient) -> None:
    answer = await client("GET", "/db/_design/f/_show/kept")
    assert answer.headers["Cache-Control"] == "max-age=9"
    assert "Cache-Control" not in (await client("GET", "/db/_design/f/_list/body/v")).headers


@pytest.mark.parametrize(
    ("accept", "found"),
    [
        ("*/*", "text/x-json"),
        ("application/json", "application/json"),
        ("text/html, application/json", "application/json"),
        ("text/*", "text/x-json"),
        ("text/html;q=0.5, */*;q=0.1", "text/html; charset=utf-8"),
    ],
)
async def test_of_equal_types_the_last_is_given(
    client: ServerClient, accept: str, found: str
) -> None:
    answer = await client("GET", "/db/_design/f/_show/types", Accept=accept)
    assert answer.headers["Content-Type"] == found


async def test_types_that_are_not_provided(client: ServerClient) -> None:
    path = "/db/_design/f/_show/types"
    html, json = "text/html; charset=utf-8", "application/json, text/x-json"
    answer = await client("GET", path, Accept="image/png")
    assert answer.json["reason"].endswith(f"one of: {html}, {json}")
    answer = await client("GET", f"{path}?format=css")
    assert answer.json["reason"].endswith(f"one of: {json}, {html}")


async def test_the_path_of_a_request_comes_without_escapes(client: ServerClient) -> None:
    answer = await client("GET", "/db/_design/f/_show/path/a%20b?x=%22%C3%A9%22")
    assert answer.json[-1] == 'a b?x="é"'


async def test_an_update_in_a_batch(client: ServerClient) -> None:
    answer = await client("POST", "/db/_design/f/_update/touch/a?batch=ok")
    assert (answer.status, answer.body) == (202, b"done")


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
    check_rules([{"from": "/a", "to": "../../doc"}, "no rule"])
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


async def test_no_attachment_makes_a_document_with_a_reserved_id(client: ServerClient) -> None:
    for path in ("/db/_nosuch/att", "/db/_security/att", "/db/_all_docs/att"):
        answer = await client("PUT", path, data="x")
        assert (answer.status, answer.json["error"]) == (400, "illegal_docid"), path
    assert (await client("GET", "/db")).json["doc_count"] == 1


async def test_a_missing_attachment_comes_before_a_missing_revision(client: ServerClient) -> None:
    rev = (await client("PUT", "/db/doc/att", data="x")).json["rev"]
    assert (await client("DELETE", "/db/doc/other")).status == 404
    assert (await client("DELETE", "/db/doc/att")).status == 409
    assert (await client("DELETE", "/db/doc/_att")).status == 400
    assert (await client("DELETE", "/db/nosuch/att")).status == 404
    assert (await client("DELETE", f"/db/doc/att?rev={rev}")).status == 200


@pytest.mark.parametrize("method", ["GET", "PUT", "POST", "COPY", "PATCH"])
async def test_local_paths_that_no_method_makes_good(client: ServerClient, method: str) -> None:
    for path in ("/db/_local", "/db/_local/", "/db/_local/x/att"):
        assert (await client(method, path, Destination="a")).status == 400


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/db/_design/f/_search/x", 503),
        ("PUT", "/db/_design/f/_search/x", 405),
        ("POST", "/db/_design/f/_search_info/x", 405),
        ("GET", "/db/_design/f/_nouveau/x", 404),
        ("POST", "/db/_nouveau_cleanup", 202),
        ("POST", "/db/_search_cleanup", 202),
        ("POST", "/_search_analyze", 503),
        ("POST", "/_nouveau_analyze", 404),
    ],
)
async def test_search_is_not_installed(
    client: ServerClient, method: str, path: str, status: int
) -> None:
    assert (await client(method, path, {} if method in {"PUT", "POST"} else None)).status == status
