"""The order of keys: recorded orders, and strings that are known to be difficult."""

from __future__ import annotations

import itertools
import json
from pathlib import Path
from typing import Any

import pytest

from aiocouch.embedded.collation.collation import raw_sort_key, sort_key
from aiocouch.embedded.collation.string_order import string_key

RECORDED = Path(__file__).parents[2] / "conformance" / "public" / "view-collation.json"


def recorded_keys(path: str, options: dict[str, str]) -> list[tuple[Any, str]]:
    """The rows of the recorded view query, as (key, id) in CouchDB's order."""
    for step in json.loads(RECORDED.read_text())["steps"]:
        request = step["request"]
        if request["path"].endswith(path) and request.get("query", {}) == options:
            return [(row["key"], row["id"]) for row in step["response"]["body"]["json"]["rows"]]
    raise AssertionError(path)


def test_the_recorded_order() -> None:
    rows = recorded_keys("/c/_view/k", {"reduce": "false"})
    assert len(rows) == 56
    assert sorted(rows, key=lambda row: (sort_key(row[0]), row[1])) == rows


def test_the_recorded_order_of_a_raw_view() -> None:
    rows = recorded_keys("/raw/_view/k", {})
    assert len(rows) == 56
    assert sorted(rows, key=lambda row: (raw_sort_key(row[0]), row[1])) == rows


@pytest.mark.parametrize(
    "words",
    [
        # accents count only where the letters are the same; case counts least
        ["cote", "coté", "côte", "côté", "Côté", "cotes"],
        ["a", "A", "ä", "Ä", "aa", "aA", "Aa", "áa", "ab"],
        ["resume", "Resume", "résumé", "Résumé", "resumes"],
        ["strasse", "straße", "strassen"],
        ["ae", "æ", "af"],
        ["i", "I", "\u0131", "j"],
        # punctuation and symbols before digits, digits before letters, scripts in their order
        [
            "",
            " ",
            "_",
            "-",
            ",",
            ".",
            "~",
            "😀",
            "1",
            "①",
            "10",
            "2",
            "a",
            "\u03b1",
            "\u0430",
            "א",
            "ア",
            "中",
        ],
        # й is a letter of its own, however it is written, and with another accent in between
        ["и", "ий", "й", "и\u0306", "й\u0301", "к"],
        ["ぁ", "あ", "ァ", "ア"],
        ["เก", "แก", "เข", "แข"],
        ["각", "간", "갈"],
        ["一", "丁", "丂", "七"],
        ["z", "中", "\U000e0fff", "\ufffd", "\uffff"],
    ],
)
def test_strings(words: list[str]) -> None:
    for one, other in itertools.pairwise(words):
        assert string_key(one) <= string_key(other), (one, other)
    assert string_key(words[0]) < string_key(words[-1])


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("é", "e\u0301"),
        ("", "\x00"),
        ("ab", "a\x01b"),
        ("й", "и\u0306"),
        ("Å", "\u212b"),
        ("\uac00", "\u1100\u1161"),
    ],
)
def test_equal_strings(one: str, other: str) -> None:
    assert one != other
    assert string_key(one) == string_key(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [(1, 1.0), (0, -0.0), (10**22, 1e22), ([1, {"a": 2}], [1.0, {"a": 2.0}]), (2**53, 2.0**53)],
)
def test_equal_values(one: Any, other: Any) -> None:
    assert sort_key(one) == sort_key(other)


def test_integers_that_no_float_can_hold() -> None:
    numbers = [2**53, 2**53 + 1, 2**53 + 2, 2**64, 2**64 + 1, 10**22 + 1, 10**400, 10**401]
    assert sorted(numbers, key=sort_key) == numbers
    negative = [-number for number in reversed(numbers)]
    assert sorted(negative, key=sort_key) == negative


def test_members_count_in_the_order_they_were_written() -> None:
    assert sort_key({"a": 1, "b": 2}) != sort_key({"b": 2, "a": 1})
    values: list[Any] = [{}, {"a": 1}, {"a": 1, "b": 1}, {"a": 2}, {"b": 1}, {"b": 2, "a": 1}]
    assert sorted(values, key=sort_key) == values


def test_a_key_can_be_long() -> None:
    text = "ж" * 10_000
    assert sort_key(text) < sort_key(text + "a")
