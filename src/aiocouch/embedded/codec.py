"""JSON text and values; integers of any size survive, floats are printed as CouchDB prints them."""

from __future__ import annotations

import json
from typing import Any

import msgspec

from aiocouch._wire.nesting import decode_deep, encode_deep
from aiocouch._wire.numerals import reprinted
from aiocouch.embedded.errors import invalid_json

_decoder = msgspec.json.Decoder()
_encoder = msgspec.json.Encoder()

encode_text = _encoder.encode
"""Encode a value without floats and of no great depth: ids, rows of names; faster than `encode`."""


def decode(text: bytes | str) -> Any:
    """Decode JSON text; text that is not JSON raises the 400 that CouchDB answers with."""
    try:
        return decode_any(text)
    except (msgspec.DecodeError, UnicodeError, ValueError):
        raise invalid_json() from None


def decode_any(text: bytes | str) -> Any:
    """Decode JSON text of any depth; msgspec.DecodeError or ValueError for what is not JSON."""
    try:
        return _decoder.decode(text)
    except RecursionError:
        return decode_deep(text.encode() if isinstance(text, str) else text, _decoder.decode)


def decode_sent(text: bytes) -> Any:
    """Decode JSON that a client sent; the same for a member that is given twice as in CouchDB.

    There the last one counts, and it stands where it was given last. The order of members
    matters to the revision of a document.
    """
    value = decode(text)
    # A member that got lost took two quotes along, and an escaped quote looks like one.
    if text.count(b'"') != _encoded(value).count(b'"') or b"\\u0022" in text:
        return _with_last_members(text)
    return value


def _with_last_members(text: bytes) -> Any:
    try:
        return json.loads(text, object_pairs_hook=_last_members)
    except RecursionError:
        return decode_any(text)


def _last_members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members: dict[str, Any] = {}
    for name, value in pairs:
        members.pop(name, None)
        members[name] = value
    return members


def encode(value: Any) -> bytes:
    """Encode a value that came from JSON."""
    return reprinted(_encoded(value))


def _encoded(value: Any) -> bytes:
    try:
        return _encoder.encode(value)
    except RecursionError:
        return encode_deep(value, _encoder.encode)


def encode_body(body: dict[str, Any], *, plain: bool = False) -> bytes:
    """Encode the body of a document for the store; `plain`: no float needs a closer look."""
    return _encoded(body) if plain else reprinted(_encoded(body))
