"""JSON text and values; integers of any size survive."""

from __future__ import annotations

import json
from typing import Any

import msgspec

from aiocouch.embedded.errors import invalid_json

_decoder = msgspec.json.Decoder()
_encoder = msgspec.json.Encoder()


def decode(text: bytes | str) -> Any:
    """Decode JSON text; text that is not JSON raises the 400 that CouchDB answers with."""
    try:
        return _decoder.decode(text)
    except (msgspec.DecodeError, UnicodeError, RecursionError, ValueError):
        raise invalid_json() from None


def decode_sent(text: bytes) -> Any:
    """Decode JSON that a client sent; the same for a member that is given twice as in CouchDB.

    There the last one counts, and it stands where it was given last. The order of members
    matters to the revision of a document.
    """
    value = decode(text)
    # A member that got lost took two quotes along, and an escaped quote looks like one.
    if text.count(b'"') != encode(value).count(b'"') or b"\\u0022" in text:
        return json.loads(text, object_pairs_hook=_last_members)
    return value


def _last_members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members: dict[str, Any] = {}
    for name, value in pairs:
        members.pop(name, None)
        members[name] = value
    return members


def encode(value: Any) -> bytes:
    """Encode a value that came from JSON."""
    return _encoder.encode(value)


def encode_body(body: dict[str, Any]) -> bytes:
    """Encode the body of a document for the store; CouchDB keeps no sign of a zero."""
    text = _encoder.encode(body)
    return _encoder.encode(_unsigned(body)) if b"-0.0" in text else text


def _unsigned(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _unsigned(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_unsigned(item) for item in value]
    return 0.0 if isinstance(value, float) and value == 0 else value
