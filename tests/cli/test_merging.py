"""Two edits of one document become one, or are told to overlap."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from aiocouch.cli.merging import ABSENT, Difference, Overlap, differences, is_same, merge

SCALARS = st.none() | st.booleans() | st.integers(-2, 2) | st.sampled_from(["", "a"])
VALUES = st.recursive(
    SCALARS,
    lambda below: (
        st.lists(below, max_size=2) | st.dictionaries(st.sampled_from("abc"), below, max_size=2)
    ),
    max_leaves=6,
)
OBJECTS = st.dictionaries(st.sampled_from("abcd"), VALUES, max_size=3)


def test_members_that_do_not_overlap() -> None:
    base = {"a": 1, "b": {"c": 1, "d": 1}, "e": 1}
    ours = {"a": 2, "b": {"c": 2, "d": 1}, "e": 1}
    theirs = {"a": 1, "b": {"c": 1, "d": 3}, "f": 4}
    assert merge(base, ours, theirs) == ({"a": 2, "b": {"c": 2, "d": 3}, "f": 4}, [])


def test_members_that_overlap() -> None:
    merged, overlaps = merge({"a": {"b": 1}}, {"a": {"b": 2}}, {"a": {"b": 3}})
    assert merged == {"a": {"b": 2}}
    assert overlaps == [Overlap("a.b", 1, 2, 3)]
    assert merge({"a": 1}, {"a": 2}, {})[1] == [Overlap("a", 1, 2, ABSENT)]
    assert merge({}, {"a": [1]}, {"a": [1, 2]})[1] == [Overlap("a", ABSENT, [1], [1, 2])]


def test_one_is_not_true() -> None:
    assert not is_same(1, True)
    assert merge({"a": 1}, {"a": True}, {"a": 1})[0] == {"a": True}
    assert is_same({"a": 1, "b": 2}, {"b": 2, "a": 1})


@given(OBJECTS, OBJECTS)
def test_who_changes_alone_is_followed(base: dict[str, Any], changed: dict[str, Any]) -> None:
    for merged, overlaps in (merge(base, changed, base), merge(base, base, changed)):
        assert is_same(merged, changed)
        assert not overlaps
    merged, overlaps = merge(base, changed, changed)
    assert is_same(merged, changed)
    assert not overlaps


@given(OBJECTS, OBJECTS, OBJECTS)
def test_both_ways_round_overlap_in_the_same_places(
    base: dict[str, Any], ours: dict[str, Any], theirs: dict[str, Any]
) -> None:
    merged, overlaps = merge(base, ours, theirs)
    turned, also = merge(base, theirs, ours)
    assert sorted(each.path for each in overlaps) == sorted(each.path for each in also)
    assert overlaps or is_same(merged, turned)


@given(OBJECTS, OBJECTS)
def test_what_differs(one: dict[str, Any], other: dict[str, Any]) -> None:
    assert bool(differences([one, other])) is not is_same(one, other)


def test_what_differs_beside_the_base() -> None:
    versions: list[dict[str, Any]] = [{"a": {"b": 2, "c": 0}}, {"a": {"b": 3, "c": 0}, "d": 1}]
    assert differences(versions, {"a": {"b": 1}}) == [
        Difference("a.b", 1, [2, 3]),
        Difference("d", ABSENT, [ABSENT, 1]),
    ]
