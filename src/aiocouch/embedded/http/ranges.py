"""Byte ranges of an attachment, read as Apache CouchDB reads them. Pure."""

from __future__ import annotations

import re

from aiocouch.embedded.errors import CouchError

_RANGE = re.compile(r"\s*(\d*)\s*-\s*(\d*)\s*")


def read_ranges(header: str | None, length: int) -> list[tuple[int, int]] | None:
    """Return the ranges asked for as (first, last), both included; None for all bytes.

    A header that is not a list of byte ranges is ignored. A range outside `length` raises 416.
    """
    unit, equals, text = (header or "").partition("=")
    if not equals or unit.strip() != "bytes":
        return None
    matches = [_RANGE.fullmatch(part) for part in text.split(",") if part.strip()]
    pairs = [(match[1], match[2]) for match in matches if match is not None]
    if len(pairs) < len(matches) or not pairs or ("", "") in pairs:
        return None
    ranges = [_range(first, last, length) for first, last in pairs]
    return None if None in ranges else [item for item in ranges if item is not None]


def _range(first: str, last: str, length: int) -> tuple[int, int] | None:
    if not first:
        # CouchDB never gives the very first byte to a suffix, however long that is.
        return _within(max(length - int(last), 1), length - 1, length)
    if first == "0" and not last:
        return None
    return _within(int(first), min(int(last), length - 1) if last else length - 1, length)


def _within(first: int, last: int, length: int) -> tuple[int, int]:
    if first > last or last >= length:
        raise CouchError(416, "requested_range_not_satisfiable", "Requested range not satisfiable")
    return first, last
