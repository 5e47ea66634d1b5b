"""What holds the types of answers against answers finds every kind of mistake."""

from __future__ import annotations

from typing import Any, Literal, NotRequired, TypedDict

import pytest

from tests.support.shapes import misfits


class Inner(TypedDict):
    n: int | None


class Shape(TypedDict):
    name: str
    share: float
    kind: Literal["a", "b"]
    inner: NotRequired[Inner | None]
    listed: NotRequired[list[Inner]]
    mapped: NotRequired[dict[str, int | Inner]]
    any: NotRequired[Any]


class Loose(TypedDict, total=False):
    n: int


GOOD: dict[str, Any] = {"name": "x", "share": 1, "kind": "b"}


@pytest.mark.parametrize(
    "more",
    [
        {},
        {"share": 0.5, "inner": None},
        {"inner": {"n": None}, "listed": [], "mapped": {}},
        {"listed": [{"n": 1}], "mapped": {"x": 1, "y": {"n": 1}}, "any": [object]},
    ],
)
def test_what_fits(more: dict[str, Any]) -> None:
    assert list(misfits({**GOOD, **more}, Shape)) == []
    assert list(misfits([GOOD, GOOD], list[Shape])) == []
    assert list(misfits({}, Loose)) == []


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"name": 5}, "answer['name'] is 5, not <class 'str'>"),
        ({"share": True}, "answer['share'] is True, not <class 'float'>"),
        ({"kind": "c"}, "answer['kind'] is 'c', which is none of ('a', 'b')"),
        ({"new": 1}, "answer has 'new', undeclared"),
        ({"inner": {}}, "answer['inner'] has no 'n'"),
        ({"inner": {"n": True}}, "answer['inner']['n'] is True, not <class 'NoneType'>"),
        ({"listed": {}}, "answer['listed'] is {}, not list[tests.unit.client.test_shapes.Inner]"),
        ({"listed": [{"n": 1}, {"n": 1.5}]}, "answer['listed'][1]['n'] is 1.5, not <class 'int'>"),
        ({"mapped": {"x": {"m": 1}}}, "answer['mapped']['x'] has no 'n'"),
        ({"mapped": {1: 1}}, "a name in answer['mapped'] is 1, not <class 'str'>"),
    ],
)
def test_what_does_not_fit(more: dict[str, Any], said: str) -> None:
    found = list(misfits({**GOOD, **more}, Shape))
    assert found[0].partition(", not")[0] == said.partition(", not")[0]


def test_what_is_lacking() -> None:
    assert list(misfits({"share": 1, "kind": "a"}, Shape)) == ["answer has no 'name'"]
    assert list(misfits([], Shape)) == ["answer is [], not Shape"]
    assert list(misfits({"n": "1"}, Loose)) == ["answer['n'] is '1', not <class 'int'>"]
    assert list(misfits(None, list[int])) == ["answer is None, not list[int]"]
