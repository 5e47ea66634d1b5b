"""Content for eyes: JSON that is cut where it is long, and tells no secrets."""

from __future__ import annotations

import json
import re
from typing import Any

_MOST = 4_000  # characters

# What CouchDB keeps in documents of users and of replications.
_SECRET = re.compile(
    r'("(?:password|password_sha|derived_key|salt|authorization|cookie)": )'
    r'("(?:[^"\\]|\\.)*(?:"|$)|-?[0-9][0-9.eE+-]*)',
    re.IGNORECASE | re.DOTALL,
)
_USER_OF_URL = re.compile(r'(://)[^/"\s]+(?:@|$)')
_writer = json.JSONEncoder(indent=2, ensure_ascii=False, skipkeys=True, default=repr)


def shown(value: Any, most: int = _MOST) -> str:
    """Return the value as indented JSON of at most `most` characters and "…".

    What is not JSON is shown by its repr. Passwords of CouchDB's own documents, and those in URLs,
    are hidden.
    """
    text = _begin(value, most).encode(errors="backslashreplace").decode()  # a lone surrogate
    cut = text[:most] + "…" if len(text) > most else text
    hidden = _SECRET.sub(r'\1"***"', cut)
    return _USER_OF_URL.sub(r"\1***@", hidden)


def _begin(value: Any, most: int) -> str:
    """Return the text as far as it can matter; a long document is not written whole for that."""
    parts: list[str] = []
    size = 0
    try:
        for part in _writer.iterencode(value):
            parts.append(part)
            size += len(part)
            if size > most:
                break
    except (ValueError, RecursionError):  # a value that holds itself
        parts.append("…")
    return "".join(parts)
