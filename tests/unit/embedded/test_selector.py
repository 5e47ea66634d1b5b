"""Mango selectors: normal forms, errors, and what the operators match."""

from __future__ import annotations

from typing import Any

import pytest

from aiocouch.embedded.errors import CouchError
from aiocouch.embedded.selectors.match import matcher
from aiocouch.embedded.selectors.selector import normalize


@pytest.mark.parametrize(
    ("selector", "normal"),
    [
        ({}, {}),
        ({"a": 1}, {"a": {"$eq": 1}}),
        ({"a": {}}, {"a": {"$eq": {}}}),
        ({"a": {"b": {"c": 1}}}, {"a.b.c": {"$eq": 1}}),
        ({"a": 1, "b": 2}, {"$and": [{"a": {"$eq": 1}}, {"b": {"$eq": 2}}]}),
        ({"a": {"$gt": 1, "$lt": 5}}, {"$and": [{"a": {"$gt": 1}}, {"a": {"$lt": 5}}]}),
        ({"$not": {"a": {"$gt": 1}}}, {"a": {"$lte": 1}}),
        ({"a": {"$not": {"$in": [1]}}}, {"a": {"$nin": [1]}}),
        ({"$not": {"a": {"$exists": True}}}, {"a": {"$exists": False}}),
        ({"$not": {"a": {"$size": 1}}}, {"a": {"$not": {"$size": 1}}}),
        ({"$not": {"$not": {"a": 1}}}, {"a": {"$eq": 1}}),
        ({"$nor": [{"a": 1}, {"b": 2}]}, {"$and": [{"a": {"$ne": 1}}, {"b": {"$ne": 2}}]}),
        ({"$not": {"a": 1, "b": 2}}, {"$or": [{"a": {"$ne": 1}}, {"b": {"$ne": 2}}]}),
        ({"a": {"$elemMatch": {"$gt": 1}}}, {"a": {"$elemMatch": {"": {"$gt": 1}}}}),
        ({"$text": "x"}, {"$default": {"$text": "x"}}),
    ],
)
def test_normal_forms(selector: dict[str, Any], normal: dict[str, Any]) -> None:
    assert normalize(selector) == normal


@pytest.mark.parametrize(
    ("selector", "error", "reason"),
    [
        ([], "invalid_selector_json", "Selector must be a JSON object, not: []"),
        ("x", "invalid_selector_json", "Selector must be a JSON object, not: <<120>>"),
        (None, "invalid_selector_json", "Selector must be a JSON object, not: null"),
        ({"$gt": 1}, "invalid_selector", "One or more conditions is missing a field name."),
        ({"": 1}, "invalid_selector", "One or more conditions is missing a field name."),
        ({"a": {"$huh": 1}}, "invalid_operator", "Invalid operator: $huh"),
        ({"a": {"$regex": 5}}, "invalid_operator", "Invalid operator: $regex"),
        ({"a": {"$beginsWith": 5}}, "invalid_operator", "Invalid operator: $beginsWith"),
        ({"a": {"$regex": "["}}, "bad_arg", "Bad argument for operator $regex: <<91>>"),
        ({"a": {"$in": "x"}}, "bad_arg", "Bad argument for operator $in: <<120>>"),
        ({"a": {"$mod": [1]}}, "bad_arg", "Bad argument for operator $mod: [1]"),
        ({"a": {"$mod": [True, 1]}}, "bad_arg", "Bad argument for operator $mod: [true,1]"),
        ({"a": {"$size": -1}}, "bad_arg", "Bad argument for operator $size: -1"),
        ({"a": {"$size": True}}, "bad_arg", "Bad argument for operator $size: true"),
        ({"a": {"$exists": 1}}, "bad_arg", "Bad argument for operator $exists: 1"),
        ({"a": {"$type": 1.5}}, "bad_arg", "Bad argument for operator $type: 1.5"),
        ({"$and": {"a": 1}}, "bad_arg", "Bad argument for operator $and: {[{<<97>>,1}]}"),
        ({"$not": 5}, "bad_arg", "Bad argument for operator $not: 5"),
        ({"a": {"$elemMatch": 5}}, "bad_arg", "Bad argument for operator $elemMatch: 5"),
        ({"$text": None}, "bad_arg", "Bad argument for operator $text: null"),
        ({"$where": "x"}, "not_supported", "Unsupported operator: $where"),
        (
            {"a": {"$text": 1}},
            "bad_field",
            "Invalid field normalization on selector: "
            "{[{<<36,100,101,102,97,117,108,116>>,{[{<<36,116,101,120,116>>,1}]}}]}",
        ),
        (
            {"$not": {"$text": 1}},
            "bad_arg",
            "Bad argument for operator $not: "
            "{[{<<36,100,101,102,97,117,108,116>>,{[{<<36,116,101,120,116>>,1}]}}]}",
        ),
    ],
)
def test_what_is_refused(selector: Any, error: str, reason: str) -> None:
    with pytest.raises(CouchError) as caught:
        normalize(selector)
    assert (caught.value.status, caught.value.error) == (400, error)
    assert caught.value.reason == reason


