"""Options as a query string, checked by name before anything is sent."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from aiocouch._errors import InvalidInputError, InvalidTypeError
from aiocouch._wire.codec import encode
from aiocouch.typing import (
    BulkDocsOptions,
    BulkGetOptions,
    ChangesOptions,
    DatabaseOptions,
    DocumentOptions,
    FindOptions,
    IndexOptions,
    ListOptions,
    PurgeOptions,
    ViewOptions,
)

DATABASE = frozenset(DatabaseOptions.__annotations__)
LIST = frozenset(ListOptions.__annotations__)
DOCUMENT = frozenset({"rev", *DocumentOptions.__annotations__})
VIEW = frozenset(ViewOptions.__annotations__)
# `fields` is known, to be refused with its reason.
FIND = frozenset({"limit", "fields", *FindOptions.__annotations__})
INDEX = frozenset(IndexOptions.__annotations__)
BULK_DOCS = frozenset(BulkDocsOptions.__annotations__)
BULK_GET = frozenset(BulkGetOptions.__annotations__)
PURGE = frozenset(PurgeOptions.__annotations__)
CHANGES = frozenset(ChangesOptions.__annotations__)

KEYS = frozenset({"key", "keys", "startkey", "start_key", "endkey", "end_key"})
"""The options whose value is JSON, whatever it is."""


_ELSEWHERE = {
    "batch": "batch mode is save(batch=True) of a document",
    "new_edits": "bulk_docs(…, new_edits=False) writes revisions as they are",
    "open_revs": "open_revs() and leaves() of a document get several revisions",
}
"""What those options are that are found at another place."""


def checked(options: Mapping[str, Any], known: frozenset[str]) -> dict[str, Any]:
    """Return the options that are not None, those of `extra` among them.

    Raise `InvalidTypeError` for a name that is not known, with the nearest one that is. `extra` is
    the door for what a newer CouchDB takes.
    """
    if not options:
        return {}
    for name in options:
        if name not in known:
            raise InvalidTypeError(unknown_option(name, known))
    given = {name: value for name, value in options.items() if value is not None}
    extra = given.pop("extra", None)
    if extra is None:
        return given
    if not isinstance(extra, Mapping):
        raise InvalidTypeError(f"extra= is a dict of options by name, not {type(extra).__name__}")
    return {**given, **extra}


def unknown_option(name: str, known: frozenset[str]) -> str:
    """Return what to say of an option that is not known, with the nearest one that is."""
    from difflib import get_close_matches  # for few programs make this mistake

    if name in _ELSEWHERE:
        return f"unknown option {name!r}: {_ELSEWHERE[name]}"
    near = get_close_matches(name, known, 1)
    hint = (
        f", did you mean {near[0]!r}?"
        if near
        else "; an option that is new to CouchDB goes into extra="
    )
    return f"unknown option {name!r}{hint}"


def json_keys(options: Mapping[str, Any]) -> dict[str, Any]:
    """Return the options with every view key as JSON text, strings too."""
    return {
        name: encode(value).decode() if name in KEYS else value for name, value in options.items()
    }


def with_query(path: str, options: Mapping[str, Any]) -> str:
    """Return the path with the options after it: None is left out, str goes as it is, the rest as JSON."""
    pairs = [
        f"{_quote(name)}={_quote(_text(value))}"
        for name, value in options.items()
        if value is not None
    ]
    return f"{path}?{'&'.join(pairs)}" if pairs else path


def _text(value: Any) -> str:
    return value if isinstance(value, str) else encode(value).decode()


def _quote(text: str) -> str:
    try:
        return quote(text, safe="")
    except UnicodeEncodeError:
        raise InvalidInputError(
            f"the option {text!r} is not Unicode text: lone surrogate"
        ) from None
