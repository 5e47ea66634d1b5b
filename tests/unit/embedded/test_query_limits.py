"""`[query_server_config]`: how many rows a query gives, and how much a reduction has to shrink."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.unit.embedded.server_client import ServerClient

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

VIEWS = {
    "v": {"map": "function (doc) { emit(doc._id, 1) }"},
    "r": {"map": "function (doc) { emit(doc._id, 1) }", "reduce": "_count"},
}
JOIN = {
    "map": "function (doc) { emit(1, 'x'.repeat(2000)) }",
    "reduce": "function (keys, values) { return values.join('') }",
}
SUM = {
    "map": "function (doc) { var o = {}; for (var i = 0; i < 300; i++) o[doc._id + i] = 1;"
    " emit(1, o) }",
    "reduce": "_sum",
}


@pytest.fixture
async def client() -> AsyncIterator[ServerClient]:
    async with ServerClient() as client:
        for path in ("/db", "/parts?partitioned=true"):
            name = path.partition("?")[0]
            await client("PUT", path)
            docs = [{"_id": f"p:{number}"} for number in range(8)]
            await client("POST", f"{name}/_bulk_docs", {"docs": docs})
            await client("PUT", f"{name}/_design/d", {"views": VIEWS})
        yield client


async def configure(client: ServerClient, **settings: str) -> None:
    for key, value in settings.items():
        await client("PUT", f"/_node/_local/_config/query_server_config/{key}", value)


@pytest.mark.parametrize(
    ("path", "rows"),
    [
        ("/db/_design/d/_view/v", 5),
        ("/db/_design/d/_view/v?limit=5", 5),
        ("/db/_design/d/_view/v?limit=2", 2),
        ("/db/_design/d/_view/v?limit=6", None),
        ("/db/_design/d/_view/r?group=true", 5),
        ("/db/_design/d/_view/r?group=true&limit=6", None),
        ("/db/_all_docs", 5),
        ("/db/_all_docs?limit=6", None),
        ("/parts/_partition/p/_design/d/_view/v", 3),
        ("/parts/_partition/p/_design/d/_view/v?limit=4", None),
        ("/parts/_partition/p/_all_docs", 3),
        ("/parts/_partition/p/_all_docs?limit=4", None),
        ("/parts/_all_docs?limit=4", 4),
    ],
)
async def test_the_most_rows_of_a_query(client: ServerClient, path: str, rows: int | None) -> None:
    await configure(client, query_limit="5", partition_query_limit="3")
    answer = await client("GET", path)
    if rows is None:
        most = 3 if "_partition" in path else 5
        reason = f"Limit is too large, must not exceed {most}"
        assert (answer.status, answer.json["error"]) == (400, "query_parse_error")
        assert answer.json["reason"] == reason
    else:
        assert len(answer.json["rows"]) == rows


@pytest.mark.parametrize(
    ("settings", "overflows"),
    [
        ({}, True),
        ({"reduce_limit": "false"}, False),
        ({"reduce_limit": "log"}, False),
        ({"reduce_limit_threshold": "100000"}, False),
        ({"reduce_limit_ratio": "0.5"}, False),
    ],
)
async def test_how_much_a_reduction_shrinks(
    client: ServerClient, settings: dict[str, str], overflows: bool
) -> None:
    await configure(client, **settings)
    await client("PUT", "/db/_design/g", {"views": {"join": JOIN, "sum": SUM}})
    (row,) = (await client("GET", "/db/_design/g/_view/join")).json["rows"]
    assert (row.get("error") == "reduce_overflow_error") is overflows
    if overflows:
        assert row["reason"].endswith(" context: db/_design/g/_view/join")
    (row,) = (await client("GET", "/db/_design/g/_view/sum")).json["rows"]
    assert (row["value"].get("error") == "builtin_reduce_error") is overflows
