"""Three versions of a document: what two have made of one, and one made of both. Pure."""

from __future__ import annotations

from typing import Any, NamedTuple

import msgspec

__all__ = ["ABSENT", "Difference", "Overlap", "differences", "is_same", "merge"]


class _Absent:
    """Stands for a member that is not there."""

    def __repr__(self) -> str:
        return "absent"


ABSENT = _Absent()
"""The value of a member that is not there."""


class Overlap(NamedTuple):
    """A place that both have changed, each in another way: its path, and its value in all three."""

    path: str
    base: Any
    ours: Any
    theirs: Any


def is_same(one: Any, other: Any) -> bool:
    """Return whether two values are the same JSON, whatever the order of their members: 1 is not true."""
    if one is ABSENT or other is ABSENT:
        return one is other
    return _text(one) == _text(other)


def _text(value: Any) -> bytes:
    return msgspec.json.encode(value, order="sorted")


def merge(
    base: dict[str, Any], ours: dict[str, Any], theirs: dict[str, Any]
) -> tuple[dict[str, Any], list[Overlap]]:
    """Return what both have changed together, and the places where they overlap, where ours stands.

    Objects are merged by their members; all other values, lists too, as a whole.
    """
    overlaps: list[Overlap] = []
    return _members(base, ours, theirs, "", overlaps), overlaps


def _members(
    base: dict[str, Any],
    ours: dict[str, Any],
    theirs: dict[str, Any],
    path: str,
    overlaps: list[Overlap],
) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name in [*ours, *(name for name in theirs if name not in ours)]:
        was, mine, other = (each.get(name, ABSENT) for each in (base, ours, theirs))
        value = _value(was, mine, other, _below(path, name), overlaps)
        if value is not ABSENT:
            found[name] = value
    return found


def _value(base: Any, ours: Any, theirs: Any, path: str, overlaps: list[Overlap]) -> Any:
    if is_same(ours, theirs) or is_same(theirs, base):
        return ours
    if is_same(ours, base):
        return theirs
    if isinstance(ours, dict) and isinstance(theirs, dict):
        return _members(base if isinstance(base, dict) else {}, ours, theirs, path, overlaps)
    overlaps.append(Overlap(path, base, ours, theirs))
    return ours


class Difference(NamedTuple):
    """A place at which versions are not the same: its path, and its value in the base and in each."""

    path: str
    base: Any
    values: list[Any]


def differences(
    versions: list[dict[str, Any]], base: Any = ABSENT, path: str = ""
) -> list[Difference]:
    """Return where some versions of an object differ from one another; `base` is what they were made of."""
    found: list[Difference] = []
    for name in dict.fromkeys(name for version in versions for name in version):
        values = [version.get(name, ABSENT) for version in versions]
        was = base.get(name, ABSENT) if isinstance(base, dict) else ABSENT
        if all(is_same(values[0], value) for value in values[1:]):
            continue
        objects = [value for value in values if isinstance(value, dict)]
        below = _below(path, name)
        if len(objects) == len(values):
            found += differences(objects, was, below)
        else:
            found.append(Difference(below, was, values))
    return found


def _below(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name
