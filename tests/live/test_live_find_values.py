"""Queries whose rows are plain values, what the server tells beside them, and how it answers."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypedDict, TypeVar

import msgspec
import pytest

from aiocouch import F, InvalidInputError, NotFoundError
from aiocouch.models import MisfitError
from aiocouch.queries import QueryPlan, QueryWarning, QueryWarningError
from aiocouch.testing import assert_uses_index

if TYPE_CHECKING:
    from aiocouch import CouchDB, Database, Document
    from aiocouch.queries import Found

T = TypeVar("T")


class Person(msgspec.Struct):
    name: str
    age: int = 0


class Strict(msgspec.Struct, forbid_unknown_fields=True):
    name: str


class Named(msgspec.Struct):
    id: str = msgspec.field(name="_id")
    age: int


@dataclass
class Plain:
    name: str


class Typed(TypedDict):
    name: str


@pytest.fixture
async def people(db: Database) -> Database:
    """Ten people, aged 0 to 9."""
    docs = [
        {"_id": f"p{age}", "age": age, "name": f"name {age}", "at": {"x": age}} for age in range(10)
    ]
    await db.bulk_docs(docs)
    return db


async def gather(rows: Found[T], seen: list[T]) -> None:
    """Put rows into a list until there are no more, or an error."""
    async for row in rows:
        seen.append(row)  # noqa: PERF401 - those before an error, too


async def test_rows_are_dicts_of_the_fields(people: Database) -> None:
    found = people.find_values({"age": {"$gte": 8}}, fields=["name", "at.x"])
    assert [row async for row in found] == [
        {"name": "name 8", "at": {"x": 8}},
        {"name": "name 9", "at": {"x": 9}},
    ]


async def test_the_id_is_there_when_it_is_asked_for(people: Database) -> None:
    rows = [row async for row in people.find_values({"age": 3}, fields=["_id", "age"])]
    assert rows == [{"_id": "p3", "age": 3}]


async def test_without_fields_rows_are_whole(people: Database) -> None:
    (row,) = [row async for row in people.find_values(F.age == 3)]
    assert row.keys() == {"_id", "_rev", "age", "name", "at"}


@pytest.mark.parametrize(
    ("into", "fields", "row"),
    [
        (Person, ["name", "age"], Person("name 3", 3)),
        (Person, None, Person("name 3", 3)),
        (Strict, ["name"], Strict("name 3")),
        (Named, ["_id", "age"], Named("p3", 3)),
        (Plain, ["name"], Plain("name 3")),
        (Typed, ["name"], {"name": "name 3"}),
        (dict[str, int], ["age"], {"age": 3}),
    ],
)
async def test_rows_of_a_type(people: Database, into: Any, fields: Any, row: Any) -> None:
    assert [one async for one in people.find_values({"age": 3}, fields=fields, into=into)] == [row]


async def test_a_row_that_does_not_fit_is_named(people: Database) -> None:
    await people.bulk_docs([{"_id": "q", "age": 20, "name": 5}])
    found = people.find_values({"age": {"$gte": 8}}, fields=["name"], into=Person)
    seen: list[Person] = []
    with pytest.raises(MisfitError) as caught:
        await gather(found, seen)
    assert [row.name for row in seen] == ["name 8", "name 9"]
    assert (caught.value.document_id, caught.value.place) == ("q", "$.name")
    assert str(caught.value) == (
        "row 3, of the document 'q', does not fit: Expected `str`, got `int` at $.name"
    )


async def test_limit_skip_and_bookmark(people: Database) -> None:
    found = people.find_values({"age": {"$gte": 0}}, 3, fields=["age"], skip=2)
    assert found.bookmark is None
    assert [row["age"] async for row in found] == [2, 3, 4]
    more = people.find_values({"age": {"$gte": 0}}, 2, fields=["age"], bookmark=found.bookmark)
    assert [row["age"] async for row in more] == [5, 6]


async def test_what_a_query_has_cost(people: Database) -> None:
    found = people.find({"age": {"$gte": 8}}, execution_stats=True)
    assert found.execution_stats is None
    assert [doc.id async for doc in found] == ["p8", "p9"]
    assert found.execution_stats is not None
    assert found.execution_stats["results_returned"] == 2
    assert found.execution_stats["total_docs_examined"] == 10


async def test_a_warning_is_there_to_be_read(people: Database) -> None:
    found = people.find({"age": 3})
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert [doc.id async for doc in found] == ["p3"]
    assert found.warning is not None
    assert "No matching index found" in found.warning


async def test_a_warning_of_python(people: Database) -> None:
    with pytest.warns(QueryWarning, match="No matching index found") as caught:
        async for _ in people.find_values({"age": 3}, on_warning="warn"):
            pass
    assert [one.filename for one in caught] == [__file__]


async def test_strict(people: Database) -> None:
    seen: list[Document] = []
    with pytest.raises(QueryWarningError, match="No matching index found"):
        await gather(people.find({"age": 3}, on_warning="raise"), seen)
    assert [doc.id for doc in seen] == ["p3"]


async def test_an_index_answers_without_a_warning(people: Database) -> None:
    await people.index({"fields": ["age"]}, ddoc="ages", name="by-age")
    found = people.find({"age": 3}, on_warning="raise", use_index="ages")
    assert [doc.id async for doc in found] == ["p3"]
    assert found.warning is None


async def test_a_plan_tells_which_index_is_used(people: Database) -> None:
    await people.index({"fields": ["age"]}, ddoc="ages", name="by-age")
    await people.index({"fields": ["name"]}, ddoc="names", name="by-name")
    plan = await people.explain({"age": 3}, fields=["age"], use_index="ages")
    assert isinstance(plan, QueryPlan)
    assert (plan.index_name, plan.index_type, plan.design_doc) == ("by-age", "json", "_design/ages")
    assert plan.is_covering
    assert plan["index"]["name"] == "by-age"
    for index in ("by-age", "ages", "_design/ages", ["ages"], ["_design/ages", "by-age"]):
        assert plan.uses(index)
    for index in ("by-name", "names", "", ["ages", "by-name"], ["names", "by-age"]):
        assert not plan.uses(index)
    others = {one.name: one for one in plan.candidates}
    assert others["by-name"].reasons == ["field_mismatch"]
    assert not others["by-name"].usable


async def test_a_plan_without_an_index(people: Database) -> None:
    plan = await people.explain({"age": 3})
    assert (plan.index_name, plan.index_type, plan.design_doc) == ("_all_docs", "special", None)
    assert not plan.is_covering
    assert not plan.uses("")
    assert plan.uses("_all_docs")


async def test_tests_can_say_which_index_is_used(people: Database) -> None:
    await people.index({"fields": ["age"]}, ddoc="ages", name="by-age")
    await people.index({"fields": ["name"]}, ddoc="names", name="by-name")
    plan = await assert_uses_index(people, {"age": 3}, "by-age", use_index="ages")
    assert plan.index_name == "by-age"
    with pytest.raises(AssertionError) as caught:
        await assert_uses_index(people, {"age": 3}, "by-name", use_index="ages")
    said, others, *candidates = str(caught.value).splitlines()
    assert said == (
        "the query does not use the index 'by-name', it uses 'by-age' of _design/ages (json)"
    )
    assert others == "others:"
    assert any(line.startswith("  'by-name' of _design/names (json): ") for line in candidates)


async def test_values_of_a_partition(couchdb: CouchDB, fresh_name: str) -> None:
    db = await couchdb.create(fresh_name, partitioned=True)
    await db.bulk_docs([{"_id": "a:1", "n": 1}, {"_id": "b:1", "n": 1}])
    found = db.partition("a").find_values({"n": 1}, fields=["_id"])
    assert [row async for row in found] == [{"_id": "a:1"}]
    assert (await db.partition("a").explain({"n": 1})).index_name == "_all_docs"


async def test_values_of_a_missing_database(missing: Database) -> None:
    with pytest.raises(NotFoundError):
        await anext(missing.find_values({}))


async def test_the_word_selector_may_be_a_member(db: Database) -> None:
    await db.bulk_docs([{"_id": "a", "selector": {"type": "x"}}])
    with pytest.warns(QueryWarning, match="its selector only"):
        found = db.find({"selector": {"type": "x"}})
    assert [doc.id async for doc in found] == ["a"]
    assert [doc.id async for doc in db.find({"selector.type": "x"})] == ["a"]
    with pytest.raises(InvalidInputError, match="body"):
        db.find({"selector": {"type": "x"}}, on_warning="warn")
