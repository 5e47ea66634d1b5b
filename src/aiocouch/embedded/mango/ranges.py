"""What a selector says of single fields: the ranges that an index can be asked for.

A `Range` is open or closed at both ends; `MIN` and `MAX` stand for "no limit". A selector that
contradicts itself gives `EMPTY`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

from aiocouch.embedded.collation.collation import sort_key
from aiocouch.embedded.selectors.selector import Selector, first_member

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

__all__ = [
    "EMPTY",
    "MAX",
    "MIN",
    "NamedRange",
    "ValueRange",
    "end_key",
    "field_ranges",
    "indexable_fields",
    "start_key",
]


class _Limit:
    """A value below or above all JSON values."""

    def __init__(self, name: str, key: bytes) -> None:
        self.name = name
        self.key = key

    def __repr__(self) -> str:
        return self.name


MIN = _Limit("MIN", b"")
MAX = _Limit("MAX", b"\xff")


class ValueRange(NamedTuple):
    """Low operator ($gt, $gte, $eq) and value, high operator ($lt, $lte, $eq) and value."""

    low_operator: str
    low: Any
    high_operator: str
    high: Any


EMPTY = ValueRange("empty", None, "empty", None)
"""No value at all."""

_ALL = ValueRange("$gt", MIN, "$lt", MAX)

NamedRange: TypeAlias = tuple[str, ValueRange]

_INDEXABLE = ("$lt", "$lte", "$eq", "$gt", "$gte", "$beginsWith", "$exists")
_CLOSED_BELOW = ("$gte", "$eq")
_CLOSED_ABOVE = ("$lte", "$eq")


def indexable_fields(selector: Selector) -> list[str]:
    """Return the fields that an index can narrow, sorted."""
    return sorted(_indexable(selector), key=str.encode)


def _indexable(selector: Selector) -> set[str]:
    if not selector:
        return set()
    name, argument = first_member(selector)
    if name == "$and":
        return {field for item in argument for field in _indexable(item)}
    if name.startswith("$"):
        return set()
    return {name} if first_member(argument)[0] in _INDEXABLE else set()


def field_ranges(selector: Selector) -> list[NamedRange]:
    """Return the range of every field that can be narrowed, or one that is EMPTY."""
    found = []
    for field in indexable_fields(selector):
        narrowed = _narrow(selector, field, _ALL)
        if narrowed is EMPTY:
            return [(field, EMPTY)]
        found.append((field, narrowed))
    return found


def _narrow(selector: Selector, field: str, current: ValueRange) -> ValueRange:
    name, argument = first_member(selector)
    if name == "$and":
        for item in argument:
            current = EMPTY if current is EMPTY else _narrow(item, field, current)
        return current
    return _apply(argument, current) if name == field else current


def _apply(condition: Selector, current: ValueRange) -> ValueRange:
    operator, argument = first_member(condition)
    if operator == "$beginsWith":
        # U+FFFF sorts after all other characters.
        low = _apply({"$gte": argument}, current)
        return EMPTY if low is EMPTY else _apply({"$lte": f"{argument}\uffff"}, low)
    rule = _RULES.get(operator)
    return current if rule is None else rule(argument, _position(argument, current), current)


def _position(argument: Any, current: ValueRange) -> str:
    """Return where a value is: below the range, at its low end, in it, at its high end, above."""
    key, low, high = sort_key(argument), _key(current.low), _key(current.high)
    if key <= low:
        return "below" if key < low else "low"
    if key < high:
        return "inside"
    return "high" if key == high else "above"


def _key(value: Any) -> bytes:
    return value.key if isinstance(value, _Limit) else sort_key(value)


def _just(argument: Any) -> ValueRange:
    return ValueRange("$eq", argument, "$eq", argument)


def _less(argument: Any, position: str, current: ValueRange) -> ValueRange:
    if position in ("below", "low"):
        return EMPTY
    if position == "above":
        return current
    return current._replace(high_operator="$lt", high=argument)


def _less_or_equal(argument: Any, position: str, current: ValueRange) -> ValueRange:
    if position == "low" and current.low_operator in _CLOSED_BELOW:
        return _just(argument)
    if position in ("below", "low"):
        return EMPTY
    if position == "inside":
        return current._replace(high_operator="$lte", high=argument)
    return current


def _equal(argument: Any, position: str, current: ValueRange) -> ValueRange:
    at_low = position == "low" and current.low_operator in _CLOSED_BELOW
    at_high = position == "high" and current.high_operator in _CLOSED_ABOVE
    return _just(argument) if position == "inside" or at_low or at_high else EMPTY


def _greater_or_equal(argument: Any, position: str, current: ValueRange) -> ValueRange:
    if position in ("below", "low"):
        return current
    if position == "inside":
        return current._replace(low_operator="$gte", low=argument)
    if position == "high" and current.high_operator in _CLOSED_ABOVE:
        return _just(argument)
    return EMPTY


def _greater(argument: Any, position: str, current: ValueRange) -> ValueRange:
    if position == "below":
        return current
    if position in ("low", "inside"):
        return current._replace(low_operator="$gt", low=argument)
    return EMPTY


_RULES: dict[str, Callable[[Any, str, ValueRange], ValueRange]] = {
    "$lt": _less,
    "$lte": _less_or_equal,
    "$eq": _equal,
    "$gte": _greater_or_equal,
    "$gt": _greater,
}


def start_key(ranges: Sequence[ValueRange]) -> list[Any]:
    """Return the key at which the rows of an index begin that are in these ranges."""
    key: list[Any] = []
    for each in ranges:
        if each.low is MIN:
            break
        key.append(each.low)
    return key


def end_key(ranges: Sequence[ValueRange]) -> list[Any]:
    """Return the key at which they end, included; it ends with MAX."""
    key: list[Any] = []
    for each in ranges:
        if each.high is MAX:
            break
        key.append(each.high)
    return [*key, MAX]
