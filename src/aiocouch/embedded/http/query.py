"""The query string of a request, with CouchDB's way to read it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, unquote_plus, unquote_to_bytes

from aiocouch.embedded.codec import decode
from aiocouch.embedded.erlang_text import read_integer, shown_text
from aiocouch.embedded.errors import query_parse_error

if TYPE_CHECKING:
    from collections.abc import Iterator


_PLAIN = re.compile("[A-Za-z0-9_.:-]*")
_ESCAPED = re.compile("[\ud800-\udfff]")


def read_pairs(text: str) -> Iterator[tuple[str, str]]:
    """Yield the names and values of a query or of the body of a form; a name alone has ""."""
    for part in text.replace(";", "&").split("&"):
        if part:
            name, _, value = part.partition("=")
            yield unquote_plus(name), unquote_plus(value)


class Query:
    """The options of a request by name; where an option is repeated, the first counts."""

    __slots__ = ("pairs", "raw")

    def __init__(self, raw: str) -> None:
        self.raw = raw
        self.pairs: list[tuple[str, str]] = list(read_pairs(raw)) if raw else []

    def __contains__(self, name: str) -> bool:
        return bool(self.pairs) and any(name == known for known, _ in self.pairs)

    def text(self, name: str, default: str | None = None) -> str | None:
        """Return the option as it stands, decoded from percent-encoding."""
        for known, value in self.pairs:
            if known == name:
                return value
        return default

    def is_true(self, name: str) -> bool:
        """Return whether the option is the text `true`; anything else is false."""
        return self.text(name) == "true"

    def flag(self, name: str, default: bool = False) -> bool:
        """Return a boolean option; another text raises query_parse_error."""
        value = self.text(name)
        if value is None:
            return default
        if value.lower() not in {"true", "false"}:
            raise query_parse_error(f"Invalid boolean parameter: {shown_text(value)}")
        return value.lower() == "true"

    def integer(self, name: str, default: int, minimum: int = 0) -> int:
        """Return a whole number from `minimum`; anything else raises query_parse_error."""
        value = self.text(name)
        if value is None:
            return default
        try:
            number = read_integer(value)
        except ValueError:
            raise query_parse_error(f"Invalid value for integer: {shown_text(value)}") from None
        if number < minimum:
            raise query_parse_error(f"Invalid value for positive integer: {shown_text(value)}")
        return number

    def json(self, name: str, default: Any = None) -> Any:
        """Return an option that is JSON text, decoded; bad JSON is a 400."""
        value = self.text(name)
        if value is None:
            return default
        return decode(value)


def unquote_segment(segment: str, *, plus_is_space: bool = True) -> str:
    """Decode one segment of a path; `+` is a space, unless the server is told otherwise.

    Bytes that are not UTF-8 become lone surrogates, see `is_utf8`.
    """
    if "%" not in segment and "+" not in segment:
        return segment
    spaced = segment.replace("+", " ") if plus_is_space else segment
    return unquote_to_bytes(spaced).decode(errors="surrogateescape")


def quoted_segment(text: str) -> str:
    """Quote a segment of a path as CouchDB does in a Location."""
    if _PLAIN.fullmatch(text) is not None:
        return text
    return quote(text, safe=":").replace("~", "%7E")


def is_utf8(segment: str) -> bool:
    """Return whether a decoded segment is text, and can be kept or sent."""
    return segment.isascii() or _ESCAPED.search(segment) is None