DOCUMENT: dict[str, Any] = {
    "_id": "Q",
    "n": 5,
    "big": 2**70,
    "s": "e\u0301x",
    "t": "ab\n",
    "e": "Émile",
    "l": [1, 2, "a"],
    "o": {"x": {"y": 1}, "k1": 2},
    "items": [{"n": 1}, {"n": 5}],
    "null": None,
    "dot.ted": 7,
}


@pytest.mark.parametrize(
    ("selector", "expected"),
    [
        ({}, True),
        ({"n": 5.0}, True),
        ({"n": "5"}, False),
        ({"s": "éx"}, True),
        ({"big": {"$gt": 2**70 - 1}}, True),
        ({"null": {"$lt": 0}}, True),
        ({"gone": {"$lt": 0}}, False),
        ({"gone": {"$ne": 1}}, False),
        ({"gone": {"$exists": False}}, True),
        ({"n.deep": {"$exists": False}}, False),
        ({"l.1": 2}, True),
        ({"l.9": {"$exists": False}}, False),
        ({"l.x": {"$exists": False}}, False),
        ({"o.x.y": 1}, True),
        ({"dot\\.ted": 7}, True),
        ({"dot.ted": 7}, False),
        ({"l": {"$in": [2, 9]}}, True),
        ({"l": {"$in": [[1, 2, "a"]]}}, False),
        ({"l": {"$nin": [9]}}, True),
        ({"n": {"$in": []}}, False),
        ({"n": {"$nin": []}}, True),
        ({"l": {"$all": [1, "a"]}}, True),
        ({"l": {"$all": [1.0]}}, False),
        ({"l": {"$all": []}}, False),
        ({"l": {"$all": [[1, 2, "a"]]}}, True),
        ({"l": {"$size": 3}}, True),
        ({"items": {"$elemMatch": {"n": {"$gt": 3}}}}, True),
        ({"items": {"$allMatch": {"n": {"$gt": 3}}}}, False),
        ({"o": {"$keyMapMatch": {"$beginsWith": "k"}}}, True),
        ({"l": {"$elemMatch": {"$nor": [{"$eq": 9}]}}}, False),
        ({"l": {"$elemMatch": {"$not": {"$eq": 1}}}}, True),
        ({"l": {"$elemMatch": {"$mod": [0, 0]}}}, False),
        ({"n": {"$mod": [-3, 2]}}, True),
        ({"big": {"$mod": [2**70 - 1, 1]}}, True),
        ({"n": {"$type": "number"}}, True),
        ({"e": {"$regex": "^.mile$"}}, False),
        ({"e": {"$regex": "^..mile$"}}, True),
        ({"t": {"$regex": "b$"}}, True),
        ({"t": {"$regex": r"b\z"}}, False),
        ({"s": {"$beginsWith": "e"}}, False),
        ({"s": {"$beginsWith": "e\u0301"}}, True),
        ({"n": {"$beginsWith": ""}}, False),
        ({"_id": {"$gt": "P"}}, True),
        ({"_id": {"$lt": "p"}}, True),
        ({"$or": []}, True),
        ({"$text": "anything"}, True),
    ],
)
def test_matching(selector: dict[str, Any], expected: bool) -> None:
    assert matcher(selector)(DOCUMENT) is expected


def test_a_division_by_zero_is_an_error() -> None:
    with pytest.raises(CouchError, match="badarith"):
        matcher({"n": {"$mod": [0, 1]}})(DOCUMENT)


@pytest.mark.parametrize("field", ["a..b", ".a", "a.", "a\\.b..c"])
def test_bad_field_names(field: str) -> None:
    with pytest.raises(CouchError, match="invalid_field_name"):
        matcher({field: 1})
