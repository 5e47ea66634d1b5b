"""Any JSON value survives; whatever is none is refused and never sent as something else."""

import json
import math
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiocouch import CouchDB, Database, Document
from aiocouch._tracked import of_text
from aiocouch._wire.codec import decode, encode, encode_checked, encode_sorted
from aiocouch.exception import CouchDBError

TEXT = st.text(st.characters(exclude_categories=["Cs"]))
SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.integers(min_value=-(10**400), max_value=10**400)
    | st.floats(allow_nan=False, allow_infinity=False)
    | TEXT
)
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner) | st.dictionaries(TEXT, inner), max_leaves=20
)
BAD = (
    st.sampled_from([math.nan, math.inf, -math.inf, b"x", {1}, object(), "\ud800", 1j])
    | st.binary()
    | st.dates()
    | st.decimals()
)


def exact(value: Any) -> Any:
    """The value with its types, for `1 == True == 1.0`; JSON has no -0.0 of its own."""
    if isinstance(value, dict):
        return {key: exact(child) for key, child in value.items()}
    if isinstance(value, list):
        return [exact(child) for child in value]
    return (type(value), value)


# With the extra `fast` and without it.
BOTH_WAYS = pytest.mark.parametrize("to_json", [encode, encode_checked])
Encode = Callable[[Any], bytes]


@BOTH_WAYS
@given(VALUES)
def test_value_comes_back(to_json: Encode, value: Any) -> None:
    assert exact(decode(to_json(value))) == exact(value)


@BOTH_WAYS
@given(VALUES)
def test_other_programs_read_the_same(to_json: Encode, value: Any) -> None:
    assert exact(json.loads(to_json(value))) == exact(value)
    assert exact(decode(json.dumps(value))) == exact(value)


@given(VALUES)
def test_order_of_members_does_not_count_when_sorted(value: Any) -> None:
    def turned(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: turned(value[key]) for key in reversed(value)}
        return [turned(child) for child in value] if isinstance(value, list) else value

    assert encode_sorted(turned(value)) == encode_sorted(value)


def buried(value: Any, how: list[Any]) -> Any:
    """The value inside of lists and dicts, with innocent neighbours."""
    for key in how:
        value = [None, value, 1] if key is None else {"null": None, "a": [1.5], key: value}
    return value


@BOTH_WAYS
@given(BAD, st.lists(st.none() | TEXT, max_size=4))
def test_what_is_no_json_is_refused_at_any_depth(to_json: Encode, bad: Any, how: list[Any]) -> None:
    with pytest.raises(CouchDBError) as caught:
        to_json(buried(bad, how))
    assert isinstance(caught.value, TypeError | ValueError)


@given(st.dictionaries(TEXT.filter(lambda key: not key.startswith("_")), VALUES), VALUES)
def test_document_knows_whether_it_changed(data: dict[str, Any], value: Any) -> None:
    """Dirty after a change of one member, clean again after it is taken back."""
    text = encode({"_id": "x", "_rev": "1-a", "n": 0, **data})
    doc = of_text(Document, Database(CouchDB("http://127.0.0.1:1"), "db"), "x", text)
    assert not doc.is_dirty()
    before = doc["n"]
    doc["n"] = [value]
    assert doc.is_dirty() == (exact([value]) != exact(before))
    doc["n"] = before
    assert not doc.is_dirty()
    doc["new"] = doc.pop("new", None)
    assert doc.is_dirty() == ("new" not in data)


@given(st.dictionaries(TEXT, VALUES))
def test_document_is_the_mapping_of_its_data(data: dict[str, Any]) -> None:
    doc = Document(Database(CouchDB("http://127.0.0.1:1"), "db"), "x", data)
    assert exact(dict(doc)) == exact({**data, "_id": "x"})
    assert len(doc) == len(set(data) | {"_id"})
    for key, value in data.items():
        if key != "_id":
            assert exact(doc.pop(key)) == exact(value)
            assert key not in doc
    assert list(doc) == ["_id"]
