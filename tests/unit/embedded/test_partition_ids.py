"""Ids that no document of a partitioned database can have."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.unit.embedded.server_client import ServerClient

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


@pytest.fixture
async def client() -> AsyncIterator[ServerClient]:
    async with ServerClient() as client:
        yield client


@pytest.mark.parametrize("method", ["GET", "HEAD", "DELETE", "COPY"])
async def test_ids_without_a_partition(client: ServerClient, method: str) -> None:
    await client("PUT", "/db?partitioned=true")
    assert (await client(method, "/db/alone", Destination="a:b")).status == 400
    assert (await client(method, "/db/a:1", Destination="a:b")).status == 404
    assert (await client(method, "/db/_local/alone", Destination="a:b")).status == 404


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("_all_docs", {"keys": ["a:1", "alone"]}),
        ("_all_docs/queries", {"queries": [{"keys": ["a:1", "alone"]}]}),
        ("_revs_diff", {"alone": ["1-a"]}),
        ("_missing_revs", {"alone": ["1-a"]}),
    ],
)
async def test_lists_of_ids_without_a_partition(
    client: ServerClient, path: str, body: dict[str, Any]
) -> None:
    await client("PUT", "/db?partitioned=true")
    answer = await client("POST", f"/db/{path}", body)
    assert (answer.status, answer.json["error"]) == (400, "illegal_docid")
    assert (await client("POST", "/db/_design_docs", {"keys": ["a", "b"]})).status == 200


async def test_bulk_get_of_ids_without_a_partition(client: ServerClient) -> None:
    await client("PUT", "/db?partitioned=true")
    wishes = {"docs": [{"id": "alone"}, {"id": ":x"}, {"id": "a:1"}]}
    answer = await client("POST", "/db/_bulk_get", wishes)
    errors = [each["docs"][0]["error"]["error"] for each in answer.json["results"]]
    assert errors == ["illegal_docid", "illegal_partition", "not_found"]
