"""The options of view queries: how they are read, which go together, which rows they mean."""

from __future__ import annotations

from typing import Any

import pytest

from aiocouch.embedded.collation.collation import raw_sort_key, sort_key
from aiocouch.embedded.errors import CouchError
from aiocouch.embedded.views.grouping import EXACT, RowRange
from aiocouch.embedded.views.options import ViewOptions
from aiocouch.embedded.views.tables import LAST_NUMBER


def text(**options: str) -> ViewOptions:
    return ViewOptions().apply_text(options.items())


def refused(call: Any, *args: Any, **kwargs: Any) -> str | None:
    with pytest.raises(CouchError) as caught:
        call(*args, **kwargs)
    assert caught.value.status == 400
    return caught.value.reason


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"limit": "-1"}, 'Invalid value for positive integer: "-1"'),
        ({"limit": "x"}, 'Invalid value for integer: "x"'),
        ({"limit": ""}, "Invalid value for integer: []"),
        ({"skip": "1.5"}, 'Invalid value for integer: "1.5"'),
        ({"descending": "x"}, 'Invalid boolean parameter: "x"'),
        ({"stale": "false"}, "Invalid value for `stale`."),
        ({"update": "x"}, "Invalid value for `update`."),
        ({"stable": "x"}, "Invalid value for `stable`."),
        ({"keys": "5"}, "`keys` must be an array of strings."),
        ({"key": "x"}, "invalid UTF-8 JSON"),
    ],
)
def test_texts_that_cannot_be_read(options: dict[str, str], reason: str) -> None:
    assert refused(text, **options) == reason


@pytest.mark.parametrize(
    ("members", "reason"),
    [
        ({"limit": "1"}, 'Invalid value for integer: <<"1">>'),
        ({"limit": -1}, "Invalid value for positive integer: -1"),
        ({"skip": 2.5}, "Invalid value for integer: 2.5"),
        ({"skip": True}, "Invalid value for integer: true"),
        ({"keys": 5}, "`keys` must be an array of strings."),
        ({"include_docs": "x"}, 'Invalid boolean parameter: "x"'),
        ({"stale": 5}, "Invalid value for `stale`."),
    ],
)
def test_members_that_cannot_be_read(members: dict[str, Any], reason: str) -> None:
    assert refused(ViewOptions().apply_json, members) == reason


def test_unknown_options_do_not_matter() -> None:
    assert text(nosuch="5") == ViewOptions()
    assert ViewOptions().apply_json({"nosuch": 5}) == ViewOptions()


def test_later_options_win() -> None:
    options = ViewOptions().apply_json({"limit": 1}).apply_text([("limit", "2"), ("limit", "3")])
    assert options.limit == 3


def test_flags_may_be_text_in_json() -> None:
    assert ViewOptions().apply_json({"descending": "true"}).descending


@pytest.mark.parametrize(("value", "update"), [("ok", "false"), ("update_after", "lazy")])
def test_stale_is_update_in_other_words(value: str, update: str) -> None:
    assert text(stale=value).update == update


def test_group_is_a_level() -> None:
    assert text(group="true").level == EXACT
    assert text(group="true", group_level="2").level == 2
    assert text(group_level="2", group="true").level == 2
    assert text(group="false").level == 0


@pytest.mark.parametrize(
    ("options", "has_reduce", "reason"),
    [
        ({"reduce": "true"}, False, "Reduce is invalid for map-only views."),
        ({"group": "true"}, False, "Invalid use of grouping on a map view."),
        ({"group_level": "1", "reduce": "false"}, True, "Invalid use of grouping on a map view."),
        ({"include_docs": "true"}, True, "`include_docs` is invalid for reduce"),
        ({"conflicts": "true"}, True, "`conflicts` is invalid for reduce views."),
        ({"conflicts": "false"}, True, "`conflicts` is invalid for reduce views."),
        (
            {"group": "false", "group_level": "1"},
            True,
            "Can't specify group=false and group_level>0 at the same time",
        ),
        (
            {"keys": "[1,2]"},
            True,
            "Multi-key fetches for reduce views must use `group=true`",
        ),
        (
            {"keys": "[1,2]", "key": "1"},
            False,
            "`keys` is incompatible with `key`, `start_key` and `end_key`",
        ),
        (
            {"limit": "99999999999999999999"},
            False,
            "Limit is too large, must not exceed 576460752303423487",
        ),
    ],
)
def test_options_that_do_not_go_together(
    options: dict[str, str], has_reduce: bool, reason: str
) -> None:
    assert refused(text(**options).check, has_reduce=has_reduce) == reason


