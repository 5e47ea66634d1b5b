"""`_find`, `_explain`, `_index` and `_partition` over HTTP."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.unit.embedded.server_client import ServerClient

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path

PEOPLE = [
    {"_id": f"p{number:03}", "age": number % 50, "city": ["rome", "oslo"][number % 2]}
    for number in range(1200)
]


@pytest.fixture
async def client() -> AsyncIterator[ServerClient]:
    async with ServerClient() as client:
        await client("PUT", "/people")
        await client("POST", "/people/_bulk_docs", {"docs": PEOPLE})
        yield client


async def find(client: ServerClient, **query: Any) -> dict[str, Any]:
    query.setdefault("limit", 10_000)
    answer = await client("POST", "/people/_find", query)
    assert answer.status == 200, answer.body
    result: dict[str, Any] = answer.json
    return result


def ids(result: dict[str, Any]) -> list[str]:
    return [document["_id"] for document in result["docs"]]


def expected(wanted: Callable[[dict[str, Any]], bool]) -> set[str]:
    return {str(person["_id"]) for person in PEOPLE if wanted(person)}


async def make_index(client: ServerClient, *fields: str, **more: Any) -> None:
    answer = await client("POST", "/people/_index", {"index": {"fields": fields}, **more})
    assert answer.json["result"] == "created", answer.body


async def test_an_index_gives_what_the_documents_give(client: ServerClient) -> None:
    selector = {"age": {"$gte": 10, "$lt": 20}, "city": "oslo"}
    without = await find(client, selector=selector)
    assert "No matching index found" in without["warning"]
    await make_index(client, "city", "age")
    with_index = await find(client, selector=selector, sort=["city", "age"])
    assert "warning" not in with_index
    assert set(ids(with_index)) == set(ids(without))
    assert set(ids(without)) == expected(lambda p: 10 <= p["age"] < 20 and p["city"] == "oslo")
    ages = [document["age"] for document in with_index["docs"]]
    assert ages == sorted(ages)


async def test_an_index_follows_the_documents(client: ServerClient) -> None:
    await make_index(client, "age", name="age", ddoc="age")
    assert len(ids(await find(client, selector={"age": 49}))) == 24
    await client("PUT", "/people/new", {"age": 49})
    assert "new" not in ids(await find(client, selector={"age": 49}, update=False))
    assert "new" not in ids(await find(client, selector={"age": 49}, stale="ok"))
    (gone, *others) = ids(await find(client, selector={"age": 49}))
    assert len(others) == 24
    rev = (await client("GET", f"/people/{gone}")).json["_rev"]
    await client("DELETE", f"/people/{gone}?rev={rev}")
    found = ids(await find(client, selector={"age": 49}))
    assert gone not in found
    assert len(found) == 24


@pytest.mark.parametrize("sort", [["age"], [{"age": "desc"}], ["_id"], [{"_id": "desc"}]])
async def test_pages_cover_everything_once(client: ServerClient, sort: list[Any]) -> None:
    await make_index(client, "age")
    field = next(iter(sort[0])) if isinstance(sort[0], dict) else sort[0]
    query = {"selector": {field: {"$gt": None}}, "sort": sort, "fields": ["_id"]}
    whole = ids(await find(client, **query))
    assert len(whole) == 1200
    pages: list[str] = []
    bookmark = None
    while page := await find(client, **query, limit=170, bookmark=bookmark):
        if not page["docs"]:
            break
        pages += ids(page)
        bookmark = page["bookmark"]
    assert pages == whole


async def test_paging_goes_on_behind_a_row_that_is_gone(client: ServerClient) -> None:
    query = {"selector": {"_id": {"$gt": None}}, "fields": ["_id"], "limit": 3}
    page = await find(client, **query)
    rev = (await client("GET", "/people/p002")).json["_rev"]
    await client("DELETE", f"/people/p002?rev={rev}")
    assert ids(await find(client, **query, bookmark=page["bookmark"])) == ["p003", "p004", "p005"]


async def test_a_covering_index_reads_no_documents(client: ServerClient) -> None:
    await make_index(client, "age", "city")
    query = {"selector": {"age": 7, "city": "oslo"}, "execution_stats": True}
    result = await find(client, **query, fields=["city", "_id"])
    assert result["docs"][0] == {"city": "oslo", "_id": "p007"}
    assert result["execution_stats"]["total_docs_examined"] == 0
    assert result["execution_stats"]["total_keys_examined"] == 24
    result = await find(client, **query)
    assert result["execution_stats"]["total_docs_examined"] == 24
    assert result["docs"][0]["_rev"].startswith("1-")


async def test_a_warning_when_much_is_read_for_little(client: ServerClient) -> None:
    result = await find(client, selector={"age": 7, "city": "x"})
    assert "The number of documents examined is high" in result["warning"]


async def test_many_documents_are_streamed(client: ServerClient) -> None:
    docs = [{"_id": f"z{number}", "pad": "x" * 1000} for number in range(300)]
    await client("POST", "/people/_bulk_docs", {"docs": docs})
    answer = await client("POST", "/people/_find", {"selector": {}, "limit": 5000})
    assert answer.headers["Transfer-Encoding"] == "chunked"
    assert len(answer.json["docs"]) == 1500


async def test_an_error_while_matching_is_an_answer(client: ServerClient) -> None:
    answer = await client("POST", "/people/_find", {"selector": {"age": {"$mod": [0, 1]}}})
    assert answer.status == 500
    assert answer.json["reason"] == "badarith"


async def test_conflicts_are_shown_and_found(client: ServerClient) -> None:
    for letter in "ab":
        body = {"_id": "c", "_rev": "1-" + letter * 32, "age": 99}
        await client("POST", "/people/_bulk_docs", {"docs": [body], "new_edits": False})
    query = {"selector": {"_conflicts": {"$exists": True}}}
    assert ids(await find(client, **query)) == []
    (document,) = (await find(client, **query, conflicts=True))["docs"]
    assert document["_conflicts"] == ["1-" + "a" * 32]


async def test_explain_names_the_index(client: ServerClient) -> None:
    await make_index(client, "age", name="a", ddoc="da")
    answer = await client("POST", "/people/_explain", {"selector": {"age": {"$gt": 5}}})
    assert answer.json["index"]["ddoc"] == "_design/da"
    assert answer.json["mrargs"]["start_key"] == [5]
    assert answer.json["mrargs"]["end_key"] == ["<MAX>"]
    (other,) = answer.json["index_candidates"]
    assert other["analysis"]["reasons"] == [{"name": "unfavored_type"}]


async def test_a_partial_index_holds_some_documents(client: ServerClient) -> None:
    definition = {"fields": ["age"], "partial_filter_selector": {"city": "rome"}}
    body = {"index": definition, "name": "part", "ddoc": "part"}
    await client("POST", "/people/_index", body)
    result = await find(client, selector={"age": {"$gt": 40}}, use_index="part")
    assert set(ids(result)) == expected(lambda p: p["age"] > 40 and p["city"] == "rome")


async def test_indexes_are_listed_and_deleted(client: ServerClient) -> None:
    await make_index(client, "age", name="one", ddoc="d")
    await make_index(client, "city", name="two", ddoc="d")
    listed = (await client("GET", "/people/_index")).json
    assert [each["name"] for each in listed["indexes"]] == ["_all_docs", "one", "two"]
    assert (await client("DELETE", "/people/_index/d/json/one")).json == {"ok": True}
    assert (await client("DELETE", "/people/_index/d/json/one")).status == 404
    assert (await client("DELETE", "/people/_index/_design/d/json/two")).json == {"ok": True}
    assert (await client("GET", "/people/_design/d")).status == 404
    assert (await client("GET", "/people/_index")).json["total_rows"] == 1


async def test_a_deleted_index_can_be_made_again(client: ServerClient) -> None:
    await make_index(client, "age", name="x", ddoc="d")
    await client("DELETE", "/people/_index/d/json/x")
    await make_index(client, "age", name="x", ddoc="d")
    assert (await client("GET", "/people/_design/d")).json["_rev"].startswith("3-")


async def test_indexes_survive_a_restart(tmp_path: Path) -> None:
    async with ServerClient(tmp_path) as client:
        await client("PUT", "/people")
        await client("POST", "/people/_bulk_docs", {"docs": PEOPLE[:100]})
        await make_index(client, "age")
        assert len(ids(await find(client, selector={"age": 7}))) == 2
    async with ServerClient(tmp_path) as client:
        await client("PUT", "/people/new", {"age": 7})
        result = await find(client, selector={"age": 7}, execution_stats=True)
        assert len(ids(result)) == 3
        assert result["execution_stats"]["total_keys_examined"] == 3


async def test_a_query_by_somebody_who_may_not_read(client: ServerClient) -> None:
    answer = await client("POST", "/people/_find", {"selector": {}}, auth=None)
    assert answer.status == 401


# --- Partitions


@pytest.fixture
async def parts() -> AsyncIterator[ServerClient]:
    async with ServerClient() as client:
        await client("PUT", "/parts?partitioned=true")
        docs = [{"_id": f"{'xy'[n % 2]}:{n}", "n": n} for n in range(10)]
        await client("POST", "/parts/_bulk_docs", {"docs": docs})
        yield client


async def test_a_partition_tells_of_itself(parts: ServerClient) -> None:
    answer = (await parts("GET", "/parts/_partition/x")).json
    assert (answer["partition"], answer["doc_count"], answer["doc_del_count"]) == ("x", 5, 0)


async def test_queries_look_into_one_partition(parts: ServerClient) -> None:
    await parts("POST", "/parts/_index", {"index": {"fields": ["n"]}, "ddoc": "local"})
    query = {"selector": {"n": {"$gt": 2}}, "fields": ["_id"], "execution_stats": True}
    answer = (await parts("POST", "/parts/_partition/x/_find", query)).json
    assert ids(answer) == ["x:4", "x:6", "x:8"]
    assert answer["execution_stats"]["total_keys_examined"] == 4
    assert "warning" not in answer
    answer = (await parts("POST", "/parts/_find", query)).json
    assert len(ids(answer)) == 7
    assert "No matching index" in answer["warning"]


async def test_all_docs_of_a_partition(parts: ServerClient) -> None:
    answer = (await parts("GET", "/parts/_partition/y/_all_docs")).json
    assert [row["id"] for row in answer["rows"]] == ["y:1", "y:3", "y:5", "y:7", "y:9"]
    answer = (await parts("GET", "/parts/_partition/y/_all_docs?descending=true&limit=2")).json
    assert [row["id"] for row in answer["rows"]] == ["y:9", "y:7"]


@pytest.mark.parametrize(
    ("method", "path", "status", "reason"),
    [
        ("GET", "/parts/_partition", 400, "invalid_partition_req"),
        ("GET", "/parts/_partition/_x", 400, "Partition must not start with an underscore"),
        ("GET", "/parts/_partition/a%3Ab", 400, "Partition must not contain a colon"),
        ("GET", "/parts/_partition/x/_changes", 404, "missing"),
        ("PUT", "/parts/_partition/x", 405, "Only GET allowed"),
        (
            "GET",
            "/parts/_partition/x/_all_docs?partition=y",
            400,
            "Conflicting value for `partition` in query string",
        ),
    ],
)
async def test_bad_partition_requests(
    parts: ServerClient, method: str, path: str, status: int, reason: str
) -> None:
    answer = await parts(method, path)
    assert (answer.status, answer.json["reason"]) == (status, reason)
