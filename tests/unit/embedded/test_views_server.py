"""Views and the functions of design documents, asked over HTTP."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import pytest
import pytest_asyncio

from tests.unit.embedded.server_client import ServerClient

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from tests.unit.embedded.server_client import Answer

BY_N = "function (doc) { if ('n' in doc) emit(doc.n, doc.n * 2) }"
PARITY = "function (doc) { if ('n' in doc) emit([doc.n % 2, doc.n], doc.n) }"


@pytest_asyncio.fixture(params=["memory", "folder"])
async def server(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[ServerClient]:
    path = None if request.param == "memory" else tmp_path
    async with ServerClient(path) as client:
        await client("PUT", "/db")
        yield client


@pytest_asyncio.fixture
async def hasty(tmp_path: Path) -> AsyncIterator[ServerClient]:
    """Give a server that soon stops what runs away; what does not can be slow under load."""
    async with ServerClient(tmp_path, couchdb={"os_process_timeout": "2000"}) as client:
        await client("PUT", "/db")
        yield client


async def fill(server: ServerClient, count: int) -> None:
    docs = [{"_id": f"d{number:05}", "n": number} for number in range(count)]
    answer = await server("POST", "/db/_bulk_docs", {"docs": docs})
    assert answer.status == 201


async def design(server: ServerClient, **members: Any) -> None:
    answer = await server("PUT", "/db/_design/d", members)
    assert answer.status == 201, answer.body


def option(value: Any) -> str:
    return quote(json.dumps(value))


async def rows(server: ServerClient, query: str) -> list[dict[str, Any]]:
    answer = await server("GET", f"/db/_design/d/_view/{query}")
    assert answer.status == 200, answer.body
    found: list[dict[str, Any]] = answer.json["rows"]
    return found


async def ids(server: ServerClient, query: str) -> list[str]:
    return [row["id"] for row in await rows(server, query)]


async def test_ranges_limits_and_offsets_of_a_large_view(server: ServerClient) -> None:
    await fill(server, 6000)
    await design(server, views={"v": {"map": BY_N}})
    answer = (await server("GET", "/db/_design/d/_view/v?startkey=5000&limit=2")).json
    assert (answer["total_rows"], answer["offset"]) == (6000, 5000)
    assert [row["key"] for row in answer["rows"]] == [5000, 5001]
    answer = (await server("GET", "/db/_design/d/_view/v?startkey=10&descending=true&skip=3")).json
    assert answer["offset"] == 5992
    assert [row["key"] for row in answer["rows"]] == [7, 6, 5, 4, 3, 2, 1, 0]
    assert len(await rows(server, "v")) == 6000
    assert await ids(server, "v?keys=[5,9999,7]&skip=1") == ["d00007"]
    assert await ids(server, "v?keys=[9999,5,7]&skip=0&limit=1") == ["d00005"]


async def test_reductions_of_a_large_view_follow_changes(server: ServerClient) -> None:
    await fill(server, 2000)
    await design(
        server,
        views={
            "sum": {"map": PARITY, "reduce": "_sum"},
            "js": {"map": PARITY, "reduce": "function (k, v, r) { return sum(v) }"},
            "stats": {"map": PARITY, "reduce": "_stats"},
        },
    )
    total = sum(range(2000))
    odd = sum(range(1, 2000, 2))
    for view in ("sum", "js"):
        assert await rows(server, view) == [{"key": None, "value": total}]
        assert await rows(server, f"{view}?group_level=1") == [
            {"key": [0], "value": total - odd},
            {"key": [1], "value": odd},
        ]
        assert len(await rows(server, f"{view}?group=true")) == 2000
    assert (await rows(server, "stats"))[0]["value"]["count"] == 2000
    await server("PUT", "/db/more", {"n": 100_001})
    for view in ("sum", "js"):
        assert await rows(server, f"{view}?group_level=1&startkey=[1]") == [
            {"key": [1], "value": odd + 100_001}
        ]
    query = f"sum?startkey={option([0, 10])}&endkey={option([0, 20])}"
    assert await rows(server, query) == [{"key": None, "value": 10 + 12 + 14 + 16 + 18 + 20}]


async def test_documents_in_rows(server: ServerClient) -> None:
    await server("PUT", "/db/a", {"n": 1, "link": {"_id": "b"}})
    await server("PUT", "/db/b", {"x": True})
    await design(server, views={"v": {"map": "function (doc) { if (doc.link) emit(1, doc.link) }"}})
    (row,) = await rows(server, "v?include_docs=true")
    assert row["id"] == "a"
    assert row["doc"]["x"] is True


async def test_documents_that_values_link_to(server: ServerClient) -> None:
    attachment = {"t": {"content_type": "text/plain", "data": "eHg="}}
    first = (await server("PUT", "/db/a", {"old": True, "link": {}})).json["rev"]
    links = [{"_id": "b"}, {"_id": "a"}, {"_rev": first}, {"_id": None}, {"_id": 5}, {"x": 1}]
    await server("PUT", "/db/a", {"_rev": first, "links": links, "_attachments": attachment})
    await server("PUT", "/db/b", {"x": True, "_attachments": attachment})
    map_ = "function (doc) { (doc.links || []).forEach((link, n) => emit(n, link)) }"
    await design(server, views={"v": {"map": map_}})
    docs = [row["doc"] for row in await rows(server, "v?include_docs=true&attachments=true")]
    assert docs[0]["_attachments"]["t"]["stub"] is True
    assert docs[1]["_attachments"]["t"]["stub"] is True
    assert docs[2]["old"] is True
    assert docs[3:5] == [None, None]
    assert docs[5]["_attachments"]["t"]["data"] == "eHg="


async def test_indexes_outlive_the_server(tmp_path: Path) -> None:
    async with ServerClient(tmp_path) as server:
        await server("PUT", "/db")
        await fill(server, 10)
        await design(server, views={"v": {"map": BY_N, "reduce": "_count"}})
        assert await rows(server, "v") == [{"key": None, "value": 10}]
    async with ServerClient(tmp_path) as server:
        assert len(await rows(server, "v?reduce=false&update=false")) == 10


async def test_a_database_of_the_same_name_starts_with_empty_indexes(
    server: ServerClient,
) -> None:
    await fill(server, 3)
    await design(server, views={"v": {"map": BY_N}})
    assert len(await rows(server, "v")) == 3
    await server("DELETE", "/db")
    await server("PUT", "/db")
    await design(server, views={"v": {"map": BY_N}})
    assert await rows(server, "v?stale=ok") == []
    assert await rows(server, "v") == []


async def test_cleanup_removes_what_no_design_document_has(server: ServerClient) -> None:
    await fill(server, 3)
    await design(server, views={"v": {"map": BY_N}})
    await rows(server, "v")
    info = (await server("GET", "/db/_design/d/_info")).json["view_index"]
    assert info["update_seq"] == 4
    rev = (await server("GET", "/db/_design/d")).json["_rev"]
    await server("PUT", "/db/_design/d", {"_rev": rev, "views": {"w": {"map": "doc => emit(1)"}}})
    assert (await server("POST", "/db/_view_cleanup", {})).status == 202
    assert len(await rows(server, "w")) == 3
    database = server.embedded.server.databases.open("db")
    assert database is not None
    assert server.embedded.server.indexes.find(database, info["signature"]) is None


async def test_compaction_gives_space_back(server: ServerClient) -> None:
    body = {"docs": [{"_id": f"d{n:04}", "n": n, "text": "x" * 500} for n in range(1000)]}
    written = await server("POST", "/db/_bulk_docs", body)
    await design(server, views={"v": {"map": "function (doc) { emit(doc.n, doc.text) }"}})
    assert len(await rows(server, "v")) == 1000
    deleted = [{"_id": row["id"], "_rev": row["rev"], "_deleted": True} for row in written.json]
    await server("POST", "/db/_bulk_docs", {"docs": deleted[10:]})
    assert len(await rows(server, "v")) == 10

    async def size() -> int:
        info = (await server("GET", "/db/_design/d/_info")).json["view_index"]
        assert info["compact_running"] in (True, False)
        found: int = info["sizes"]["file"]
        return found

    before = await size()
    answer = await server("POST", "/db/_compact/d", {})
    assert (answer.status, answer.json) == (202, {"ok": True})
    while await size() > before / 4:
        pass
    assert len(await rows(server, "v?include_docs=true")) == 10


async def test_every_change_that_an_index_has_not_seen_counts(server: ServerClient) -> None:
    await design(server, views={"v": {"map": BY_N}})
    rev = (await server("PUT", "/db/a", {})).json["rev"]
    await server("PUT", "/db/a", {"_rev": rev})

    async def pending() -> int:
        info = (await server("GET", "/db/_design/d/_info")).json["view_index"]
        assert len(set(info["updates_pending"].values())) == 1
        found: int = info["updates_pending"]["total"]
        return found

    assert await pending() == 3
    await rows(server, "v")
    assert await pending() == 0


async def test_what_has_no_index_to_compact(server: ServerClient) -> None:
    await server("PUT", "/db/_design/none", {})
    await server("PUT", "/db/_design/odd", {"language": "odd", "views": {"v": {"map": "x"}}})
    assert (await server("POST", "/db/_compact/none", {})).status == 202
    assert (await server("POST", "/db/_compact/odd", {})).status == 202
    info = (await server("GET", "/db/_design/odd/_info")).json["view_index"]
    assert (info["language"], info["updates_pending"]["total"]) == ("odd", 2)
    assert (await server("GET", "/db/_design/odd/_view/v")).status == 500
    assert (await server("POST", "/db/_compact/nosuch", {})).status == 404


async def test_a_map_that_runs_away_fails_alone(hasty: ServerClient) -> None:
    await fill(hasty, 3)
    await design(hasty, views={"v": {"map": "doc => { while (true) {} }"}})
    await hasty("PUT", "/db/_design/good", {"views": {"v": {"map": BY_N}}})
    bad = asyncio.ensure_future(hasty("GET", "/db/_design/d/_view/v"))
    good = await hasty("GET", "/db/_design/good/_view/v")
    assert (good.status, len(good.json["rows"])) == (200, 3)
    answer = await bad
    assert (answer.status, answer.json["error"]) == (500, "os_process_error")


async def test_halves_of_characters_become_replacement_characters(server: ServerClient) -> None:
    await fill(server, 1)
    source = r"function (doc) { emit('\ud800', ['\udfffx', '\\ud800', '\ud83d\ude00']) }"
    await design(server, views={"v": {"map": source}})
    (row,) = await rows(server, "v")
    assert (row["key"], row["value"]) == ("\ufffd", ["\ufffdx", r"\ud800", "\U0001f600"])


async def test_queries_take_no_grouping_from_the_url(server: ServerClient) -> None:
    await fill(server, 2)
    await design(server, views={"v": {"map": BY_N, "reduce": "_sum"}})
    path = "/db/_design/d/_view/v/queries?group=true&descending=true"
    body = {"queries": [{}, {"group": True, "limit": 1}, {"group": True, "descending": False}]}
    answer = await server("POST", path, body)
    keys = [[row["key"] for row in each["rows"]] for each in answer.json["results"]]
    assert keys == [[None], [1], [0, 1]]


async def test_a_script_reduces_in_the_order_of_the_query(server: ServerClient) -> None:
    await fill(server, 3)
    join = "function (keys, values) { return values.join() }"
    await design(server, language="JavaScript", views={"v": {"map": BY_N, "reduce": join}})
    assert (await rows(server, "v"))[0]["value"] == "4,2,0"
    assert (await rows(server, "v?descending=true"))[0]["value"] == "0,2,4"
    backwards = await rows(server, "v?descending=true&group_level=1")
    assert [row["value"] for row in backwards] == ["4", "2", "0"]


async def test_several_queries(server: ServerClient) -> None:
    await fill(server, 3)
    await design(server, views={"v": {"map": BY_N}})
    queries = [{"key": 1}, {"limit": 1, "descending": True}]
    answer = await server("POST", "/db/_design/d/_view/v/queries", {"queries": queries})
    found = [[row["key"] for row in result["rows"]] for result in answer.json["results"]]
    assert found == [[1], [2]]


async def test_bulk_writes_are_validated_one_by_one(server: ServerClient) -> None:
    await design(
        server,
        validate_doc_update="function (doc) { if (doc.n % 100 == 7) throw {forbidden: doc._id} }",
    )
    docs = [{"_id": f"d{number:05}", "n": number} for number in range(1000)]
    answer = await server("POST", "/db/_bulk_docs", {"docs": docs})
    refused = [row for row in answer.json if "error" in row]
    assert [row["reason"] for row in refused] == [f"d{number:05}" for number in range(7, 1000, 100)]
    assert all(row["error"] == "forbidden" for row in refused)
    assert (await server("GET", "/db")).json["doc_count"] == 991


async def test_one_edit_that_loops_refuses_no_other(hasty: ServerClient) -> None:
    await design(hasty, validate_doc_update="function (doc) { while (doc.loop) {} }")
    docs = [{"_id": "a"}, {"_id": "b", "loop": True}, {"_id": "c"}]
    answer = await hasty("POST", "/db/_bulk_docs", {"docs": docs})
    assert ["error" in row for row in answer.json] == [False, True, False]


async def show(server: ServerClient, source: str, **headers: Any) -> Answer:
    await server("PUT", "/db/a", {})
    await design(server, shows={"s": source})
    return await server("GET", "/db/_design/d/_show/s/a?x=1", **headers)


async def test_functions_do_not_see_credentials(server: ServerClient) -> None:
    source = "function (doc, req) { return {json: req} }"
    request = (await show(server, source, Cookie="a=b")).json
    assert "Authorization" not in request["headers"]
    assert "Cookie" not in request["headers"]
    assert request["cookie"] == {}
    assert request["query"] == {"x": "1"}
    assert request["userCtx"] == {"db": "db", "name": "admin", "roles": ["_admin"]}


async def test_what_shows_render_is_sandboxed(server: ServerClient) -> None:
    answer = await show(server, "function (doc, req) { return '<b>' }")
    assert answer.body == b"<b>"
    assert answer.headers["Content-Security-Policy"] == "sandbox"
    assert answer.headers["Content-Type"] == "text/html; charset=utf-8"
    again = await server("GET", "/db/_design/d/_show/s/a?x=1", If_None_Match=answer.headers["ETag"])
    assert again.status == 304


@pytest.mark.parametrize(
    ("source", "status", "error"),
    [
        ("function () { return {foo: 1} }", 500, "external_response_error"),
        ("function () { return 5 }", 500, "render_error"),
        ("function () { throw 'x' }", 500, "render_error"),
        ("function () { throw ['error', 'not_found', 'x'] }", 404, "not_found"),
        ("function (", 500, "compilation_error"),
    ],
)
async def test_shows_that_fail(server: ServerClient, source: str, status: int, error: str) -> None:
    answer = await show(server, source)
    assert (answer.status, answer.json["error"]) == (status, error)


async def test_an_update_writes_what_it_returns(server: ServerClient) -> None:
    source = "function (doc, req) { doc = doc || {_id: req.id}; doc.n = 5; return [doc, 'done'] }"
    await design(server, updates={"u": source})
    answer = await server("PUT", "/db/_design/d/_update/u/x")
    assert (answer.status, answer.body) == (201, b"done")
    assert answer.headers["X-Couch-Id"] == "x"
    stored = (await server("GET", "/db/x")).json
    assert (stored["n"], stored["_rev"]) == (5, answer.headers["X-Couch-Update-NewRev"])


async def test_rewrites_of_a_function_are_asked_as_the_same_user(server: ServerClient) -> None:
    await design(server, rewrites="function (req) { return {path: '../..', method: 'GET'} }")
    assert (await server("GET", "/db/_design/d/_rewrite/any")).json["db_name"] == "db"
    nobody = await server("GET", "/db/_design/d/_rewrite/any", auth=None)
    assert nobody.status == 401


async def test_rewrites_end(server: ServerClient) -> None:
    await design(server, rewrites=[{"from": "/x", "to": "_rewrite/x"}])
    answer = await server("GET", "/db/_design/d/_rewrite/x")
    assert (answer.status, answer.json["reason"]) == (400, "Exceeded rewrite recursion limit")


async def test_many_may_clean_up_at_once(server: ServerClient) -> None:
    for number in range(5):
        views = {"v": {"map": f"function (doc) {{ emit(doc.n, {number}); }}"}}
        made = await server("PUT", f"/db/_design/old{number}", {"views": views})
        await server("GET", f"/db/_design/old{number}/_view/v")
        await server("DELETE", f"/db/_design/old{number}?rev={made.json['rev']}")
    cleaned = [server("POST", "/db/_view_cleanup", {}) for _ in range(12)]
    assert {answer.status for answer in await asyncio.gather(*cleaned)} == {202}
