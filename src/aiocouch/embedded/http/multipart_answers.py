"""Documents with their attachments as multipart bodies, going out.

`multipart/related` is one document: its JSON first, then each attachment that follows, as stored
(gzip stays gzip). `multipart/mixed` is a list of such documents and of errors.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from aiocouch._wire.multipart import (
    closing,
    new_boundary,
    opening,
    part_head,
    quoted_parameter,
    separator,
)
from aiocouch.embedded.documents.attachment import decode_list
from aiocouch.embedded.store.attachment_texts import Shown, multipart_members_text, stored_chunks
from aiocouch.embedded.store.records import render

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import AsyncIterator, Iterable, Mapping
    from typing import Any

    from aiocouch.embedded.documents.attachment import Attachment
    from aiocouch.embedded.http.exchange import Exchange
    from aiocouch.embedded.http.message import Reply
    from aiocouch.embedded.store.records import Entry, Revision

_JSON = ("Content-Type", "application/json")
_ERROR = ("Content-Type", 'application/json; error="true"')


class Package(NamedTuple):
    """A document as JSON text, and the attachments that follow it."""

    id: str
    rev: str
    text: bytes
    attachments: list[Attachment]


Part = Package | bytes
"""A document, or the JSON text of an error."""


def package(record: Entry | Revision, extra: Iterable[tuple[str, Any]], shown: Shown) -> Package:
    """Return a document whose attachments follow, as far as `shown` says so."""
    stored = decode_list(record.attachments)
    members = multipart_members_text(stored, shown) if stored else None
    following = [item for item in stored if shown.includes(item)]
    return Package(record.id, record.rev, render(record, extra, members), following)


async def answer_related(
    exchange: Exchange, document: Package, headers: Mapping[str, str]
) -> Reply:
    """Answer with one document and its attachments, `multipart/related`."""
    if not document.attachments:
        answer = exchange.answer_json(document.text, 200, headers)
        answer.headers.pop("Cache-Control", None)  # as the multipart body has none
        return answer
    boundary = new_boundary()
    sent = {**headers, "Content-Length": str(_length(document, boundary))}
    pieces = _related(exchange.database.reader, document, boundary)
    kind = f'multipart/related; boundary="{boundary}"'
    return await exchange.answer_stream(pieces, 200, sent, kind)


async def answer_mixed(exchange: Exchange, parts: Iterable[Part]) -> Reply:
    """Answer with several revisions, `multipart/mixed` (`open_revs`)."""
    boundary = new_boundary()
    kind = f'multipart/mixed; boundary="{boundary}"'
    pieces = _mixed(exchange.database.reader, parts, boundary)
    return await exchange.answer_stream(pieces, content_type=kind)


async def answer_bulk(exchange: Exchange, kind: str, parts: Iterable[Part]) -> Reply:
    """Answer `_bulk_get` as `multipart/mixed` or `multipart/related` (`kind`).

    Each document is a multipart part of its own, with its id and revision in the headers.
    """
    boundary = f"--{new_boundary()}"
    pieces = _bulk(exchange.database.reader, parts, boundary)
    return await exchange.answer_stream(pieces, content_type=f'{kind}; boundary="{boundary}"')


def _attachment_head(item: Attachment) -> bytes:
    head = [
        ("Content-Disposition", f"attachment; filename={quoted_parameter(item.name)}"),
        ("Content-Type", item.content_type),
        ("Content-Length", str(item.encoded_length)),
    ]
    if item.compressed:
        head.append(("Content-Encoding", item.encoding))
    return part_head(head)


def _length(document: Package, boundary: str) -> int:
    size = len(opening(boundary)) + len(part_head([_JSON])) + len(document.text)
    for item in document.attachments:
        size += len(separator(boundary)) + len(_attachment_head(item)) + item.encoded_length
    return size + len(closing(boundary))


async def _related(
    reader: sqlite3.Connection, document: Package, boundary: str
) -> AsyncIterator[bytes]:
    yield opening(boundary) + part_head([_JSON]) + document.text
    for item in document.attachments:
        yield separator(boundary) + _attachment_head(item)
        for chunk in stored_chunks(reader, item):
            yield chunk
    yield closing(boundary)


async def _mixed(
    reader: sqlite3.Connection, parts: Iterable[Part], boundary: str
) -> AsyncIterator[bytes]:
    lead = opening(boundary)
    for part in parts:
        if isinstance(part, bytes):
            yield lead + part_head([_ERROR]) + part
        elif not part.attachments:
            yield lead + part_head([_JSON]) + part.text
        else:
            inner = new_boundary()
            yield lead + part_head([("Content-Type", f'multipart/related; boundary="{inner}"')])
            async for piece in _related(reader, part, inner):
                yield piece
        lead = separator(boundary)
    yield closing(boundary)


async def _bulk(
    reader: sqlite3.Connection, parts: Iterable[Part], boundary: str
) -> AsyncIterator[bytes]:
    ending = b""  # a list of nothing has no boundary either
    for part in parts:
        yield separator(boundary)
        if isinstance(part, bytes):
            yield part_head([_ERROR]) + part
        elif not part.attachments:
            yield part_head([_JSON]) + part.text
        else:
            async for piece in _bulk_document(reader, part):
                yield piece
        ending = closing(boundary) + b"\r\n"
    yield ending


def _identity(document: Package) -> list[tuple[str, str]]:
    return [("X-Doc-Id", document.id), ("X-Rev-Id", document.rev)]


async def _bulk_document(reader: sqlite3.Connection, document: Package) -> AsyncIterator[bytes]:
    inner = f"--{new_boundary()}"
    kind = ("Content-Type", f"multipart/related; boundary={inner}")
    yield part_head([*_identity(document), kind])
    async for piece in _related(reader, document, inner):
        yield piece
