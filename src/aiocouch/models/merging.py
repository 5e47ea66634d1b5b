"""What is written when a model knows a part of a document only. Pure.

A document goes through its model and comes out without what the model does not know. So the value as it
was (`before`) and as it is (`now`) are held against each other, and only what differs is changed in
what is stored.
"""

from __future__ import annotations

from collections import defaultdict, deque
from typing import Any

from aiocouch._wire.codec import encode_sorted

__all__ = ["merged"]


def merged(stored: Any, before: Any, now: Any) -> Any:
    """Return the stored JSON value with what has changed from `before` to `now`.

    Members that `before` does not have are unknown to the model and stay. Elements of lists are found
    again where they have not changed, wherever they stand; as many as have changed take each
    other's places in their order.
    """
    if encode_sorted(before) == encode_sorted(now):  # == says that True is 1
        return stored
    if _are(dict, stored, before, now):
        return _members(stored, before, now)
    if _are(list, stored, before, now) and len(stored) == len(before):
        return _elements(stored, before, now)
    return now


def _are(kind: type, *values: Any) -> bool:
    return all(isinstance(value, kind) for value in values)


def _members(stored: dict[str, Any], before: dict[str, Any], now: dict[str, Any]) -> dict[str, Any]:
    found = {}
    for name, value in stored.items():
        if name not in now:
            if name not in before:
                found[name] = value
        elif name in before:
            found[name] = merged(value, before[name], now[name])
        else:
            found[name] = now[name]
    added = {name: value for name, value in now.items() if name not in stored}
    return found | {n: v for n, v in added.items() if not _is_default(n, before, v)}


def _is_default(name: str, before: dict[str, Any], value: Any) -> bool:
    """Return whether the model has added it by itself: then it stays away, as nobody has changed it."""
    return name in before and encode_sorted(before[name]) == encode_sorted(value)


def _elements(stored: list[Any], before: list[Any], now: list[Any]) -> list[Any]:
    places: defaultdict[bytes, deque[int]] = defaultdict(deque)
    for place, value in enumerate(before):
        places[encode_sorted(value)].append(place)
    same = [places[key].popleft() if places[key] else None for key in map(encode_sorted, now)]
    gone = sorted(set(range(len(before))) - set(same))
    pairs = iter(gone if len(gone) == same.count(None) else ())
    found = []
    for at, value in zip(same, now, strict=True):
        if at is not None:
            found.append(stored[at])
        else:
            other = next(pairs, None)
            found.append(value if other is None else merged(stored[other], before[other], value))
    return found
