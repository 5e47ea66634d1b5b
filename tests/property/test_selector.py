"""Selectors against a naive evaluator that walks the selector as it was sent."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from aiocouch.embedded.collation.collation import sort_key
from aiocouch.embedded.selectors.match import compile_selector, matcher
from aiocouch.embedded.selectors.selector import normalize

SCALARS = st.none() | st.booleans() | st.integers(-3, 3) | st.sampled_from([1.0, 2.5, "", "a", "b"])
VALUES = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("xy"), inner, max_size=2)
    ),
    max_leaves=5,
)
FIELDS = st.sampled_from(["a", "b", "n.x", "n.y", "l.0"])
DOCUMENTS = st.fixed_dictionaries(
    {},
    optional={
        "a": VALUES,
        "b": VALUES,
        "n": st.dictionaries(st.sampled_from("xy"), VALUES, max_size=2),
        "l": st.lists(VALUES, max_size=2),
    },
)
COMPARISONS = st.sampled_from(["$lt", "$lte", "$eq", "$ne", "$gte", "$gt"])


def one_of(name: str, argument: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    return argument.map(lambda value: {name: value})


SIMPLE = st.one_of(
    st.tuples(COMPARISONS, VALUES).map(lambda pair: {pair[0]: pair[1]}),
    one_of("$in", st.lists(VALUES, max_size=3)),
    one_of("$nin", st.lists(VALUES, max_size=3)),
    one_of("$exists", st.booleans()),
    one_of("$type", st.sampled_from(["null", "boolean", "number", "string", "array", "object"])),
    one_of("$size", st.integers(0, 3)),
    one_of("$mod", st.tuples(st.sampled_from([1, 2, -2]), st.integers(-1, 1)).map(list)),
    one_of("$all", st.lists(SCALARS.filter(lambda v: not isinstance(v, float)), max_size=2)),
)
CONDITIONS = st.recursive(
    SIMPLE,
    lambda inner: st.one_of(
        one_of("$elemMatch", inner),
        one_of("$allMatch", inner),
        one_of("$not", inner),
        one_of("$and", st.lists(inner, min_size=1, max_size=2)),
        one_of("$or", st.lists(inner, min_size=1, max_size=2)),
    ),
    max_leaves=3,
)
SELECTORS = st.recursive(
    st.dictionaries(FIELDS, CONDITIONS, min_size=1, max_size=2),
    lambda inner: st.one_of(
        one_of("$and", st.lists(inner, min_size=1, max_size=2)),
        one_of("$or", st.lists(inner, min_size=1, max_size=2)),
        one_of("$nor", st.lists(inner, min_size=1, max_size=2)),
        one_of("$not", inner),
    ),
    max_leaves=3,
)

ABSENT = object()


def look_up(document: Any, field: str) -> tuple[Any, bool]:
    """Give the value (or ABSENT) and whether the way to it was one."""
    for name in field.split("."):
        if isinstance(document, dict):
            if name not in document:
                return ABSENT, True
            document = document[name]
        elif isinstance(document, list):
            if not name.isdigit() or int(name) >= len(document):
                return ABSENT, False
            document = document[int(name)]
        else:
            return ABSENT, False
    return document, True


def negated(name: str, argument: Any) -> tuple[str, Any] | None:
    """Give the operator that a negated operator becomes, None where it stays a $not."""
    pairs = [("$lt", "$gte"), ("$gt", "$lte"), ("$eq", "$ne"), ("$in", "$nin")]
    for one, other in pairs:
        if name in (one, other):
            return (other if name == one else one), argument
    return ("$exists", not argument) if name == "$exists" else None


def evaluate(selector: dict[str, Any], document: Any, *, wanted: bool = True) -> bool:
    """Say whether a document matches, or with `wanted` False whether it matches the negation."""
    results = [
        evaluate_member(name, argument, document, wanted) for name, argument in selector.items()
    ]
    return all(results) if wanted else any(results)


def evaluate_member(name: str, argument: Any, document: Any, wanted: bool) -> bool:
    if name == "$not":
        return evaluate(argument, document, wanted=not wanted)
    if name in ("$and", "$or", "$nor"):
        wanted = wanted != (name == "$nor")
        results = [evaluate(each, document, wanted=wanted) for each in argument]
        return all(results) if (name == "$and") == wanted else any(results)
    return evaluate_field(name, argument, document, wanted)


def evaluate_field(field: str, condition: dict[str, Any], document: Any, wanted: bool) -> bool:
    ((name, argument),) = condition.items()
    if name == "$not":
        return evaluate_field(field, argument, document, not wanted)
    if name in ("$and", "$or"):
        results = [evaluate_field(field, each, document, wanted) for each in argument]
        return all(results) if (name == "$and") == wanted else any(results)
    value, right_way = look_up(document, field)
    if not wanted:
        other = negated(name, argument)
        if other is None:
            return value is not ABSENT and not apply(name, argument, value)
        name, argument = other
    if value is ABSENT:
        return right_way and (name, argument) == ("$exists", False)
    return apply(name, argument, value)


def apply(name: str, argument: Any, value: Any) -> bool:
    """Apply an operator to a value that exists."""
    one, other = sort_key(value), None
    if name in ("$lt", "$lte", "$eq", "$ne", "$gte", "$gt"):
        other = sort_key(argument)
        return {
            "$lt": one < other,
            "$lte": one <= other,
            "$eq": one == other,
            "$ne": one != other,
            "$gte": one >= other,
            "$gt": one > other,
        }[name]
    if name in ("$in", "$nin"):
        values = value if isinstance(value, list) else [value]
        found = any(sort_key(v) == sort_key(a) for v in values for a in argument)
        return found == (name == "$in")
    return apply_other(name, argument, value)


def apply_other(name: str, argument: Any, value: Any) -> bool:
    is_list = isinstance(value, list)
    if name == "$exists":
        return bool(argument)
    if name == "$type":
        names = {type(None): "null", bool: "boolean", int: "number", float: "number"}
        names |= {str: "string", list: "array", dict: "object"}
        return bool(names[type(value)] == argument)
    if name == "$size":
        return is_list and len(value) == argument
    if name == "$mod":
        divisor, rest = argument
        return type(value) is int and bool(value - divisor * int(value / divisor) == rest)
    if name == "$all":
        same = [any(type(a) is type(v) and a == v for v in value) for a in argument if is_list]
        return is_list and bool(argument) and all(same)
    if name == "$not":
        return not apply_nested(argument, value)
    if name in ("$elemMatch", "$allMatch"):
        if not is_list or not value:
            return False
        return (any if name == "$elemMatch" else all)(apply_nested(argument, v) for v in value)
    raise AssertionError(name)


def apply_nested(condition: dict[str, Any], value: Any) -> bool:
    """Inside of an array negations are not pushed down: `$not` just turns the result."""
    ((name, argument),) = condition.items()
    if name in ("$and", "$or"):
        return (all if name == "$and" else any)(apply_nested(each, value) for each in argument)
    if name == "$not":
        return not apply_nested(argument, value)
    return apply(name, argument, value)


@given(SELECTORS, DOCUMENTS)
def test_selectors_match_as_the_naive_evaluator_does(
    selector: dict[str, Any], document: dict[str, Any]
) -> None:
    assert matcher(selector)(document) == evaluate(selector, document)


@given(SELECTORS, DOCUMENTS)
def test_the_normal_form_is_normal(selector: dict[str, Any], document: dict[str, Any]) -> None:
    normal = normalize(selector)
    again = normalize(normal)
    assert again == normal
    assert compile_selector(again)(document) == compile_selector(normal)(document)


@given(VALUES, DOCUMENTS)
def test_a_bare_value_is_equality(value: Any, document: dict[str, Any]) -> None:
    if isinstance(value, dict) and value:
        return  # that would be a nested field
    assert matcher({"a": value})(document) == matcher({"a": {"$eq": value}})(document)
