"""JSON that is nested deeper than the stack of Python goes, read and written without recursion.

CouchDB takes any depth. It is slow, and only used where the quick way has failed. Pure.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["decode_deep", "encode_deep"]

_TOKEN = re.compile(
    rb'[ \t\r\n]*([\[\]{}:,]|"[^"\\]*(?:\\.[^"\\]*)*"|[^ \t\r\n\[\]{}:,"]+)[ \t\r\n]*', re.DOTALL
)


def decode_deep(text: bytes, scalar: Callable[[bytes], Any]) -> Any:
    """Decode JSON; `scalar` decodes strings, numbers and words. ValueError for what is not JSON.

    Of a member that is given twice the last counts, where it stands.
    """
    reader = _Reader(scalar)
    place = 0
    while place < len(text):
        match = _TOKEN.match(text, place)
        if match is None:
            raise ValueError("no JSON")
        reader.take(match[1])
        place = match.end()
    return reader.result()


class _Reader:
    """Puts a value together from its tokens.

    `_wants` says what may come: a value, a value or the end of an array (`]`), a name, a name or
    the end of an object (`}`), a colon, or what comes after a value (`,`).
    """

    def __init__(self, scalar: Callable[[bytes], Any]) -> None:
        self._scalar = scalar
        self._root: list[Any] = []
        self._open: list[list[Any] | dict[str, Any]] = [self._root]
        self._names: list[str] = []
        self._wants = "value"

    def take(self, token: bytes) -> None:
        if token in b"]}":
            self._close(token)
        elif token == b",":
            self._expect(",")
            self._wants = "name" if isinstance(self._open[-1], dict) else "value"
            if len(self._open) == 1:
                raise ValueError("a comma after everything")
        elif token == b":":
            self._expect(":")
            self._wants = "value"
        elif self._wants in ("name", "}"):
            self._take_name(token)
        else:
            self._take_value(token)

    def result(self) -> Any:
        if len(self._open) > 1 or not self._root:
            raise ValueError("JSON is cut off")
        return self._root[0]

    def _expect(self, *wants: str) -> None:
        if self._wants not in wants:
            raise ValueError(f"no {wants[0]} expected")

    def _take_name(self, token: bytes) -> None:
        if token[:1] != b'"':
            raise ValueError("a name is a string")
        self._names.append(self._scalar(token))
        self._wants = ":"

    def _take_value(self, token: bytes) -> None:
        self._expect("value", "]")
        if token == b"[":
            self._begin([], "]")
        elif token == b"{":
            self._begin({}, "}")
        else:
            self._put(self._scalar(token))
            self._wants = ","

    def _begin(self, value: list[Any] | dict[str, Any], wants: str) -> None:
        self._put(value)
        self._open.append(value)
        self._wants = wants

    def _put(self, value: Any) -> None:
        container = self._open[-1]
        if isinstance(container, dict):
            name = self._names.pop()
            container.pop(name, None)
            container[name] = value
        else:
            container.append(value)

    def _close(self, token: bytes) -> None:
        self._expect(",", token.decode())
        end = b"}" if isinstance(self._open[-1], dict) else b"]"
        if len(self._open) == 1 or token != end:
            raise ValueError("brackets do not match")
        self._open.pop()
        self._wants = ","


def encode_deep(value: Any, scalar: Callable[[Any], bytes]) -> bytes:
    """Encode a value that came from JSON; `scalar` encodes all but arrays and objects."""
    pieces: list[bytes] = []
    # bytes are text that is ready, for no JSON value is of that type
    todo: list[Any] = [value]
    while todo:
        item = todo.pop()
        if isinstance(item, bytes):
            pieces.append(item)
        elif isinstance(item, dict):
            todo += _object_reversed(item, scalar)
        elif isinstance(item, list):
            todo += _array_reversed(item)
        else:
            pieces.append(scalar(item))
    return b"".join(pieces)


def _object_reversed(value: dict[str, Any], scalar: Callable[[Any], bytes]) -> list[Any]:
    flat: list[Any] = [b"{"]
    for name, item in value.items():
        flat += [b"," if len(flat) > 1 else b"", scalar(name), b":", item]
    return [b"}", *reversed(flat)]


def _array_reversed(value: list[Any]) -> list[Any]:
    flat: list[Any] = [b"["]
    for item in value:
        flat += [b"," if len(flat) > 1 else b"", item]
    return [b"]", *reversed(flat)]
