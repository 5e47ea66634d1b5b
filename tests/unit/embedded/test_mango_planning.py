"""The choice of an index, without a database."""

from __future__ import annotations

from typing import Any

import pytest

from aiocouch.embedded.errors import CouchError
from aiocouch.embedded.mango.bookmark import read_bookmark, write_bookmark
from aiocouch.embedded.mango.definition import (
    ALL_DOCS,
    JsonIndex,
    indexes_of,
    plan_index,
)
from aiocouch.embedded.mango.fields import projection
from aiocouch.embedded.mango.options import read_find, read_index
from aiocouch.embedded.mango.planning import Plan, make_plan
from aiocouch.embedded.mango.ranges import EMPTY, MAX, end_key, field_ranges, start_key
from aiocouch.embedded.selectors.selector import normalize


def index(name: str, *fields: str, partial: Any = None, partitioned: bool = False) -> JsonIndex:
    order = tuple((field, "asc") for field in fields)
    return JsonIndex(f"_design/{name}", name, fields, order, partial or {}, partitioned)


def plan(indexes: list[JsonIndex], **query: Any) -> Plan:
    return make_plan([ALL_DOCS, *indexes], read_find(query))


def chosen(indexes: list[JsonIndex], **query: Any) -> str:
    found = plan(indexes, **query).index
    assert found is not None
    return found.name


A, B, AB, ABC = index("a", "a"), index("b", "b"), index("ab", "a", "b"), index("abc", *"abc")


@pytest.mark.parametrize(
    ("query", "name"),
    [
        ({"selector": {"a": 1}}, "a"),
        ({"selector": {"a": 1, "b": 2}}, "ab"),
        ({"selector": {"a": 1, "b": 2, "c": 3}}, "abc"),
        ({"selector": {"c": 1}}, "_all_docs"),
        ({"selector": {}}, "_all_docs"),
        ({"selector": {"$or": [{"a": 1}, {"a": 2}]}}, "a"),
        ({"selector": {"$or": [{"a": 1}, {"b": 2}]}}, "_all_docs"),
        ({"selector": {"a": {"$exists": False}}}, "_all_docs"),
        ({"selector": {"a": {"$exists": True}}}, "a"),
        ({"selector": {"a": {"$regex": "x"}}}, "a"),
        ({"selector": {"a": 1}, "sort": ["b"]}, "ab"),
        ({"selector": {"a": {"$gt": 1}}, "sort": ["a", "b"]}, "ab"),
        ({"selector": {"a": {"$gt": 1}}, "sort": ["b"]}, "b"),
        ({"selector": {"_id": {"$gt": "x"}}, "sort": ["_id"]}, "_all_docs"),
        ({"selector": {"a": 1, "b": 1}, "use_index": "a"}, "a"),
        ({"selector": {"a": 1, "b": 1}, "use_index": "_design/b"}, "b"),
        ({"selector": {"a": 1, "b": 1}, "use_index": ["b", "b"]}, "b"),
        ({"selector": {"a": 1}, "use_index": "b"}, "a"),
        ({"selector": {"a": 1}, "use_index": ["a", "nosuch"]}, "a"),
    ],
)
def test_the_choice(query: dict[str, Any], name: str) -> None:
    assert chosen([A, B, AB, ABC], **query) == name


def test_equal_indexes_are_chosen_by_name() -> None:
    assert chosen([index("z", "a"), index("y", "a")], selector={"a": 1}) == "y"


def test_a_partial_index_must_be_named() -> None:
    partial = index("p", "a", partial={"b": {"$eq": 1}})
    assert chosen([partial], selector={"a": 1}) == "_all_docs"
    assert chosen([partial], selector={"a": 1}, use_index="p") == "p"


def test_partitions_use_their_own_indexes() -> None:
    both = [index("l", "a", partitioned=True), index("g", "a")]
    assert chosen(both, selector={"a": 1}) == "g"
    assert chosen(both, selector={"a": 1}, partition="p") == "l"


@pytest.mark.parametrize(
    ("query", "error"),
    [
        ({"selector": {"a": 1}, "sort": ["c"]}, "no_usable_index"),
        ({"selector": {"a": 1}, "sort": ["_id"]}, "no_usable_index"),
        ({"selector": {"c": 1}, "allow_fallback": False}, "invalid_index"),
        ({"selector": {"a": 1}, "use_index": "x", "allow_fallback": False}, "invalid_index"),
    ],
)
def test_no_index(query: dict[str, Any], error: str) -> None:
    with pytest.raises(CouchError) as caught:
        plan([A], **query)
    assert (caught.value.status, caught.value.error) == (400, error)


def test_no_index_for_the_sort_of_a_partitioned_database() -> None:
    query = read_find({"selector": {}, "sort": ["a"], "partition": "p"})
    with pytest.raises(CouchError, match="No partitioned index exists"):
        make_plan([ALL_DOCS], query, database_partitioned=True)
    with pytest.raises(CouchError, match="No global index exists"):
        make_plan([], read_find({"selector": {}, "sort": ["a"]}), database_partitioned=True)


