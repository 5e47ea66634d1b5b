"""The files of couchbackup (npm `@cloudant/couchbackup`). Pure.

The first line says who wrote it, every other one is an array of leaf revisions with their histories.
Attachments are in base64, and what CouchDB calls `content_type` is `contentType` there. There is no
checksum and no end mark.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from aiocouch._wire.deep import elements, members
from aiocouch.dumping.errors import BrokenDumpError

if TYPE_CHECKING:
    from collections.abc import Iterable

NAME = "@cloudant/couchbackup"
VERSION = "2.11.12"
"""That of the program whose files these are."""

_THEIRS = {"content_type": "contentType", "encoded_length": "encodedLength"}
_OURS = {theirs: ours for ours, theirs in _THEIRS.items()}

_raw_members = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_raw_elements = msgspec.json.Decoder(list[msgspec.Raw]).decode
_attachments_of = msgspec.json.Decoder(dict[str, dict[str, Any]]).decode


def header_line(*, attachments: bool) -> bytes:
    """Return the first line of a file."""
    said = {"name": NAME, "version": VERSION, "mode": "full", "attachments": attachments}
    return msgspec.json.encode(said)


def is_header(line: bytes) -> bool:
    """Return whether this is the first line of one of its files."""
    return line[:1] == b"{" and f'"{NAME}"'.encode() in line


def array_line(texts: Iterable[bytes]) -> bytes:
    """Return a line of documents."""
    return b"[%b]" % b",".join(texts)


def documents_of(line: bytes) -> list[bytes]:
    """Return the texts of the documents of a line. Raise `BrokenDumpError` for a line that is cut."""
    try:
        return [bytes(text) for text in _raw_elements(line)]
    except RecursionError:
        return list(elements(line))
    except msgspec.DecodeError:
        raise BrokenDumpError(
            "the backup is damaged, or breaks off: a line of it is not an array of documents"
        ) from None


def to_theirs(text: bytes) -> bytes:
    """Return a document as couchrestore takes it."""
    return _with_attachments(text, _THEIRS)[0]


def to_ours(text: bytes) -> tuple[bytes, int]:
    """Return a document as CouchDB takes it, and how many attachments it lacks, which were left out."""
    return _with_attachments(text, _OURS)


def _with_attachments(text: bytes, names: dict[str, str]) -> tuple[bytes, int]:
    if b'"_attachments"' not in text:
        return text, 0
    found = _members(text)
    given = found.get("_attachments")
    if given is None:
        return text, 0
    kept = {
        name: {names.get(key, key): value for key, value in each.items()}
        for name, each in _attachments_of(given).items()
        if names is _THEIRS or not each.get("stub")
    }
    lacking = len(_attachments_of(given)) - len(kept)
    found["_attachments"] = msgspec.Raw(msgspec.json.encode(kept))
    if not kept:
        del found["_attachments"]
    return msgspec.json.encode(found), lacking


def _members(text: bytes) -> dict[str, msgspec.Raw]:
    try:
        return _raw_members(text)
    except RecursionError:
        return {name: msgspec.Raw(value) for name, value in members(text).items()}
