"""Selectors as people type them."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiocouch.cli.conditions import fields_of, is_condition, selector_of
from aiocouch.cli.exits import CommandError


@pytest.mark.parametrize(
    ("words", "selector"),
    [
        ([], {}),
        (["a=1"], {"a": {"$eq": 1}}),
        (["a=x"], {"a": {"$eq": "x"}}),
        (['a="1"'], {"a": {"$eq": "1"}}),
        (["a="], {"a": {"$eq": ""}}),
        (["a=null"], {"a": {"$eq": None}}),
        (["a.b>=2"], {"a.b": {"$gte": 2}}),
        (["a<=b=c"], {"a": {"$lte": "b=c"}}),
        (["a!=[1]"], {"a": {"$ne": [1]}}),
        (["a~^1="], {"a": {"$regex": "^1="}}),
        (["a>1", "a<5"], {"$and": [{"a": {"$gt": 1}}, {"a": {"$lt": 5}}]}),
        (['{"a": {"$in": [1]}}'], {"a": {"$in": [1]}}),
    ],
)
def test_words(words: list[str], selector: dict[str, Any]) -> None:
    assert selector_of(words) == selector
    assert all(map(is_condition, words))


@pytest.mark.parametrize("word", ["a", "", "=1", "{a}", "[1]"])
def test_what_is_no_condition(word: str) -> None:
    with pytest.raises(CommandError):
        selector_of([word])


def test_fields() -> None:
    selector = {
        "$and": [{"n": {"$gt": 1}}, {"type": {"$eq": "a"}}, {"b": {"c": {"$lt": 2}}}],
        "d": 5,
        "n": {"$lt": 9},
    }
    assert fields_of(selector) == ["type", "d", "n", "b.c"]
    assert fields_of({}) == []


def test_fields_by_which_no_index_narrows() -> None:
    alternatives = {"$or": [{"a": 1}], "$nor": [{"b": 1}], "$not": {"c": 1}}
    assert fields_of(alternatives) == []
    operators = {
        "a": {"$regex": "^x"},
        "b": {"$ne": 1},
        "c": {"$in": [1]},
        "d": {"$not": {"$eq": 1}},
    }
    assert fields_of(operators) == []
    assert fields_of({"a": {"$beginsWith": "x", "$ne": "xy"}, "b": {"$elemMatch": {"c": 1}}}) == [
        "a"
    ]


@given(
    st.from_regex(r"[a-z][a-z0-9_.]*", fullmatch=True),
    st.sampled_from(["=", "!=", ">", ">=", "<", "<="]),
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.text(),
)
def test_any_value_can_be_typed_as_json(field: str, operator: str, value: Any) -> None:
    import msgspec

    (found,) = selector_of([f"{field}{operator}{msgspec.json.encode(value).decode()}"])[
        field
    ].values()
    assert found == value
    assert type(found) is type(value)
