"""Bookmarks: where a query stopped, as text that a client sends back."""

from __future__ import annotations

import base64
import binascii
from typing import Any

import msgspec

from aiocouch.embedded.codec import encode
from aiocouch.embedded.errors import bad_request

__all__ = ["read_bookmark", "write_bookmark"]

NOTHING = "nil"
"""The bookmark of a query that found nothing. Nobody can go on from there."""


def write_bookmark(key: bytes, doc_id: str) -> str:
    """Make the bookmark of a row; `key` is the JSON text of its key."""
    text = encode([msgspec.Raw(key), doc_id])
    return "g" + base64.urlsafe_b64encode(text).rstrip(b"=").decode()


def read_bookmark(text: str) -> tuple[Any, str]:
    """Return the key and the id of the row where a query stopped; 400 for anything else."""
    try:
        data = base64.urlsafe_b64decode(text[1:] + "=" * (-len(text[1:]) % 4))
        key, doc_id = msgspec.json.decode(data, type=tuple[Any, str])
    except (binascii.Error, ValueError, msgspec.MsgspecError):
        raise _invalid(text) from None
    if not text.startswith("g"):
        raise _invalid(text)
    return key, doc_id


def _invalid(text: str) -> Exception:
    return bad_request(f"Invalid bookmark value: {encode(text).decode()}", "invalid_bookmark")
