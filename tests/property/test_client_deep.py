"""Rows taken apart by counting brackets are those that the codec finds."""

import json
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from aiocouch._wire.deep import elements, members, shallow

VALUES: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=8,
)
INDENTS = st.sampled_from([None, 0, 2])


@settings(max_examples=30)
@given(st.lists(VALUES), INDENTS, st.booleans())
def test_elements(values: list[Any], indent: int | None, ascii_only: bool) -> None:
    text = json.dumps(values, indent=indent, ensure_ascii=ascii_only).encode()
    assert [json.loads(element) for element in elements(text)] == values


@settings(max_examples=30)
@given(st.dictionaries(st.text(), VALUES), INDENTS, st.booleans())
def test_members(value: dict[str, Any], indent: int | None, ascii_only: bool) -> None:
    text = json.dumps(value, indent=indent, ensure_ascii=ascii_only).encode()
    assert {name: json.loads(member) for name, member in members(text).items()} == value


@settings(max_examples=20)
@given(st.dictionaries(st.text(), VALUES), st.text())
def test_what_is_too_deep_is_kept_as_it_is(value: dict[str, Any], name: str) -> None:
    deep = b'{"a":' * 20_000 + b"1" + b"}" * 20_000
    others = {other: member for other, member in value.items() if other != name}
    pairs = [json.dumps(other) + ":" + json.dumps(member) for other, member in others.items()]
    head = "{" + "".join(pair + "," for pair in pairs) + json.dumps(name) + ":"
    decodable, found = shallow(head.encode() + deep + b"}")
    assert json.loads(decodable) == {**others, name: None}
    assert found == {name: deep}
