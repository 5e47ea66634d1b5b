"""How Erlang prints values: CouchDB puts what it does not understand into its error texts so."""

from __future__ import annotations

import re
from typing import Any

from aiocouch._wire.numerals import printed as printed_number
from aiocouch.embedded.codec import encode

__all__ = ["flattened", "printed", "read_integer", "shown_text", "written"]

_INTEGER = re.compile(r"[+-]?[0-9]+")


def read_integer(text: str) -> int:
    """Read a whole number as Erlang does; ValueError for what else Python would take."""
    if not _INTEGER.fullmatch(text):
        raise ValueError(text)
    return int(text)


def shown_text(text: str) -> str:
    """Print the text of an option of a query as `~p` does."""
    return encode(text).decode() if text else "[]"


def written(value: Any) -> str:
    """Print decoded JSON as `~w` does: strings are lists of bytes, `<<97,98>>`."""
    if isinstance(value, str):
        return f"<<{','.join(str(byte) for byte in value.encode())}>>"
    if isinstance(value, list):
        return f"[{','.join(map(written, value))}]"
    if isinstance(value, dict):
        pairs = ",".join(f"{{{written(name)},{written(item)}}}" for name, item in value.items())
        return f"{{[{pairs}]}}"
    return _plain(value)


def printed(value: Any) -> str:
    """Print decoded JSON as `~p` does: strings are readable where they can be."""
    if isinstance(value, str):
        return _printed_string(value)
    if isinstance(value, list):
        return _printed_list(value)
    if isinstance(value, dict):
        pairs = ",".join(f"{{{printed(name)},{printed(item)}}}" for name, item in value.items())
        return f"{{[{pairs}]}}"
    return _plain(value)


def flattened(value: Any) -> bytes:
    """Return the bytes of a text, or of a list of texts, bytes (numbers) and such lists.

    Anything else raises ValueError: Erlang would say `badarg`.
    """
    if isinstance(value, str):
        return value.encode()
    if isinstance(value, list):
        return b"".join(_part(each) for each in value)
    raise ValueError(value)


def _part(value: Any) -> bytes:
    return bytes([value]) if type(value) is int else flattened(value)


def _plain(value: Any) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    return printed_number(value) if isinstance(value, float) else str(value)


def _printed_string(value: str) -> str:
    if value and all(32 <= ord(character) < 127 for character in value):
        escaped = value.replace("\\", "\\\\").replace('"', '\\"')
        return f'<<"{escaped}">>'
    return written(value)


def _printed_list(value: list[Any]) -> str:
    if value and all(type(item) is int and 32 <= item < 127 for item in value):
        text = "".join(map(chr, value)).replace("\\", "\\\\").replace('"', '\\"')
        return f'"{text}"'
    return f"[{','.join(map(printed, value))}]"
