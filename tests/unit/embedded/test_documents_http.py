"""Documents over HTTP, where the recordings say nothing; each answer was seen on CouchDB 3.5.0."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from tests.unit.embedded.server_client import ServerClient

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

HASH = "a" * 32


@pytest.fixture
async def ask() -> AsyncIterator[ServerClient]:
    async with ServerClient() as client:
        await client("PUT", "/db")
        yield client


async def revs(ask: ServerClient, path: str) -> Any:
    """Give the ids of `_revisions`."""
    return (await ask("GET", f"{path}?revs=true")).json["_revisions"]["ids"]


async def test_of_two_documents_with_one_id_the_second_may_revive_the_first(
    ask: ServerClient,
) -> None:
    docs = [{"_id": "a", "n": 0, "_deleted": True}, {"_id": "a", "n": 2}]
    first, second = (await ask("POST", "/db/_bulk_docs", {"docs": docs})).json
    assert (first["rev"][:2], second["rev"][:2]) == ("1-", "2-")
    assert (await ask("GET", "/db/a")).json["n"] == 2


async def test_a_revision_of_an_unknown_document_is_taken_once_it_is_clear_that_nobody_validates(
    ask: ServerClient,
) -> None:
    stranger = {"_rev": f"1-{HASH}"}
    assert (await ask("PUT", "/db/a", stranger)).status == 409
    await ask("PUT", "/db/b", {})
    assert (await ask("PUT", "/db/a", stranger)).json["rev"].startswith("2-")
    await ask("PUT", "/db/_design/d", {})
    assert (await ask("PUT", "/db/c", stranger)).status == 409


async def test_fewer_revisions_are_shown_as_soon_as_the_limit_is_lower(ask: ServerClient) -> None:
    rev = None
    for n in range(4):
        body = {"n": n} if rev is None else {"n": n, "_rev": rev}
        rev = (await ask("PUT", "/db/a", body)).json["rev"]
    await ask("PUT", "/db/_revs_limit", 2)
    assert len(await revs(ask, "/db/a")) == 2
    await ask("PUT", "/db/_revs_limit", 1000)
    assert len(await revs(ask, "/db/a")) == 4


async def test_a_revision_that_is_asked_for_twice_is_missing_once(ask: ServerClient) -> None:
    rev = (await ask("PUT", "/db/a", {})).json["rev"]
    asked = {"a": [rev, rev, f"9-{HASH}"]}
    missing = (await ask("POST", "/db/_missing_revs", asked)).json["missing_revs"]
    assert missing == {"a": [rev, f"9-{HASH}"]}


async def test_generations_below_one_do_not_count(ask: ServerClient) -> None:
    doc = {"_id": "y", "_revisions": {"start": 1, "ids": ["c", "b", "a"]}}
    answer = await ask("POST", "/db/_bulk_docs", {"docs": [doc], "new_edits": False})
    assert (answer.status, answer.json) == (201, [])
    assert await revs(ask, "/db/y") == ["c"]


@pytest.mark.parametrize(
    ("query", "reason"),
    [
        ("limit=+1", 'Invalid value for integer: " 1"'),
        ("limit=", "Invalid value for integer: []"),
        ("limit=-1", 'Invalid value for positive integer: "-1"'),
        ("limit=99999999999999999999", "Limit is too large, must not exceed 576460752303423487"),
        ("descending=x", 'Invalid boolean parameter: "x"'),
        ("update=x", "Invalid value for `update`."),
        ("group_level=1", "Invalid use of grouping on a map view."),
        ("keys=[1]&key=1", "`keys` is incompatible with `key`, `start_key` and `end_key`"),
    ],
)
async def test_bad_options_of_all_docs_are_told(ask: ServerClient, query: str, reason: str) -> None:
    answer = await ask("GET", f"/db/_all_docs?{query}")
    assert (answer.status, answer.json) == (400, {"error": "query_parse_error", "reason": reason})


async def test_offsets_count_what_comes_before(ask: ServerClient) -> None:
    docs = [{"_id": name} for name in ("A", "B", "_design/x", "_design/y", "a", "b")]
    await ask("POST", "/db/_bulk_docs", {"docs": docs})

    async def offset(path: str) -> int:
        found: int = (await ask("GET", f"/db/{path}")).json["offset"]
        return found

    assert await offset("_all_docs?startkey=%22a%22") == 4
    assert await offset("_all_docs?startkey=%22a%22&descending=true") == 1
    assert await offset("_all_docs?skip=100") == 6
    assert await offset("_design_docs") == 2
    assert await offset("_design_docs?key=5") == 2


async def test_many_rows_come_whole_in_any_direction(ask: ServerClient) -> None:
    names = [f"d{number:04}" for number in range(1203)]
    body = {"docs": [{"_id": name, "text": "x" * 50} for name in names]}
    await ask("POST", "/db/_bulk_docs", body)
    rows = (await ask("GET", "/db/_all_docs?include_docs=true")).json["rows"]
    assert [row["doc"]["_id"] for row in rows] == names
    rows = (await ask("GET", "/db/_all_docs?descending=true&skip=3&limit=1100")).json["rows"]
    assert [row["id"] for row in rows] == names[::-1][3:1103]
    rows = (await ask("POST", "/db/_all_docs", {"keys": names})).json["rows"]
    assert [row["key"] for row in rows] == names


@pytest.mark.parametrize(
    "text", ["12345678901234567890123", "-1e-300", '"\\u0000é😀"', "[[],{},null]", "1.0"]
)
async def test_any_json_comes_back_as_it_went(ask: ServerClient, text: str) -> None:
    await ask("PUT", "/db/a", data=f'{{"value":{text}}}')
    answer = await ask("GET", "/db/a")
    assert answer.json["value"] == msgspec.json.decode(text)
    assert type(answer.json["value"]) is type(msgspec.json.decode(text))


async def test_purged_documents_are_gone_and_remembered(ask: ServerClient) -> None:
    rev = (await ask("PUT", "/db/a", {})).json["rev"]
    purged = (await ask("POST", "/db/_purge", {"a": [rev], "b": [f"1-{HASH}"]})).json["purged"]
    assert purged == {"a": [rev], "b": []}
    assert (await ask("GET", "/db/a")).status == 404
    infos = (await ask("GET", "/db/_purged_infos")).json["purged_infos"]
    assert infos == [{"id": "a", "revs": [rev]}, {"id": "b", "revs": [f"1-{HASH}"]}]
