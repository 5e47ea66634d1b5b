"""What hangs from a database: maintenance, revisions, indexes, local documents."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from aiocouch import (
    ConflictError,
    InvalidInputError,
    InvalidTypeError,
    NotFoundError,
    RemoteResponseError,
)
from tests.support.indexes import until_listed

if TYPE_CHECKING:
    from aiocouch import Database
    from aiocouch.topics.search import SearchMethod

VIEW = {"views": {"all": {"map": "function (doc) { emit(doc._id, null); }"}}}


async def test_upkeep_begins(db: Database) -> None:
    await db.bulk_docs([{"_id": "_design/d", **VIEW}, {"_id": "a"}])
    await db.maintenance.compact()
    await db.maintenance.compact_views("d")
    await db.maintenance.compact_views("_design/d")
    await db.maintenance.clean_views()
    await db.maintenance.sync_shards()
    assert isinstance(await db.maintenance.ensure_full_commit(), str)
    with pytest.raises(NotFoundError):
        await db.maintenance.compact_views("missing")


async def test_shards(db: Database) -> None:
    shards = await db.maintenance.shards()
    place = await db.maintenance.shard_of("a document/ü")
    assert place["nodes"] == shards[place["range"]]
    first = min(shards)
    assert first.startswith("00000000-")
    assert all("@" in node for nodes in shards.values() for node in nodes)


async def test_revisions_that_are_missing(db: Database) -> None:
    (row,) = await db.bulk_docs([{"_id": "ü/1", "n": 1}])
    assert "rev" in row
    here, there = row["rev"], "2-" + "a" * 32
    diff = await db.revisions.diff({"ü/1": [here, there], "none": [there]})
    assert diff["ü/1"].missing == [there]
    assert diff["ü/1"].possible_ancestors == [here]
    assert diff["none"].missing == [there]
    assert diff["none"].possible_ancestors == []
    assert await db.revisions.diff({"ü/1": [here]}) == {}
    assert await db.revisions.missing({"ü/1": [here, there]}) == {"ü/1": [there]}
    wrong: Any = {"a": here}
    with pytest.raises(InvalidTypeError):
        await db.revisions.diff(wrong)


async def test_limits_of_revisions(db: Database) -> None:
    await db.revisions.set_limit(77)
    assert await db.revisions.limit() == 77
    await db.revisions.set_purged_limit(55)
    assert await db.revisions.purged_limit() == 55
    for wrong in (0, -1, True):
        with pytest.raises(InvalidInputError):
            await db.revisions.set_limit(wrong)


async def test_what_was_purged(db: Database) -> None:
    (row,) = await db.bulk_docs([{"_id": "a"}])
    assert "rev" in row
    assert await db.revisions.purged() == []
    await db.purge({"a": [row["rev"]]})
    assert await db.revisions.purged() == [{"id": "a", "revs": [row["rev"]]}]


async def test_indexes_come_and_go(db: Database) -> None:
    await db.index({"fields": ["name"]}, ddoc="one", name="by-name/ü")
    await db.index({"fields": ["age"]}, ddoc="two", name="by-age")
    await db.index({"fields": ["size"]}, ddoc="three", name="by-size")
    found = await until_listed(db, 4)
    assert [index["name"] for index in found if index["ddoc"] is None] == ["_all_docs"]
    assert {index["name"] for index in found} == {"_all_docs", "by-name/ü", "by-age", "by-size"}
    assert len(await db.indexes.list(limit=1, skip=1)) == 1

    await db.indexes.delete("one", "by-name/ü")
    with pytest.raises(NotFoundError):
        await db.indexes.delete("_design/one", "by-name/ü")
    done = await db.indexes.delete_many(["two", "_design/three", "none"])
    assert {row["id"] for row in done["success"]} == {"_design/two", "_design/three"}
    assert {row["id"] for row in done["fail"]} == {"_design/none"}
    await until_listed(db, 1)
    wrong: Any = "two"
    with pytest.raises(InvalidTypeError):
        await db.indexes.delete_many(wrong)


async def test_an_index_of_fields(db: Database) -> None:
    fields: Any = ["name", {"age": "asc"}]
    made = await db.indexes.create(fields, name="n", ddoc="d")
    assert made == {"result": "created", "id": "_design/d", "name": "n"}
    assert (await db.indexes.create(fields, name="n", ddoc="d"))["result"] == "exists"
    (own,) = [index for index in await db.indexes.list() if index["name"] == "n"]
    assert own["def"]["fields"] == [{"name": "asc"}, {"age": "asc"}]
    with pytest.raises(InvalidTypeError, match="fields must be a list"):
        await db.indexes.create("name")
    with pytest.raises(InvalidTypeError, match="did you mean 'partitioned'"):
        await db.indexes.create(["a"], partitoned=True)  # type: ignore[call-arg]


async def test_a_query_is_explained(db: Database) -> None:
    await db.index({"fields": ["name"]}, ddoc="one", name="by-name")
    plan = await db.explain({"name": {"$gt": "b"}}, limit=3)
    assert plan["index"]["name"] == "by-name"
    assert plan["limit"] == 3
    plan = await db.explain({"age": 3})
    assert plan["index"]["name"] == "_all_docs"


async def test_local_documents_come_and_go(db: Database) -> None:
    assert [id async for id in db.local.ids()] == []
    document = await db.local.create("point/ü")
    assert document.id == "_local/point/ü"
    document["seq"] = 2**70
    await document.save()
    assert (await db.local.get("point/ü"))["seq"] == 2**70
    assert (await db.local["_local/point/ü"])["seq"] == 2**70
    assert [id async for id in db.local.ids()] == ["_local/point/ü"]
    async for each in db.local.all_docs.docs():
        assert each["seq"] == 2**70
    with pytest.raises(ConflictError):
        await db.local.create("point/ü")
    await document.delete()
    with pytest.raises(NotFoundError):
        await db.local.get("point/ü")
    await db.local.document("other", {"n": 1}).save()
    assert (await db.local["other"])["n"] == 1
    assert (await db.local.get("none", {"n": 2}))["n"] == 2
    assert (await db.local.create("new", data={"n": 3}))["n"] == 3
    with pytest.raises(InvalidInputError):
        await db.local.get("")


SEARCHES = {
    "indexes": {"i": {"index": "function (doc) { index('x', 1); }"}},
    "nouveau": {"i": {"index": "function (doc) { index('double', 'x', 1); }"}},
}


@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_searches_without_a_service(db: Database, method: SearchMethod) -> None:
    await db.bulk_docs([{"_id": "_design/d", **SEARCHES}])
    with pytest.raises(RemoteResponseError, match="Search is not available") as caught:
        await db.search("d", "i").page("x:1", method=method, sort="x", counts=["x"])
    assert caught.value.status == 503
    assert not hasattr(caught.value, "__notes__")  # such as of how often it was tried
    with pytest.raises(NotFoundError):
        await db.search("d", "i", nouveau=True).page("x:1", method=method)


@pytest.mark.parametrize("type", ["text", "nouveau"])
async def test_text_indexes_without_a_service(db: Database, type: str) -> None:
    with pytest.raises(RemoteResponseError, match="index service unavailable") as caught:
        await db.index({"fields": [{"name": "a", "type": "string"}]}, type=type)
    assert caught.value.status == 503
    assert not hasattr(caught.value, "__notes__")
