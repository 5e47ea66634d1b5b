"""Mango selectors as functions: what `selector.normalize` gave, compiled into closures.

    matches = matcher({"age": {"$gt": 20}})     # checks, normalises, compiles
    matches({"_id": "a", "age": 30})            # True

Comparisons are CouchDB's: by the order of view keys, except that `_id` compares as bytes. Regular
expressions see the bytes of UTF-8. A document is decoded JSON with its `_id` and `_rev`.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, TypeAlias
from unicodedata import combining

from aiocouch._wire.revision import encode_term
from aiocouch.embedded.collation.collation import raw_sort_key, sort_key
from aiocouch.embedded.errors import CouchError
from aiocouch.embedded.selectors.pcre import compile_pattern
from aiocouch.embedded.selectors.selector import Selector, first_member, normalize, parse_field

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    KeyMaker: TypeAlias = Callable[[object], bytes]
    Builder: TypeAlias = Callable[[Any, KeyMaker], "Predicate"]

__all__ = ["MISSING", "Predicate", "compile_selector", "get_field", "matcher"]

Predicate: TypeAlias = "Callable[[Any], bool]"
"""Says whether a value matches."""


class _Absent:
    """Stands for a field that is not there."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __repr__(self) -> str:
        return self._name


MISSING = _Absent("MISSING")
_BAD_PATH = _Absent("BAD_PATH")


def matcher(selector: object) -> Predicate:
    """Check, normalise and compile a selector as a client sent it."""
    return compile_selector(normalize(selector))


def compile_selector(selector: Selector) -> Predicate:
    """Compile a selector in its normal form."""
    return _compile(selector, sort_key) if selector else _always


def get_field(document: Any, path: Sequence[str]) -> Any:
    """Return the value at a path; MISSING when there is none."""
    value = _walk(document, path)
    return MISSING if value is _BAD_PATH else value


def _walk(value: Any, path: Sequence[str]) -> Any:
    for name in path:
        if isinstance(value, dict):
            value = value.get(name, MISSING)
            if value is MISSING:
                return MISSING
        elif isinstance(value, list):
            value = _item(value, name)
        else:
            return _BAD_PATH
    return value


def _item(values: list[Any], name: str) -> Any:
    digits = name[1:] if name[:1] in ("+", "-") else name
    if not (digits.isascii() and digits.isdigit()):
        return _BAD_PATH
    place = int(name)
    return values[place] if 0 <= place < len(values) else _BAD_PATH


def _always(_value: Any) -> bool:
    return True


def _never(_value: Any) -> bool:
    return False


def _compile(selector: Selector, key: KeyMaker) -> Predicate:
    name, argument = first_member(selector)
    builder = _BUILDERS.get(name)
    if builder is not None:
        return builder(argument, key)
    if name.startswith("$"):
        return partial(_invalid_operator, name)
    return _field(name, argument, key)


def _invalid_operator(name: str, _value: Any) -> bool:
    raise CouchError(400, "invalid_operator", f"Invalid operator: {name}")


def _field(name: str, condition: Selector, key: KeyMaker) -> Predicate:
    if name == "":
        return _compile(condition, key)
    path = parse_field(name)
    inner = _compile(condition, raw_sort_key if name == "_id" else key)
    absent = condition == {"$exists": False}
    if len(path) == 1:
        return partial(_match_member, path[0], path, inner, absent)
    return partial(_match_path, path, inner, absent)


def _match_member(
    name: str, path: Sequence[str], inner: Predicate, absent: bool, document: Any
) -> bool:
    """Match a field of the document itself, by far the most frequent."""
    if type(document) is dict:
        value = document.get(name, MISSING)
        return absent if value is MISSING else inner(value)
    return _match_path(path, inner, absent, document)


def _match_path(path: Sequence[str], inner: Predicate, absent: bool, document: Any) -> bool:
    value = _walk(document, path)
    if value is MISSING:
        return absent
    return False if value is _BAD_PATH else inner(value)


# --- Combinations


def _build_and(arguments: list[Selector], key: KeyMaker) -> Predicate:
    parts = [_compile(argument, key) for argument in arguments]
    if len(parts) == 2:
        first, second = parts
        return lambda value: first(value) and second(value)
    return lambda value: all(part(value) for part in parts)


def _build_or(arguments: list[Selector], key: KeyMaker) -> Predicate:
    parts = [_compile(argument, key) for argument in arguments]
    return (lambda value: any(part(value) for part in parts)) if parts else _always


def _build_not(argument: Selector, key: KeyMaker) -> Predicate:
    inner = _compile(argument, key)
    return lambda value: not inner(value)


# --- Comparisons


def _build_equal(argument: Any, key: KeyMaker) -> Predicate:
    wanted = key(argument)
    kind = type(argument)
    if kind in (str, int):
        # Values that are the same need no keys; others may still be equal, as 1 and 1.0 are.
        return lambda value: (type(value) is kind and value == argument) or key(value) == wanted
    return lambda value: key(value) == wanted


def _build_unequal(argument: Any, key: KeyMaker) -> Predicate:
    wanted = key(argument)
    return lambda value: key(value) != wanted


