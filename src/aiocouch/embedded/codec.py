"""JSON text and values; integers of any size survive."""

from __future__ import annotations

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


def encode(value: Any) -> bytes:
    """Encode a value that came from JSON."""
    return _encoder.encode(value)
