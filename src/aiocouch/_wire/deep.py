"""JSON that is nested deeper than the codec goes.

The codec works by recursion, CouchDB does not: it keeps documents of any depth. Here rows are taken
apart by counting brackets, so that a document that is too deep does not take the others with it.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from aiocouch._wire.codec import decode, encode_text

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["TooDeepError", "elements", "members", "shallow"]

_TOKEN = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*"|[\[\]{},:]', re.DOTALL)
_NULL = b"null"


class TooDeepError(ValueError):
    """What is needed of a row is nested deeper than the codec goes."""


def elements(text: bytes) -> Iterator[bytes]:
    """Return the texts of the elements of a JSON array."""
    return (text[start:end] for start, end in _parts(text) if text[start:end].strip())


def members(text: bytes) -> dict[str, bytes]:
    """Return the texts of the members of a JSON object."""
    found: dict[str, bytes] = {}
    for start, end in _parts(text):
        name = _TOKEN.search(text, start, end)
        if name is not None:
            colon = text.index(b":", name.end())
            found[decode(name[0])] = text[colon + 1 : end].strip()
    return found


def shallow(text: bytes) -> tuple[bytes, dict[str, bytes]]:
    """Return a JSON object with null for the members that are too deep, and the texts of these."""
    found = members(text)
    deep = {name: value for name, value in found.items() if _is_deep(value)}
    pairs = (
        encode_text(name) + b":" + (_NULL if name in deep else value)
        for name, value in found.items()
    )
    return b"{" + b",".join(pairs) + b"}", deep


def _parts(text: bytes) -> Iterator[tuple[int, int]]:
    """Yield where the parts between the commas of an array or object are."""
    depth = start = 0
    for match in _TOKEN.finditer(text):
        token = match[0]
        if token in b"[{":
            depth += 1
            start = match.end() if depth == 1 else start
        elif token in b"]}":
            depth -= 1
            if depth == 0:
                yield start, match.start()
        elif token == b"," and depth == 1:
            yield start, match.start()
            start = match.end()


def _is_deep(value: bytes) -> bool:
    try:
        decode(value)
    except RecursionError:
        return True
    return False
