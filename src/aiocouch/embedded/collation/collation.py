"""The order of view keys, as bytes.

`sort_key(value)` turns any JSON value into bytes whose plain order (Python's, SQLite's BLOB order)
is CouchDB's order of view keys: null, false, true, numbers, strings, arrays, objects. Equal bytes
are equal keys (1 and 1.0 are). No key is the beginning of another, so keys can be joined: append
the document id (UTF-8) and rows with equal keys come in CouchDB's order.

    sort_key(["b", 2]) < sort_key(["b", 2, None]) < sort_key(["b", 10]) < sort_key({})

- Numbers compare exactly, integers of any size among floats, as Erlang compares them.
- Strings are in the root collation of Unicode: see `string_order`.
- Arrays item by item, the shorter first. Objects member by member in the order they were written,
  name before value.

`raw_sort_key` is the order of views with the option `"collation": "raw"`, Erlang's own: numbers,
false, null, true, objects, arrays, strings by bytes.

The least and the greatest key there can be are `LOWEST` and `HIGHEST`.
"""

from __future__ import annotations

from math import inf, ldexp
from struct import Struct
from typing import TYPE_CHECKING, Any, TypeAlias

from aiocouch.embedded.collation.string_order import string_key

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    KeyMaker: TypeAlias = Callable[[Any], bytes]

__all__ = ["HIGHEST", "LOWEST", "raw_sort_key", "sort_key"]

LOWEST = b""
"""Less than every key."""
HIGHEST = b"\xff"
"""Greater than every key."""

_NULL = b"\x10"
_FALSE = b"\x18"
_TRUE = b"\x20"
_NUMBER = b"\x28"
_STRING = b"\x30"
_ARRAY = b"\x38"
_OBJECT = b"\x40"
_END = b"\x00"

_float_bits = Struct(">d").pack
_read_bits = Struct(">Q").unpack
_number = Struct(">cQB").pack
_SIGN = 1 << 63
_ALL = (1 << 64) - 1
_EXACT = 1 << 53
_LARGEST_SHIFT = 1024 - 53
_PLAIN, _MORE, _HUGE = 0x80, 0x81, 0x82
_INVERTED = bytes(255 - byte for byte in range(256))


def sort_key(value: object) -> bytes:
    """Return the sort key of a decoded JSON value."""
    try:
        return _MAKERS[type(value)](value)
    except RecursionError:
        return _deep_key(value, _MAKERS, _ARRAY, _OBJECT)


def raw_sort_key(value: object) -> bytes:
    """Return the sort key of a value in a view with raw collation."""
    try:
        return _RAW_MAKERS[type(value)](value)
    except RecursionError:
        return _deep_key(value, _RAW_MAKERS, _RAW_ARRAY, _RAW_OBJECT)


def _deep_key(
    value: object, makers: Mapping[type, KeyMaker], array: bytes, object_: bytes
) -> bytes:
    """Return the key of a value that is nested too deep for functions that call themselves."""
    parts: list[bytes] = []
    left: list[Any] = [value]
    while left:
        item = left.pop()
        if isinstance(item, bytes):  # of the key; no value is of that type
            parts.append(item)
        elif isinstance(item, list):
            parts.append(array)
            left += (_END, *reversed(item))
        elif isinstance(item, dict):
            parts.append(object_)
            left.append(_END)
            for name, member in reversed(item.items()):
                left += (member, makers[str](name))
        else:
            parts.append(makers[type(item)](item))
    return b"".join(parts)


def _null_key(_value: None) -> bytes:
    return _NULL


def _bool_key(value: bool) -> bytes:
    return _TRUE if value else _FALSE


def _string_key(value: str) -> bytes:
    return _STRING + string_key(value)


def _number_key(value: float) -> bytes:
    """Order the bits of a float: flip the sign bit of positives and every bit of negatives."""
    bits = _read_bits(_float_bits(value))[0]
    if value >= 0:
        return _number(_NUMBER, bits | _SIGN, _PLAIN)
    return _number(_NUMBER, bits ^ _ALL, 255 - _PLAIN)


def _integer_key(value: int) -> bytes:
    if -_EXACT <= value <= _EXACT:
        return _number_key(value)
    key = _big_key(abs(value))
    return _NUMBER + (key if value > 0 else key.translate(_INVERTED))


def _big_key(size: int) -> bytes:
    """Return the greatest float that is not more, and what is missing to it."""
    shift = size.bit_length() - 53
    if shift > _LARGEST_SHIFT:
        whole = size.to_bytes(shift // 8 + 8, "big")
        return _ordered(inf) + bytes((_HUGE,)) + len(whole).to_bytes(8, "big") + whole
    head = size >> shift
    rest = size - (head << shift)
    if rest == 0:
        return _ordered(ldexp(head, shift)) + bytes((_PLAIN,))
    missing = rest.to_bytes((shift + 7) // 8, "big")
    return _ordered(ldexp(head, shift)) + bytes((_MORE,)) + missing


def _ordered(value: float) -> bytes:
    bits: int = _read_bits(_float_bits(value))[0] | _SIGN
    return bits.to_bytes(8, "big")


def _array_key(value: Sequence[Any]) -> bytes:
    return _ARRAY + b"".join([_MAKERS[type(item)](item) for item in value]) + _END


def _object_key(value: Mapping[str, Any]) -> bytes:
    parts = [_OBJECT]
    for name, item in value.items():
        parts += (_STRING, string_key(name), _MAKERS[type(item)](item))
    parts.append(_END)
    return b"".join(parts)


_MAKERS: dict[type, KeyMaker] = {
    str: _string_key,
    int: _integer_key,
    float: _number_key,
    bool: _bool_key,
    type(None): _null_key,
    list: _array_key,
    dict: _object_key,
}

_RAW_ATOMS = {False: b"\x31", None: b"\x32", True: b"\x33"}
_RAW_OBJECT = b"\x40"
_RAW_ARRAY = b"\x48"
_RAW_STRING = b"\x50"


def _raw_atom_key(value: bool | None) -> bytes:
    return _RAW_ATOMS[value]


def _raw_string_key(value: str) -> bytes:
    data = value.encode("utf-8", "surrogatepass")
    return _RAW_STRING + data.replace(b"\x00", b"\x00\xff") + b"\x00\x00"


def _raw_array_key(value: Sequence[Any]) -> bytes:
    return _RAW_ARRAY + b"".join([_RAW_MAKERS[type(item)](item) for item in value]) + _END


def _raw_object_key(value: Mapping[str, Any]) -> bytes:
    parts = [_RAW_OBJECT]
    for name, item in value.items():
        parts += (_raw_string_key(name), _RAW_MAKERS[type(item)](item))
    parts.append(_END)
    return b"".join(parts)


_RAW_MAKERS: dict[type, KeyMaker] = {
    str: _raw_string_key,
    int: _integer_key,
    float: _number_key,
    bool: _raw_atom_key,
    type(None): _raw_atom_key,
    list: _raw_array_key,
    dict: _raw_object_key,
}
