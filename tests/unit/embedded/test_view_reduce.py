"""The built-in reduce functions."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiocouch.embedded.codec import encode
from aiocouch.embedded.collation.collation import sort_key
from aiocouch.embedded.errors import CouchError
from aiocouch.embedded.views.reduce import builtin
from aiocouch.embedded.views.reducers import ReduceLimit
from aiocouch.embedded.views.tables import IndexRow


def rows(*values: Any, keys: list[Any] | None = None) -> list[IndexRow]:
    keys = list(range(len(values))) if keys is None else keys
    return [
        IndexRow(sort_key(key), "id", 0, encode(key), encode(value))
        for key, value in zip(keys, values, strict=True)
    ]


def reduced(name: str, *values: Any) -> Any:
    function = builtin(name)
    return json.loads(function.finish(function.combine([function.reduce(rows(*values))])))


@pytest.mark.parametrize(
    ("name", "values", "result"),
    [
        ("_count", [None, "x", {}], 3),
        ("_sum", [1, 2, 3], 6),
        ("_sum", [0.5, 1], 1.5),
        ("_sum", [12345678901234567890123, 1], 12345678901234567890124),
        ("_sum", [[1, 2], [10, 20, 30]], [11, 22, 30]),
        ("_sum", [5, [1, 2]], [6, 2]),
        ("_sum", [{"x": 1, "y": 2}, {"x": 5, "z": 1}], {"x": 6, "y": 2, "z": 1}),
        ("_sum", [{"a": {"b": [1]}}, {"a": {"b": [2, 3]}}], {"a": {"b": [3, 3]}}),
        ("_sum", [[1, "x"]], [1, "x"]),
        ("_stats", [1, 2], {"sum": 3, "count": 2, "min": 1, "max": 2, "sumsqr": 5}),
        (
            "_stats",
            [[1, 5], [2, 6]],
            [
                {"sum": 3, "count": 2, "min": 1, "max": 2, "sumsqr": 5},
                {"sum": 11, "count": 2, "min": 5, "max": 6, "sumsqr": 61},
            ],
        ),
        (
            "_stats",
            [{"sum": 3, "count": 2, "min": 1, "max": 2, "sumsqr": 5}, 1],
            {"sum": 4, "count": 3, "min": 1, "max": 2, "sumsqr": 6},
        ),
        ("_top_3", [1, "a", 5, 3, 5], ["a", 5, 3]),
        ("_bottom_2", [1, "a", None, 1], [None, 1]),
        ("_first", [3, 1, 2], 3),
        ("_last", [3, 1, 2], 2),
        ("_approx_count_distinct", [0, 0, 0], 3),
        ("_stats extra", [1], {"sum": 1, "count": 1, "min": 1, "max": 1, "sumsqr": 1}),
    ],
)
def test_results(name: str, values: list[Any], result: Any) -> None:
    assert reduced(name, *values) == result


@pytest.mark.parametrize(
    ("values", "cause"),
    [
        (["text"], "text"),
        ([1, None], None),
        ([[1, 2], ["x"]], [0]),
        ([[1, "x"], [1, 2]], [2]),
        ([{"a": 1}, {"a": "x"}], 1),
        ([{"a": "x"}, {"a": 1}], "x"),
        ([0, {"a": 1}], 0),
        ([5, {"a": 1}], 5),
    ],
)
def test_a_sum_that_cannot_be_tells_why(values: list[Any], cause: Any) -> None:
    result = reduced("_sum", *values)
    assert result["error"] == "builtin_reduce_error"
    assert result["caused_by"] == cause


def test_a_sum_begins_with_the_last_value() -> None:
    assert reduced("_sum", "first", 1, "last")["caused_by"] == "last"


def test_the_error_of_a_sum_goes_on() -> None:
    function = builtin("_sum")
    partials = [function.reduce(rows("text")), function.reduce(rows({"a": 1}))]
    assert json.loads(function.combine(partials))["caused_by"] == "text"


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ("text", "non-numeric _stats input: <<116,101,120,116>>"),
        (None, "non-numeric _stats input: null"),
        (True, "non-numeric _stats input: true"),
        ({"sum": 1}, "user _stats input missing required field count"),
    ],
)
def test_what_stats_cannot_take(value: Any, reason: str) -> None:
    with pytest.raises(CouchError) as caught:
        reduced("_stats", value)
    assert caught.value.error == "invalid_value"
    assert caught.value.reason is not None
    assert caught.value.reason.startswith(reason)


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("_nosuch", "`_nosuch` is not a supported reduce function."),
        ("_top", "`_top` is not a supported reduce function."),
        ("_top_N", "invalid rank reducer"),
        ("_top_0", "rank value must be between 1 and 100"),
        ("_bottom_101", "rank value must be between 1 and 100"),
    ],
)
def test_what_is_no_builtin(name: str, reason: str) -> None:
    with pytest.raises(CouchError) as caught:
        builtin(name)
    assert (caught.value.status, caught.value.error) == (400, "invalid_design_doc")
    assert caught.value.reason == reason


@pytest.mark.parametrize(("count", "told"), [(100, 99), (1000, 1005)])
def test_distinct_counts_like_couchdb(count: int, told: int) -> None:
    assert reduced("_approx_count_distinct", *range(count)) == told


def test_distinct_counts_large_numbers_within_two_percent() -> None:
    assert abs(reduced("_approx_count_distinct", *range(20_000)) - 20_000) < 600


numbers = st.integers(-(2**70), 2**70)


@given(
    st.lists(numbers, min_size=1),
    st.sampled_from(["_count", "_sum", "_stats", "_top_3", "_bottom_3", "_first", "_last"]),
    st.data(),
)
def test_any_cut_gives_the_same_result(values: list[int], name: str, data: st.DataObject) -> None:
    cut = data.draw(st.integers(0, len(values)))
    function = builtin(name)
    parts = [part for part in (values[:cut], values[cut:]) if part]
    partials = [function.reduce(rows(*part)) for part in parts]
    whole = function.finish(function.reduce(rows(*values)))
    assert function.finish(function.combine(partials)) == whole


def test_an_overflow_replaces_the_value() -> None:
    limit = ReduceLimit()
    assert limit.overflow(20_000, 6000) is None
    assert limit.overflow(100, 4000) is None
    reason = "Reduce output must shrink more rapidly: input size: 100 output size: 6000 context: "
    assert limit.overflow(100, 6000) == reason
    assert ReduceLimit("false").overflow(100, 6000) is None
    assert ReduceLimit("log").overflow(100, 6000) is None
    assert ReduceLimit(threshold=7000).overflow(100, 6000) is None
    assert ReduceLimit(ratio=1.5).overflow(9500, 6000) is None