@pytest.mark.parametrize(
    "options",
    [
        {"keys": "[1,2]", "group": "true"},
        {"keys": "[1]"},
        {"include_docs": "true", "reduce": "false"},
    ],
)
def test_options_that_go_together(options: dict[str, str]) -> None:
    text(**options).check(has_reduce=True)


@pytest.mark.parametrize(
    ("options", "turn"),
    [
        ({"startkey": "2", "endkey": "1"}, "true"),
        ({"startkey": "1", "endkey": "2", "descending": "true"}, "false"),
    ],
)
def test_ranges_the_wrong_way_round(options: dict[str, str], turn: str) -> None:
    reason = refused(text(**options).ranges)
    assert reason is not None
    assert reason.endswith(f"or set descending={turn}")


ONE = sort_key(1)
TWO = sort_key(2)


@pytest.mark.parametrize(
    ("options", "range_"),
    [
        ({}, RowRange((b"", "", 0), (b"\xff", "", 0))),
        ({"key": "1"}, RowRange((ONE, "", 0), (ONE + b"\x00", "", 0))),
        ({"startkey": "1", "endkey": "2"}, RowRange((ONE, "", 0), (TWO + b"\x00", "", 0))),
        (
            {"startkey": "1", "endkey": "2", "inclusive_end": "false"},
            RowRange((ONE, "", 0), (TWO, "", 0)),
        ),
        (
            {"startkey": "1", "startkey_docid": "b", "endkey": "2", "endkey_docid": "c"},
            RowRange((ONE, "b", 0), (TWO, "c", LAST_NUMBER)),
        ),
        (
            {"endkey": "2", "endkey_docid": "c", "inclusive_end": "false"},
            RowRange((b"", "", 0), (TWO, "c", 0)),
        ),
        ({"startkey_docid": "b"}, RowRange((b"", "", 0), (b"\xff", "", 0))),
        (
            {"startkey": "2", "endkey": "1", "descending": "true"},
            RowRange((ONE, "", 0), (TWO + b"\x00", "", 0), True),
        ),
        (
            {"startkey": "2", "startkey_docid": "b", "descending": "true"},
            RowRange((b"", "", 0), (TWO, "b", LAST_NUMBER), True),
        ),
        (
            {"endkey": "1", "descending": "true", "inclusive_end": "false"},
            RowRange((ONE + b"\x00", "", 0), (b"\xff", "", 0), True),
        ),
    ],
)
def test_ranges(options: dict[str, str], range_: RowRange) -> None:
    assert text(**options).ranges() == [range_]


def test_keys_are_ranges_in_their_order() -> None:
    assert [each.first for each in text(keys="[2,1]").ranges()] == [(TWO, "", 0), (ONE, "", 0)]
    assert text(keys="[]").ranges() == []


def test_a_partition_bounds_everything() -> None:
    (whole,) = text().ranges(prefix=b"P")
    assert (b"P" + sort_key(None), "", 0) == whole.first
    assert (b"P" + sort_key({"z": {}}), "", 0) < whole.last < (b"Q", "", 0)
    (one,) = text(key="1").ranges(prefix=b"P")
    assert one.first == (b"P" + ONE, "", 0)


def test_raw_order_loses_the_arrays_and_strings_of_a_partition() -> None:
    (whole,) = text().ranges(raw=True, prefix=b"P")
    assert whole.first == (b"P" + raw_sort_key(None), "", 0)
    assert (b"P" + raw_sort_key({"z": {}}), "", 0) < whole.last < (b"P" + raw_sort_key([]), "", 0)
