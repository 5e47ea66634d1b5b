"""The options of `_all_docs` and its relatives: what CouchDB 3.5.0 answers to odd ones."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.unit.embedded.server_client import ServerClient

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

LARGE = 10**30
TOO_LARGE = "Limit is too large, must not exceed 576460752303423487"


@pytest.fixture
async def server() -> AsyncIterator[ServerClient]:
    async with ServerClient() as client:
        await client("PUT", "/a")
        await client("PUT", "/a/_design/d", {"views": {"v": {"map": "function () {}"}}})
        yield client


@pytest.mark.parametrize(
    ("query", "reason"),
    [
        ("stale=foo", "Invalid value for `stale`."),
        ("update=foo", "Invalid value for `update`."),
        ("sorted=foo", 'Invalid boolean parameter: "foo"'),
        ("descending=", "Invalid boolean parameter: []"),
        ("limit=", "Invalid value for integer: []"),
        ("limit=1_0", 'Invalid value for integer: "1_0"'),
        ("skip=+1", 'Invalid value for integer: " 1"'),
        ("group_level=x", 'Invalid value for integer: "x"'),
        (f"limit={LARGE}", TOO_LARGE),
        ("keys=[1]&key=2", "`keys` is incompatible with `key`, `start_key` and `end_key`"),
    ],
)
@pytest.mark.parametrize("room", ["_all_docs", "_design_docs", "_local_docs"])
async def test_an_option_of_the_query_is_refused(
    server: ServerClient, room: str, query: str, reason: str
) -> None:
    answer = await server("GET", f"/a/{room}?{query}")
    assert (answer.status, answer.json["error"]) == (400, "query_parse_error")
    assert answer.json["reason"] == reason


@pytest.mark.parametrize(
    ("body", "error"),
    [
        ({"keys": 1}, "`keys` body member must be an array."),
        ({"limit": "1"}, 'Invalid value for integer: <<"1">>'),
        ({"descending": 1}, "Invalid boolean parameter: 1"),
        ({"stale": "x"}, "Invalid value for `stale`."),
    ],
)
async def test_a_member_of_the_body_is_refused(
    server: ServerClient, body: dict[str, Any], error: str
) -> None:
    answer = await server("POST", "/a/_all_docs", body)
    assert (answer.status, answer.json["reason"]) == (400, error)


@pytest.mark.parametrize("path", ["_all_docs", "_design/d/_view/v"])
async def test_more_rows_may_be_skipped_than_there_can_be(server: ServerClient, path: str) -> None:
    answer = await server("GET", f"/a/{path}?skip={LARGE}")
    assert (answer.status, answer.json["rows"]) == (200, [])


async def test_a_list_of_one_key_is_that_key_in_one_of_many_queries(server: ServerClient) -> None:
    queries = [{"keys": ["_design/d"], "key": "_design/d"}]
    answer = await server("POST", "/a/_all_docs/queries", {"queries": queries})
    assert [row["id"] for row in answer.json["results"][0]["rows"]] == ["_design/d"]
