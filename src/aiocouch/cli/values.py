"""What people type for JSON: values, members of objects, whole documents."""

from __future__ import annotations

import argparse
import json
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from aiocouch.cli.exits import CommandError, Exit
from aiocouch.cli.reading import interruptible, stdin_lines, stdin_text

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["PAIRS", "ids_of", "members_of", "object_of", "port", "some", "value_of", "whole"]

_LAST_PORT = 65_535

PAIRS = "a value that is JSON counts as such, all else is text: pages=104, 'zip=\"01234\"'"
"""How a value is typed, for the help of commands."""


def whole(text: str) -> int:
    """Return the whole number that an option is, 0 or more; for argparse."""
    return _number(text, 0)


def some(text: str) -> int:
    """Return the whole number that an option is, 1 or more; for argparse."""
    return _number(text, 1)


def port(text: str) -> int:
    """Return the port that an option is; for argparse."""
    found = _number(text, 0)
    if found > _LAST_PORT:
        raise argparse.ArgumentTypeError(f"{text!r} is not a port: the last one is {_LAST_PORT}")
    return found


def _number(text: str, least: int) -> int:
    if not text.strip().removeprefix("+").isdecimal() or int(text) < least:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number, {least} or more")
    return int(text)


def value_of(text: str) -> Any:
    """Return the JSON value that a text is, or else the text."""
    try:
        return msgspec.json.decode(text)
    except (msgspec.DecodeError, UnicodeEncodeError, RecursionError):
        return text


def object_of(text: str | bytes, where: str) -> dict[str, Any]:
    """Return the JSON object that a text is. `where` is its name in what is said if it is none."""
    try:
        found = msgspec.json.decode(text)
        twice = _first_double(text)
    except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
        raise CommandError(
            f"{where} is not JSON: {error}{_place(text, error)}", Exit.USAGE
        ) from None
    if not isinstance(found, dict):
        raise CommandError(f"{where} is not a JSON object", Exit.USAGE)
    if twice is not None:
        raise CommandError(f"{where} has {twice!r} twice in one object", Exit.USAGE)
    return found


def _first_double(text: str | bytes) -> str | None:
    """Return a name that an object has twice, of which one value would be lost."""
    doubles: list[str] = []

    def look(pairs: list[tuple[str, Any]]) -> None:
        names = Counter(name for name, _ in pairs)
        doubles.extend(name for name, count in names.items() if count > 1)

    # Numbers are not looked at: Python has a limit to their digits.
    json.loads(text, object_pairs_hook=look, parse_int=str, parse_float=str)
    return doubles[0] if doubles else None


def _place(text: str | bytes, error: Exception) -> str:
    """Return the line of the place that an error of msgspec names by its byte."""
    at = str(error).rpartition("(byte ")[2].rstrip(")")
    raw = text.encode("utf-8", "replace") if isinstance(text, str) else text
    return f", line {raw[: int(at)].count(10) + 1}" if at.isdecimal() else ""


def members_of(sources: list[str]) -> dict[str, Any]:
    """Return the members of a document, of `name=value`, files, and `-` for stdin. Later ones win."""
    found: dict[str, Any] = {}
    for source in sources:
        name, sign, value = source.partition("=")
        if sign:
            if not name:
                raise CommandError(f"{source!r} has no name before its =", Exit.USAGE)
            found[name] = value_of(value)
        elif source == "-":
            found |= object_of(stdin_text(), "stdin")
        else:
            with interruptible():  # a named pipe waits for who writes into it
                text = Path(source).read_bytes()
            found |= object_of(text, source)
    return found


def ids_of(given: list[str]) -> Iterator[str]:
    """Yield ids, and for `-` those of stdin, a line each."""
    for doc_id in given:
        if doc_id == "-":
            yield from stdin_lines()
        else:
            yield doc_id
