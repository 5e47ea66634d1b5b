"""Laws of printed floats."""

from __future__ import annotations

import json
from typing import Any

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from aiocouch._wire.numerals import is_printed_otherwise, printed, reprinted
from aiocouch.embedded.codec import encode

FLOATS = st.floats(allow_nan=False, allow_infinity=False)


@given(FLOATS)
def test_a_printed_float_is_the_same_number_and_no_shorter_text_was_left(value: float) -> None:
    text = printed(value)
    assert float(text) == value
    assert len(text) <= len(repr(value)) + 2
    digits = text.lstrip("-").partition("e")[0].replace(".", "")
    assert len(digits.strip("0")) <= 17


@given(FLOATS)
def test_a_float_that_msgspec_prints_otherwise_is_found(value: float) -> None:
    if msgspec.json.encode(value).decode() != printed(value):
        assert is_printed_otherwise(value)


VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | FLOATS
    | st.text()
    | st.sampled_from(["1000.0", ":1e5,"]),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
)


@given(VALUES)
def test_only_floats_are_printed_anew(value: Any) -> None:
    text = encode(value)
    assert json.loads(text) == value
    assert reprinted(text) == text
    assert reprinted(msgspec.json.encode(value)) == text
