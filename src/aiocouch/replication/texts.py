"""Documents as they pass through: their texts are looked at, and never taken apart. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from aiocouch._wire.codec import decode
from aiocouch._wire.deep import elements, members
from aiocouch.replication.endpoint import NO_TEXT, Change, Fetched, Leaf

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_NO_ATTACHMENTS = b"{}"
_NOTHING = msgspec.Raw(_NO_ATTACHMENTS)


class _Glance(msgspec.Struct, gc=False):
    id: str = msgspec.field(name="_id", default="")
    rev: str = msgspec.field(name="_rev", default="")
    deleted: bool = msgspec.field(name="_deleted", default=False)
    attachments: msgspec.Raw = msgspec.field(name="_attachments", default=_NOTHING)


class _NotFound(msgspec.Struct, frozen=True, gc=False):
    rev: str = ""


class _BulkItem(msgspec.Struct, gc=False):
    ok: msgspec.Raw = NO_TEXT
    error: _NotFound = _NotFound()


class _BulkResult(msgspec.Struct, gc=False):
    id: str
    docs: list[_BulkItem] = []


class _BulkAnswer(msgspec.Struct, gc=False):
    results: list[_BulkResult]


_glance = msgspec.json.Decoder(_Glance).decode
_answer = msgspec.json.Decoder(_BulkAnswer).decode
_results = msgspec.json.Decoder(list[_BulkResult]).decode


def glance(text: bytes) -> Fetched:
    """Look at a document's text. Raise `msgspec.DecodeError` for what is not a document."""
    try:
        seen = _glance(text)
    except RecursionError:
        return _deep_glance(text)
    attached = seen.attachments
    has_any = attached is not _NOTHING and bytes(attached) != _NO_ATTACHMENTS
    return Fetched(text, seen.rev, has_any, seen.deleted)


def _deep_glance(text: bytes) -> Fetched:
    found = members(text)
    attached = found.get("_attachments", _NO_ATTACHMENTS) != _NO_ATTACHMENTS
    deleted = found.get("_deleted") == b"true"
    return Fetched(text, decode(found.get("_rev", b'""')), attached, deleted)


def whole_first(change: Change) -> Fetched | None:
    """Return the only revision of a document, if the row of changes has all of it.

    That is so where the document has one leaf, of the first generation, and no attachments: then its
    revision is its history.
    """
    text = bytes(change.doc)
    if len(change.changes) != 1 or text[:1] != b"{":
        return None
    rev = change.changes[0].rev
    if rev[:2] != "1-":
        return None
    seen = glance(text)
    return seen if seen.rev == rev and not seen.has_attachments else None


def deep_change(row: bytes) -> Change:
    """Return a row whose document is too deep for the decoder, without the document."""
    found = members(row)
    leaves = [Leaf(leaf["rev"]) for leaf in decode(found["changes"])]
    return Change(decode(found["id"]), leaves, decode(found.get("seq", b"null")))


def bulk_answer(text: bytes) -> list[tuple[str, Fetched | str]]:
    """Return the revisions of a whole `_bulk_get` answer by document id; a str is one not found."""
    try:
        return _revisions(_answer(text).results)
    except RecursionError:
        return bulk_results(members(text)["results"])


def bulk_results(text: bytes) -> list[tuple[str, Fetched | str]]:
    """Return the revisions of some results of `_bulk_get`, as an array."""
    try:
        return _revisions(_results(text))
    except RecursionError:
        return [found for result in elements(text) for found in _deep_results(result)]


def _revisions(results: Sequence[_BulkResult]) -> list[tuple[str, Fetched | str]]:
    return [
        (result.id, item.error.rev if item.ok is NO_TEXT else glance(bytes(item.ok)))
        for result in results
        for item in result.docs
    ]


def _deep_results(result: bytes) -> Iterator[tuple[str, Fetched | str]]:
    found = members(result)
    for item in elements(found.get("docs", b"[]")):
        inside = members(item)
        text = inside.get("ok")
        missing = decode(inside.get("error", b"{}")).get("rev", "") if text is None else ""
        yield decode(found["id"]), missing if text is None else glance(text)