@pytest.mark.parametrize(
    ("selector", "start", "end"),
    [
        ({"a": 5}, [5], [5, MAX]),
        ({"a": {"$gt": 5}}, [5], [MAX]),
        ({"a": {"$lt": 5}}, [], [5, MAX]),
        ({"a": {"$gte": 5, "$lt": 9}}, [5], [9, MAX]),
        ({"a": {"$gt": 1, "$gte": 5}}, [5], [MAX]),
        ({"a": {"$lte": 9, "$lt": 7}}, [], [7, MAX]),
        ({"a": {"$eq": 5, "$gt": 1}}, [5], [5, MAX]),
        ({"a": {"$gte": 5, "$lte": 5}}, [5], [5, MAX]),
        ({"a": {"$beginsWith": "x"}}, ["x"], ["x\uffff", MAX]),
        ({"a": {"$in": [1]}}, [], [MAX]),
        ({"a": {"$gt": None}}, [None], [MAX]),
    ],
)
def test_ranges(selector: dict[str, Any], start: list[Any], end: list[Any]) -> None:
    ranges = [found for _, found in field_ranges(normalize(selector))]
    assert start_key(ranges) == start
    assert end_key(ranges) == end


@pytest.mark.parametrize(
    "selector",
    [
        {"a": {"$gt": 5, "$lt": 5}},
        {"a": {"$gt": 5, "$lte": 5}},
        {"a": {"$eq": 1, "$gt": 5}},
        {"$and": [{"a": 1}, {"a": 2}]},
        {"a": {"$lt": "a", "$gt": "b"}},
        {"a": {"$beginsWith": "x", "$lt": "w"}},
    ],
)
def test_contradictions(selector: dict[str, Any]) -> None:
    assert field_ranges(normalize(selector)) == [("a", EMPTY)]
    assert plan([A], selector=selector).ranges == [EMPTY]


@pytest.mark.parametrize(
    ("body", "name"),
    [
        ({"index": {"fields": ["name"]}}, "eab5ed115652e6127f384f00d0bc4b9e0b7dbed9"),
        ({"index": {"fields": []}}, "16d64bc5aa5ac9a0662f02b45a7d70d4a6923ccc"),
        (
            {"index": {"fields": ["a", "a"]}, "name": "dup"},
            "9accb36717bdb37bf6f9338964aafddd07d52a5b",
        ),
    ],
)
def test_names_that_couchdb_gives(body: dict[str, Any], name: str) -> None:
    assert plan_index(read_index(body)).ddoc == f"_design/{name}"


def test_an_index_is_read_back_from_its_design_document() -> None:
    body = {"index": {"fields": ["a", {"b": "asc"}]}, "name": "x", "ddoc": "d"}
    new = plan_index(read_index(body))
    document = new.add_to({"language": "query"})
    assert new.add_to(document) == document
    (found,) = indexes_of(new.ddoc, document, database_partitioned=False)
    assert (found.ddoc, found.name, found.columns) == ("_design/d", "x", ("a", "b"))


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"language": "javascript", "views": {"x": {"map": {"fields": {"a": "asc"}}}}},
        {"language": "query", "views": 5},
        {"language": "query", "views": {"x": 5}},
        {"language": "query", "views": {"x": {"map": "function () {}", "options": {}}}},
        {"language": "query", "views": {"x": {"map": {"fields": {}}}}},
    ],
)
def test_what_is_no_index(body: dict[str, Any]) -> None:
    assert indexes_of("_design/x", body, database_partitioned=False) == []


def test_bookmarks() -> None:
    assert read_bookmark(write_bookmark(b'["a",12345678901234567890123]', "ö")) == (
        ["a", 12345678901234567890123],
        "ö",
    )


@pytest.mark.parametrize("text", ["nil", "g", "gnil", "x" + write_bookmark(b"1", "a")[1:], "gW10"])
def test_bad_bookmarks(text: str) -> None:
    with pytest.raises(CouchError, match="Invalid bookmark value"):
        read_bookmark(text)


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        (["a"], {"a": {"b": 1, "c": [5, 6]}}),
        (["a.b"], {"a": {"b": 1}}),
        (["a.c.1", "x"], {"a": {"c": {"1": 6}}}),
        (["a.b", "a.c"], {"a": {"b": 1, "c": [5, 6]}}),
        (["d\\.e"], {"d.e": 2}),
        (["s.t", "s"], {"s": 3}),
    ],
)
def test_fields(fields: list[str], expected: dict[str, Any]) -> None:
    document = {"a": {"b": 1, "c": [5, 6]}, "d.e": 2, "s": 3}
    assert projection(fields)(document) == expected