def _build_less(argument: Any, key: KeyMaker) -> Predicate:
    limit = key(argument)
    return lambda value: key(value) < limit


def _build_less_or_equal(argument: Any, key: KeyMaker) -> Predicate:
    limit = key(argument)
    return lambda value: key(value) <= limit


def _build_greater(argument: Any, key: KeyMaker) -> Predicate:
    limit = key(argument)
    return lambda value: key(value) > limit


def _build_greater_or_equal(argument: Any, key: KeyMaker) -> Predicate:
    limit = key(argument)
    return lambda value: key(value) >= limit


def _build_in(arguments: list[Any], key: KeyMaker) -> Predicate:
    wanted = frozenset(map(key, arguments))
    if not wanted:
        return _never

    def match(value: Any) -> bool:
        if isinstance(value, list):
            return any(key(item) in wanted for item in value)
        return key(value) in wanted

    return match


def _build_not_in(arguments: list[Any], key: KeyMaker) -> Predicate:
    inner = _build_in(arguments, key)
    return lambda value: not inner(value)


# --- Arrays and objects


def _build_all(arguments: list[Any], _key: KeyMaker) -> Predicate:
    if not arguments:
        return _never
    wanted = set(map(encode_term, arguments))
    whole = raw_sort_key(arguments[0]) if isinstance(arguments[0], list) else None
    if len(arguments) > 1:
        whole = None

    def match(value: Any) -> bool:
        if not isinstance(value, list):
            return False
        return wanted.issubset(map(encode_term, value)) or raw_sort_key(value) == whole

    return match


def _build_size(size: int, _key: KeyMaker) -> Predicate:
    return lambda value: isinstance(value, list) and len(value) == size


def _build_element_match(argument: Selector, key: KeyMaker) -> Predicate:
    return partial(_any_item, _compile(argument, key))


def _any_item(inner: Predicate, value: Any) -> bool:
    return isinstance(value, list) and _tolerant(any, inner, value)


def _build_all_match(argument: Selector, key: KeyMaker) -> Predicate:
    return partial(_all_items, _compile(argument, key))


def _all_items(inner: Predicate, value: Any) -> bool:
    return isinstance(value, list) and bool(value) and _tolerant(all, inner, value)


def _build_key_match(argument: Selector, key: KeyMaker) -> Predicate:
    return partial(_any_key, _compile(argument, key))


def _any_key(inner: Predicate, value: Any) -> bool:
    return isinstance(value, dict) and _tolerant(any, inner, list(value))


def _tolerant(combine: Callable[[Any], bool], inner: Predicate, values: list[Any]) -> bool:
    """Inside arrays an operator that fails (`$nor`, a division by zero) just does not match."""
    try:
        return combine(map(inner, values))
    except CouchError:
        return False


# --- The rest


def _build_exists(wanted: bool, _key: KeyMaker) -> Predicate:
    return _always if wanted else _never


def _build_type(name: str, _key: KeyMaker) -> Predicate:
    return lambda value: _TYPES[type(value)] == name


_TYPES = {
    type(None): "null",
    bool: "boolean",
    int: "number",
    float: "number",
    str: "string",
    list: "array",
    dict: "object",
}


def _build_mod(arguments: list[int], _key: KeyMaker) -> Predicate:
    divisor, wanted = arguments
    return lambda value: type(value) is int and _remainder(value, divisor) == wanted


def _remainder(value: int, divisor: int) -> int:
    """Divide as Erlang's rem does: the remainder has the sign of the value."""
    if divisor == 0:
        raise CouchError(500, "unknown_error", "badarith")
    rest = abs(value) % abs(divisor)
    return rest if value >= 0 else -rest


def _build_regex(pattern: str, _key: KeyMaker) -> Predicate:
    search = compile_pattern(pattern).search
    return lambda value: isinstance(value, str) and search(_bytes(value)) is not None


def _bytes(value: str) -> bytes:
    return value.encode("utf-8", "surrogatepass")


def _build_begins_with(prefix: str, _key: KeyMaker) -> Predicate:
    size = len(prefix)

    def match(value: Any) -> bool:
        if not isinstance(value, str) or not value.startswith(prefix):
            return False
        # A character counts with its accents: "e" does not begin "é" written as two.
        return not (prefix and value[size : size + 1] and combining(value[size]))

    return match


def _build_default(_argument: Any, _key: KeyMaker) -> Predicate:
    """Build `$text` without a text index: whatever the index gave is a match."""
    return _always


_BUILDERS: dict[str, Builder] = {
    "$and": _build_and,
    "$or": _build_or,
    "$not": _build_not,
    "$eq": _build_equal,
    "$ne": _build_unequal,
    "$lt": _build_less,
    "$lte": _build_less_or_equal,
    "$gt": _build_greater,
    "$gte": _build_greater_or_equal,
    "$in": _build_in,
    "$nin": _build_not_in,
    "$all": _build_all,
    "$size": _build_size,
    "$elemMatch": _build_element_match,
    "$allMatch": _build_all_match,
    "$keyMapMatch": _build_key_match,
    "$exists": _build_exists,
    "$type": _build_type,
    "$mod": _build_mod,
    "$regex": _build_regex,
    "$beginsWith": _build_begins_with,
    "$default": _build_default,
}
