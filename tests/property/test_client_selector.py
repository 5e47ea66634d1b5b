"""Conditions of `F` say what they look like, whatever the names, the values and the documents."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiocouch import F, InvalidInputError, InvalidTypeError, It
from aiocouch.embedded.selectors.match import compile_selector
from aiocouch.embedded.selectors.selector import normalize
from aiocouch.selector import Selector, all_of, any_of, none_of

names = st.text(min_size=1, max_size=4, alphabet="ab.$_ ü")
values: st.SearchStrategy[Any] = (
    st.none() | st.booleans() | st.integers(-3, 3) | st.sampled_from("ab")
)
documents = st.dictionaries(
    st.sampled_from("ab"),
    values | st.lists(values, max_size=3) | st.dictionaries(st.sampled_from("ab"), values),
)


def matches(selector: Selector, document: dict[str, Any]) -> bool:
    """What the embedded server makes of it."""
    return compile_selector(normalize(dict(selector)))(document)


def _condition(field: str, operator: str, value: Any) -> Selector:
    left = F[field]
    made: dict[str, Any] = {
        "==": lambda: left == value,
        "!=": lambda: left != value,
        "<": lambda: left < value,
        "<=": lambda: left <= value,
        ">": lambda: left > value,
        ">=": lambda: left >= value,
        "exists": left.exists,
        "missing": lambda: left.exists(False),
        "in": lambda: left.is_in([value, 1]),
        "not in": lambda: left.not_in([value, 1]),
        "any": lambda: left.any(It == value),
        "any of": lambda: left.any((It > value) | (It == 1)),
        "every": lambda: left.every(It >= value),
        "inner": lambda: left.a == value,
        "size": lambda: left.has_size(1),
    }
    condition = made[operator]()
    assert isinstance(condition, Selector)
    return condition


operators = st.sampled_from(
    [
        "==",
        "!=",
        "<",
        "<=",
        ">",
        ">=",
        "exists",
        "missing",
        "in",
        "any",
        "every",
        "inner",
        "size",
        "not in",
        "any of",
    ]
)
single = st.builds(_condition, st.sampled_from("ab"), operators, values)
conditions = st.recursive(
    single,
    lambda inner: st.one_of(
        st.builds(lambda a, b: a & b, inner, inner),
        st.builds(lambda a, b: a | b, inner, inner),
        st.builds(lambda a: ~a, inner),
    ),
    max_leaves=4,
)


@given(conditions, conditions, documents)
def test_both_are_met_when_each_is(
    one: Selector, other: Selector, document: dict[str, Any]
) -> None:
    expected = matches(Selector({"$and": [dict(one), dict(other)]}), document)
    assert matches(one & other, document) == expected
    assert matches(all_of(one, other), document) == expected


@given(conditions, conditions, conditions, documents)
def test_one_is_met_in_any_grouping(
    one: Selector, two: Selector, three: Selector, document: dict[str, Any]
) -> None:
    expected = matches(any_of(one, two, three), document)
    assert matches((one | two) | three, document) == expected
    assert matches(one | (two | three), document) == expected


@given(conditions, conditions, documents)
def test_none_is_met(one: Selector, other: Selector, document: dict[str, Any]) -> None:
    expected = matches(Selector({"$nor": [dict(one), dict(other)]}), document)
    assert matches(none_of(one, other), document) == expected


@given(names, names)
def test_any_name_is_a_field(outer: str, inner: str) -> None:
    condition = F[outer][inner] == 1
    assert matches(condition, {outer: {inner: 1}})
    assert not matches(condition, {outer: {inner: 2}})
    assert not matches(condition, {outer + "x": {inner: 1}})


def test_the_dict_is_as_one_would_write_it() -> None:
    assert (F.age > 21) == {"age": {"$gt": 21}}
    assert ((F.age > 21) & (F.age <= 30)) == {"age": {"$gt": 21, "$lte": 30}}
    assert ((F.age > 21) & (F.city == "x")) == {"age": {"$gt": 21}, "city": {"$eq": "x"}}
    assert ((F.age > 21) & (F.age > 30)) == {"$and": [{"age": {"$gt": 21}}, {"age": {"$gt": 30}}]}
    assert (~(F.a == 1)) == {"$not": {"a": {"$eq": 1}}}
    assert (~~(F.a == 1) & ~(F.b == 1))["$and"]
    assert F.tags.any(It == "x") == {"tags": {"$elemMatch": {"$eq": "x"}}}
    assert F.address.city.begins_with("B") == {"address.city": {"$beginsWith": "B"}}
    assert F["a.b"].exists() == {"a\\.b": {"$exists": True}}
    assert F.n.mod(4, 1) == {"n": {"$mod": [4, 1]}}
    assert F.o.any_key(It == "k") == {"o": {"$keyMapMatch": {"$eq": "k"}}}
    assert F.l.has_all(["a"]) == {"l": {"$all": ["a"]}}
    assert F.l.every(F.x == (1, 2)) == {"l": {"$allMatch": {"x": {"$eq": [1, 2]}}}}
    assert F.s.matches("^a") == {"s": {"$regex": "^a"}}
    assert F.s.is_type("string") == {"s": {"$type": "string"}}
    assert repr(F.age > 21) == str(F.age > 21) == "{'age': {'$gt': 21}}"
    assert all_of() == {}


def test_what_would_lose_a_condition_is_refused() -> None:
    with pytest.raises(InvalidTypeError, match="&"):
        _ = (F.a > 1) and (F.b > 1)
    with pytest.raises(InvalidTypeError, match="&"):
        _ = 1 < F.a < 3
    field: Any = F.a
    with pytest.raises(InvalidTypeError, match="not a condition"):
        _ = not field
    wrong: Any = F.b
    with pytest.raises(InvalidTypeError, match="with a value"):
        _ = F.a > wrong
    with pytest.raises(InvalidTypeError):
        F.a.is_in("abc")
    with pytest.raises(InvalidInputError):
        F[""]
    with pytest.raises(InvalidInputError, match="backslash"):
        F["a\\b"]
    with pytest.raises(InvalidInputError):
        F.a.mod(0, 0)
    with pytest.raises(TypeError):
        _ = (F.a > 1) & wrong
