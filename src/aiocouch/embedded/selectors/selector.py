"""Mango selectors: checking and normalising them, with the errors that CouchDB gives.

    normal = normalize({"age": {"$gt": 20}, "city": "rome"})
    # {"$and": [{"age": {"$gt": 20}}, {"city": {"$eq": "rome"}}]}
    matches = compile_selector(normal)          # selector_match
    matches({"_id": "a", "age": 30, "city": "rome"})  # True

In the normal form every object has one member: an operator or a field with its whole path. Fields
are pushed down to their operators, negations as far as they go, which is what the choice of an
index looks at (`mango.planning`) and what `_explain` shows.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias

from aiocouch.embedded.erlang_text import written
from aiocouch.embedded.errors import CouchError
from aiocouch.embedded.selectors.pcre import compile_pattern

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

__all__ = ["Selector", "first_member", "normalize", "parse_field"]

Selector: TypeAlias = dict[str, Any]
"""A selector in its normal form, {} for one that matches everything."""

_COMBINATIONS = ("$and", "$or", "$nor")
_NESTED = ("$elemMatch", "$allMatch", "$keyMapMatch")
_COMPARISONS = ("$lt", "$lte", "$eq", "$ne", "$gte", "$gt")
_UNSUPPORTED = ("$where", "$geoWithin", "$geoIntersects", "$near", "$nearSphere")
_OPPOSITES = {
    "$lt": "$gte",
    "$gte": "$lt",
    "$gt": "$lte",
    "$lte": "$gt",
    "$eq": "$ne",
    "$ne": "$eq",
    "$in": "$nin",
    "$nin": "$in",
}


def normalize(selector: object) -> Selector:
    """Check a selector and give its normal form; what is wrong raises a CouchError of 400."""
    if not isinstance(selector, dict):
        reason = f"Selector must be a JSON object, not: {written(selector)}"
        raise CouchError(400, "invalid_selector_json", reason)
    if not selector:
        return {}
    normal = _push_negations(_push_fields(_explicit(selector), ""))
    if "" in normal:
        reason = "One or more conditions is missing a field name."
        raise CouchError(400, "invalid_selector", reason)
    return normal


def first_member(selector: Selector) -> tuple[str, Any]:
    """Return the one member of an object of the normal form."""
    return next(iter(selector.items()))


def parse_field(field: str) -> Sequence[str]:
    r"""Split a field name at its dots; `\.` is a dot in a name."""
    parts = _split(field) if "\\" in field else field.split(".")
    if "" in parts:
        raise CouchError(400, "invalid_field_name", f"Invalid field name: {field}")
    return parts


def _split(field: str) -> list[str]:
    parts = [""]
    for index, character in enumerate(field):
        if character == "." and field[index - 1 : index] != "\\":
            parts.append("")
        elif character != "\\":
            parts[-1] += character
    return parts


# --- First: every operator explicit, its argument checked


def _explicit(condition: Any) -> Selector:
    if not isinstance(condition, dict) or not condition:
        return {"$eq": condition}
    if len(condition) > 1:
        return {"$and": [_explicit({name: item}) for name, item in condition.items()]}
    name, argument = first_member(condition)
    if not name.startswith("$"):
        return {name: _explicit(argument)}
    return _explicit_operator(name, argument)


def _explicit_operator(name: str, argument: Any) -> Selector:
    if name in _COMBINATIONS:
        _check(name, argument, isinstance(argument, list))
        return {name: [_explicit(item) for item in argument]}
    if name in _NESTED or name == "$not":
        _check(name, argument, isinstance(argument, dict))
        return {name: _explicit(argument)}
    if name == "$text":
        _check(name, argument, isinstance(argument, str | int | float))
        return {"$default": {"$text": argument}}
    if name in _UNSUPPORTED:
        raise CouchError(400, "not_supported", f"Unsupported operator: {name}")
    if name not in _COMPARISONS and name != "$default":
        _check_argument(name, argument)
    return {name: argument}


def _check_argument(name: str, argument: Any) -> None:
    if name not in _CHECKS or (name in _STRINGS_ONLY and not isinstance(argument, str)):
        raise CouchError(400, "invalid_operator", f"Invalid operator: {name}")
    _check(name, argument, _CHECKS[name](argument))


def _check(name: str, argument: Any, right: bool) -> None:
    if not right:
        reason = f"Bad argument for operator {name}: {written(argument)}"
        raise CouchError(400, "bad_arg", reason)


def _is_list(argument: Any) -> bool:
    return isinstance(argument, list)


def _is_bool(argument: Any) -> bool:
    return isinstance(argument, bool)


def _is_string(argument: Any) -> bool:
    return isinstance(argument, str)


def _is_size(argument: Any) -> bool:
    return type(argument) is int and argument >= 0


def _is_division(argument: Any) -> bool:
    return _is_list(argument) and [type(item) for item in argument] == [int, int]


def _is_pattern(argument: Any) -> bool:
    try:
        compile_pattern(argument)
    except ValueError:
        return False
    return True


_STRINGS_ONLY = ("$regex", "$beginsWith")
_CHECKS: dict[str, Callable[[Any], bool]] = {
    "$in": _is_list,
    "$nin": _is_list,
    "$all": _is_list,
    "$exists": _is_bool,
    "$type": _is_string,
    "$mod": _is_division,
    "$size": _is_size,
    "$regex": _is_pattern,
    "$beginsWith": _is_string,
}


# --- Second: the names of fields down to the operators


def _push_fields(condition: Selector, path: str) -> Selector:
    name, argument = first_member(condition)
    if name in _COMBINATIONS:
        return {name: [_push_fields(item, path) for item in argument]}
    if name == "$not":
        return {name: _push_fields(argument, path)}
    if name in _NESTED:
        return {path: {name: _push_fields(argument, "")}}
    if name == "$default":
        return _default_field(condition, path)
    if name.startswith("$"):
        return {path: condition}
    return _push_fields(argument, f"{path}.{name}" if path else name)


def _default_field(condition: Selector, path: str) -> Selector:
    argument = condition["$default"]
    if path or not isinstance(argument, dict) or list(argument) != ["$text"]:
        reason = f"Invalid field normalization on selector: {written(condition)}"
        raise CouchError(400, "bad_field", reason)
    return condition


# --- Third: negations down to the operators, which have opposites


def _push_negations(condition: Selector) -> Selector:
    name, argument = first_member(condition)
    if name == "$not":
        return _negate(argument)
    if name == "$nor":
        return {"$and": [_negate(item) for item in argument]}
    if name in ("$and", "$or"):
        return {name: [_push_negations(item) for item in argument]}
    return condition


def _negate(condition: Selector) -> Selector:
    name, argument = first_member(condition)
    if name == "$not":
        return _push_negations(argument)
    if name == "$nor":
        return {"$or": [_push_negations(item) for item in argument]}
    if name in ("$and", "$or"):
        other = "$or" if name == "$and" else "$and"
        return {other: [_negate(item) for item in argument]}
    if name == "$default":
        _check("$not", condition, right=False)
    return _negate_operator(name, argument)


def _negate_operator(name: str, argument: Any) -> Selector:
    if name in _OPPOSITES:
        return {_OPPOSITES[name]: argument}
    if name == "$exists":
        return {name: not argument}
    if name.startswith("$"):
        return {"$not": {name: argument}}
    return {name: _negate(argument)}
