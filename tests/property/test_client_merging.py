"""What a model does not know stays, whatever it knows and whatever is changed."""

from __future__ import annotations

import pickle
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from aiocouch._wire.codec import encode_sorted
from aiocouch.models import MisfitError
from aiocouch.models.merging import merged

NAMES = st.sampled_from("abcdef")
LEAVES = st.none() | st.booleans() | st.integers() | st.text(max_size=3)
VALUES = st.recursive(
    LEAVES,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(NAMES, inner, max_size=4),
    max_leaves=12,
)
OBJECTS = st.dictionaries(NAMES, VALUES, max_size=5)
KNOWN = {"a", "b", "c"}


def known(value: Any) -> Any:
    """What a model that knows some names everywhere makes of a value."""
    if isinstance(value, dict):
        return {name: known(inner) for name, inner in value.items() if name in KNOWN}
    return [known(inner) for inner in value] if isinstance(value, list) else value


def same(one: Any, other: Any) -> bool:
    return encode_sorted(one) == encode_sorted(other)


@given(OBJECTS)
def test_without_a_change_nothing_changes(stored: dict[str, Any]) -> None:
    assert merged(stored, known(stored), known(stored)) is stored


@given(OBJECTS, OBJECTS)
def test_the_model_sees_what_was_written(stored: dict[str, Any], wanted: dict[str, Any]) -> None:
    now = known(wanted)
    assert same(known(merged(stored, known(stored), now)), now)


@given(OBJECTS, OBJECTS)
def test_unknown_members_stay(stored: dict[str, Any], wanted: dict[str, Any]) -> None:
    found = merged(stored, known(stored), known(wanted))
    unknown = {name: value for name, value in stored.items() if name not in KNOWN}
    assert same({name: found[name] for name in unknown}, unknown)
    for name in KNOWN & stored.keys() & wanted.keys():
        if isinstance(stored[name], dict) and isinstance(wanted[name], dict):
            inner = {key: value for key, value in stored[name].items() if key not in KNOWN}
            assert same({key: found[name][key] for key in inner}, inner)


@given(st.lists(OBJECTS, max_size=5), st.data())
def test_elements_keep_what_is_theirs_wherever_they_stand(
    elements: list[dict[str, Any]], data: st.DataObject
) -> None:
    stored = [{"a": number, "f": element} for number, element in enumerate(elements)]
    moved = data.draw(st.permutations(stored))
    left = moved[: data.draw(st.integers(0, len(moved)))]
    assert same(merged(stored, known(stored), known(left)), left)


@given(st.sampled_from([(True, 1), (1, 1.0), (0, False)]))
def test_equal_for_python_is_not_the_same(pair: tuple[Any, Any]) -> None:
    found = merged({"a": pair[0], "f": 1}, {"a": pair[0]}, {"a": pair[1]})
    assert type(found["a"]) is type(pair[1])


def test_one_changed_element_keeps_its_unknown_members() -> None:
    stored = [{"a": 1, "f": 1}, {"a": 2, "f": 2}]
    assert merged(stored, known(stored), [{"a": 2}, {"a": 3}]) == [
        {"a": 2, "f": 2},
        {"a": 3, "f": 1},
    ]


def test_a_misfit_travels_to_another_process() -> None:
    error = MisfitError("it does not fit", document_id="a", place="$.b")
    found = pickle.loads(pickle.dumps(error))
    assert (str(found), found.document_id, found.place) == ("it does not fit", "a", "$.b")


def test_what_the_model_added_by_itself_stays_away() -> None:
    assert merged({"f": 1}, {"a": 0, "b": 0}, {"a": 0, "b": 1}) == {"f": 1, "b": 1}
