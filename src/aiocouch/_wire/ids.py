"""Names as path segments. Ids are data: whatever is in one, it stays one segment.

`/` and `+` and `%` are encoded, `.` and `..` become `%2E` and `%2E%2E` so that nobody on the way
resolves them into another path. `_design/…` and `_local/…` keep the slash after the prefix.
"""

from __future__ import annotations

import re
from urllib.parse import quote

from aiocouch._errors import InvalidInputError, InvalidTypeError

_PLAIN = re.compile(r"[A-Za-z0-9_~-][A-Za-z0-9._~-]*").fullmatch
_DOTS = {".": "%2E", "..": "%2E%2E"}
_DESIGN_NAME = "name of the design document"
_PREFIXES = ("_design/", "_local/")


def quote_name(name: str, what: str = "name") -> str:
    """Return one path segment for any name.

    Raise `InvalidTypeError` for what is not a str, `InvalidInputError` for an empty name or one with a
    lone surrogate; `what` names it in the message.
    """
    if not isinstance(name, str):
        raise InvalidTypeError(f"the {what} must be a str, not {type(name).__name__}: {name!r}")
    if _PLAIN(name):
        return name
    if not name:
        raise InvalidInputError(f"the {what} must not be empty")
    try:
        return _DOTS.get(name) or quote(name, safe="")
    except UnicodeEncodeError:
        raise InvalidInputError(
            f"the {what} {name!r} is not Unicode text: lone surrogate"
        ) from None


def quote_document_id(doc_id: str) -> str:
    """Return the path of a document below its database: one segment, or two after `_design`, `_local`."""
    if isinstance(doc_id, str) and doc_id.startswith(_PREFIXES):
        prefix, _, rest = doc_id.partition("/")
        return f"{prefix}/{quote_name(rest, f'document id after {prefix}/')}"
    return quote_name(doc_id, "document id")


def check_document_id(doc_id: str) -> None:
    """Raise as `quote_document_id` does, without the work of quoting where nothing needs it."""
    if type(doc_id) is not str or not doc_id or doc_id[0] == "_" or not doc_id.isascii():
        quote_document_id(doc_id)


def design_document_id(name: str) -> str:
    """Return the id of a design document, for its name with or without `_design/`."""
    if not isinstance(name, str):
        quote_name(name, _DESIGN_NAME)  # which says what is wrong
    return name if name.startswith("_design/") else f"_design/{name}"


def quote_design_name(name: str) -> str:
    """Return the name of a design document, given with or without `_design/`, as a path segment."""
    return quote_name(design_document_id(name).removeprefix("_design/"), _DESIGN_NAME)
