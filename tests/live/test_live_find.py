"""Mango: find and index."""

from typing import Any

import pytest

import aiocouch
from aiocouch import Database, Document, F, It, Selector
from tests.support.indexes import until_listed


@pytest.fixture
async def people(db: Database) -> Database:
    """Forty people, aged 0 to 39."""
    async with db.create_docs([f"{age:02}" for age in range(40)]) as bulk:
        for doc in bulk:
            doc.update({"age": int(doc.id), "name": f"name {doc.id}", "tags": [int(doc.id) % 3]})
    return db


async def names(docs: Any) -> list[str]:
    return sorted([doc.id async for doc in docs])


async def test_find(people: Database) -> None:
    found = [doc async for doc in people.find({"age": 7})]
    assert [(doc.id, doc["name"]) for doc in found] == [("07", "name 07")]
    (doc,) = found
    assert isinstance(doc, Document)
    assert doc.exists
    assert await doc.save() is None
    doc["name"] = "new"
    await doc.save()
    assert (await people["07"])["name"] == "new"


async def test_find_nothing(people: Database) -> None:
    assert await names(people.find({"age": -1})) == []


async def test_find_more_than_a_default_page(people: Database) -> None:
    # CouchDB's own limit would be 25.
    assert len(await names(people.find({"age": {"$gte": 0}}))) == 40


async def test_find_with_limit_and_skip(people: Database) -> None:
    assert len(await names(people.find({"age": {"$gte": 0}}, limit=30))) == 30
    assert len(await names(people.find({"age": {"$gte": 0}}, 5))) == 5
    assert len(await names(people.find({"age": {"$gte": 0}}, limit=30, skip=35))) == 5
    assert len(await names(people.find({"age": {"$gte": 0}}, skip=35))) == 5


async def test_find_with_operators(people: Database) -> None:
    assert await names(people.find({"age": {"$in": [1, 2]}})) == ["01", "02"]
    assert await names(people.find({"$or": [{"age": 1}, {"name": "name 02"}]})) == ["01", "02"]
    assert await names(people.find({"tags": {"$elemMatch": {"$eq": 0}}, "age": {"$lt": 5}})) == [
        "00",
        "03",
    ]
    assert await names(people.find({"name": {"$regex": "1[89]$"}})) == ["18", "19"]
    assert await names(people.find({"age": {"$not": {"$gt": 0}}})) == ["00"]


async def test_index_and_sort(people: Database) -> None:
    answer = await people.index({"fields": ["age"]}, name="by-age", ddoc="ages", type="json")
    assert (answer["result"], answer["id"], answer["name"]) == ("created", "_design/ages", "by-age")
    again = await people.index(index={"fields": ["age"]}, name="by-age", ddoc="ages")
    assert again["result"] == "exists"
    found = [
        doc.id async for doc in people.find({"age": {"$gte": 30}}, sort=[{"age": "desc"}], limit=3)
    ]
    assert found == ["39", "38", "37"]
    assert await names(people.find({"age": 3}, use_index=["ages", "by-age"])) == ["03"]


async def test_an_index_is_a_dict(db: Database) -> None:
    fields: Any = ["age"]
    with pytest.raises(aiocouch.InvalidTypeError, match=r"such as \{'fields': \['age'\]\}"):
        await db.index(fields)


async def test_an_index_of_some_documents(people: Database) -> None:
    older = {"age": {"$gte": 38}}
    await people.index({"fields": ["name"]}, ddoc="older", partial_filter_selector=older)
    await until_listed(people, 2)
    found = people.find({"name": {"$gt": ""}}, use_index="older")
    assert await names(found) == ["38", "39"]


async def test_sort_without_an_index(people: Database) -> None:
    with pytest.raises(aiocouch.BadRequestError) as caught:
        await names(people.find({"age": {"$gte": 0}}, sort=["age"]))
    assert caught.value.error == "no_usable_index"


async def test_invalid_selector(people: Database) -> None:
    with pytest.raises(aiocouch.BadRequestError) as caught:
        await names(people.find({"age": {"$nonsense": 1}}))
    assert caught.value.status == 400


async def test_invalid_index(people: Database) -> None:
    with pytest.raises(aiocouch.BadRequestError):
        await people.index({"fields": [5]})


async def test_fields_are_refused(people: Database) -> None:
    options: Any = {"fields": ["age"]}
    with pytest.raises(ValueError, match="fields"):
        await names(people.find({}, **options))


async def test_find_skips_design_documents(people: Database) -> None:
    await people.index({"fields": ["age"]}, ddoc="ages")
    assert len(await names(people.find({"_id": {"$gt": None}}))) == 40


async def test_find_in_a_missing_database(missing: Database) -> None:
    with pytest.raises(aiocouch.NotFoundError):
        await names(missing.find({}))
    with pytest.raises(aiocouch.NotFoundError):
        await missing.index({"fields": ["a"]})


async def test_conditions_in_python(db: Database) -> None:
    await db.bulk_docs(
        [
            {"_id": "a", "n": 1, "tags": ["x", "y"], "o": {"p.q": 1}},
            {"_id": "b", "n": 5, "tags": ["y"], "$d": 1},
            {"_id": "c", "n": 9, "tags": [], "o": {"k": "v"}},
        ]
    )

    async def found(selector: Selector) -> list[str]:
        return sorted([doc.id async for doc in db.find(selector)])

    assert await found((F.n > 1) & (F.n < 9)) == ["b"]
    assert await found((F.n == 1) | (F.n == 9)) == ["a", "c"]
    assert await found(F.tags.any(It == "y")) == ["a", "b"]
    assert await found(~F.tags.any(It == "y")) == ["c"]
    assert await found(F.o["p.q"] == 1) == ["a"]
    assert await found(F["$d"] == 1) == ["b"]
    assert await found(F.o.any_key(It == "k")) == ["c"]
    assert await found(F.n.mod(4, 1)) == ["a", "b", "c"]
    assert await found(F.o.exists(False)) == ["b"]
