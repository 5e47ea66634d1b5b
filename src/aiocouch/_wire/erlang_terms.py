"""Erlang's external term format, as `term_to_binary(Term, [{minor_version, 1}])` writes it. Pure.

CouchDB hashes this text where it makes an id of several values. A str stands for an Erlang string (a
list of characters), bytes for a binary, a tuple for a tuple, a list for a list; `Atom` for an atom.
"""

from __future__ import annotations

import struct
from typing import Any, NamedTuple

_VERSION = b"\x83"
_NIL = b"j"
_LONGEST_STRING = 0xFFFF
_SMALL = 0xFF


class Atom(NamedTuple):
    """An atom, by its name."""

    name: str


UNDEFINED = Atom("undefined")


def term_to_binary(term: Any) -> bytes:
    """Return the external format of a term. Raise `TypeError` for what no term is made of."""
    return _VERSION + _encoded(term)


def of_json(value: Any) -> Any:
    """Return the term that CouchDB makes of a JSON value: binaries, and pairs for an object."""
    if isinstance(value, str):
        return value.encode("utf-8", "surrogatepass")
    if value is None:
        return Atom("null")
    if isinstance(value, bool):
        return Atom("true" if value else "false")
    if isinstance(value, dict):
        return ([(of_json(name), of_json(item)) for name, item in value.items()],)
    if isinstance(value, list | tuple):
        return [of_json(item) for item in value]
    return value


def _encoded(term: Any) -> bytes:
    if isinstance(term, Atom):
        name = term.name.encode("latin-1")
        return b"d" + struct.pack(">H", len(name)) + name
    if isinstance(term, bytes):
        return b"m" + struct.pack(">I", len(term)) + term
    if isinstance(term, str):
        return _string(term)
    if isinstance(term, tuple):
        return _tuple(term)
    if isinstance(term, list):
        return _list(term)
    if isinstance(term, float):
        return b"F" + struct.pack(">d", term)
    if isinstance(term, int) and not isinstance(term, bool):
        return _integer(term)
    raise TypeError(f"{type(term).__name__} is not an Erlang term")


def _string(text: str) -> bytes:
    codes = [ord(character) for character in text]
    if not codes:
        return _NIL
    if len(codes) > _LONGEST_STRING or max(codes) > _SMALL:
        return _list(codes)
    return b"k" + struct.pack(">H", len(codes)) + bytes(codes)


def _list(items: list[Any]) -> bytes:
    if not items:
        return _NIL
    # Erlang knows no strings: a short list of small numbers is one.
    if len(items) <= _LONGEST_STRING and all(_is_byte(item) for item in items):
        return b"k" + struct.pack(">H", len(items)) + bytes(items)
    return b"l" + struct.pack(">I", len(items)) + b"".join(map(_encoded, items)) + _NIL


def _is_byte(item: Any) -> bool:
    return type(item) is int and 0 <= item <= _SMALL


def _tuple(items: tuple[Any, ...]) -> bytes:
    size = len(items)
    head = b"h" + bytes([size]) if size <= _SMALL else b"i" + struct.pack(">I", size)
    return head + b"".join(map(_encoded, items))


def _integer(number: int) -> bytes:
    if 0 <= number <= _SMALL:
        return b"a" + bytes([number])
    if -(1 << 31) <= number < 1 << 31:
        return b"b" + struct.pack(">i", number)
    size = (abs(number).bit_length() + 7) // 8
    head = b"n" + bytes([size]) if size <= _SMALL else b"o" + struct.pack(">I", size)
    return head + bytes([number < 0]) + abs(number).to_bytes(size, "little")
