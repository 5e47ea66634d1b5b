"""`/db/doc/name`: one attachment; read, whole or in ranges, write, and remove."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aiocouch._wire.multipart import (
    closing,
    new_boundary,
    opening,
    part_head,
    separator,
)
from aiocouch.embedded.codec import decode
from aiocouch.embedded.documents.attachment import (
    DEFAULT_COMPRESSIBLE,
    DEFAULT_LEVEL,
    DEFAULT_TYPE,
    GZIP,
    IDENTITY,
    Attachment,
    Compression,
    Encoder,
    decode_list,
)
from aiocouch.embedded.documents.edits import LOCAL, Edit, check_id, read_rev
from aiocouch.embedded.documents.partitions import check_partition_of
from aiocouch.embedded.documents.sent_attachments import (
    InvalidAttachmentError,
    SentAttachment,
    check_attachment_name,
    with_replaced,
    without,
)
from aiocouch.embedded.errors import (
    CouchError,
    bad_content_type,
    bad_request,
    conflict,
    internal,
    not_found,
)
from aiocouch.embedded.http.accept import accepts_gzip, accepts_no_encoding
from aiocouch.embedded.http.policies import content_policy
from aiocouch.embedded.http.query import quoted_segment
from aiocouch.embedded.http.ranges import read_ranges
from aiocouch.embedded.http.routing import default_route
from aiocouch.embedded.store.attachment_texts import plain_chunks, stored_chunks, stored_range
from aiocouch.embedded.store.uploads import Uploads

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable

    from aiocouch.embedded.http.exchange import Exchange
    from aiocouch.embedded.http.message import Reply
    from aiocouch.embedded.node.config import Configuration
    from aiocouch.embedded.store.records import Entry, Revision

_GIGABYTE = 1 << 30
_TOO_MANY_RANGES = 10


@default_route("attachment", methods=("DELETE", "GET", "HEAD", "PUT"))
async def attachment(exchange: Exchange) -> Reply:
    """Answer `/db/doc/name`."""
    doc_id, name = _address(exchange)
    if doc_id.startswith(LOCAL):
        raise bad_request("_local documents do not accept attachments.")
    if exchange.method == "PUT":
        return await _put(exchange, doc_id, name)
    if exchange.method == "DELETE":
        return await _delete(exchange, doc_id, name)
    return await _get(exchange, doc_id, name)


def _address(exchange: Exchange) -> tuple[str, str]:
    """Return the document's id and the attachment's name; the name may have slashes."""
    segments = exchange.segments[1:]
    size = 2 if segments[0] in {"_design", "_local"} else 1
    return "/".join(segments[:size]), "/".join(segments[size:])


def compression(config: Configuration) -> Compression:
    """Return the settings `[attachments]` of a server."""
    return config.derived(_compression)


def _compression(config: Configuration) -> Compression:
    types = config.get("attachments", "compressible_types") or DEFAULT_COMPRESSIBLE
    level = config.integer("attachments", "compression_level", DEFAULT_LEVEL)
    return Compression(types, level)


# reading


async def _get(exchange: Exchange, doc_id: str, name: str) -> Reply:
    found = _find(_read_revision(exchange, doc_id).attachments, name)
    # a client may take its time: what it reads stays, though it is deleted and compacted away
    with exchange.database.uploads.holding(found.blob):
        return await _answer(exchange, found)


async def _answer(exchange: Exchange, found: Attachment) -> Reply:
    etag = f'"{found.digest}"'
    if exchange.has_etag(etag):
        return exchange.not_modified(etag)
    if accepts_no_encoding(exchange.headers.get("Accept-Encoding")):
        raise internal("unacceptable_encoding")
    headers = {
        "ETag": etag,
        "Accept-Ranges": "none" if found.compressed else "bytes",
        **content_policy(exchange.server.config, "attachments", "sandbox"),
    }
    ranges = read_ranges(exchange.headers.get("Range"), found.length)
    if found.compressed:
        return await _send_compressed(exchange, found, headers)
    if ranges is None or len(ranges) >= _TOO_MANY_RANGES:
        headers["Content-Length"] = str(found.length)
        return await _send(exchange, found, stored_chunks(exchange.database.reader, found), headers)
    if len(ranges) > 1:
        return await _send_ranges(exchange, found, ranges)
    return await _send_range(exchange, found, ranges[0], headers)


def _read_revision(exchange: Exchange, doc_id: str) -> Entry | Revision:
    """Return the revision that the request reads; raise 404."""
    entry = exchange.database.get(doc_id)
    text = exchange.query.text("rev")
    if text is not None:
        rev = read_rev(text)
        revision = None if entry is None else exchange.database.revision(entry, rev)
        if revision is None:
            raise not_found()
        return exchange.shown(revision)
    if entry is None:
        raise not_found()
    if entry.deleted:
        raise not_found("deleted")
    return exchange.shown(entry)


def _find(stored: bytes | None, name: str) -> Attachment:
    for item in decode_list(stored):
        if item.name == name:
            return item
    raise not_found("Document is missing attachment")


async def _send_compressed(exchange: Exchange, found: Attachment, headers: dict[str, str]) -> Reply:
    reader = exchange.database.reader
    if accepts_gzip(exchange.headers.get("Accept-Encoding")):
        headers["Content-Encoding"] = found.encoding
        headers["Content-Length"] = str(found.encoded_length)
        return await _send(exchange, found, stored_chunks(reader, found), headers)
    if found.length != found.encoded_length:
        headers["Content-Length"] = str(found.length)
    # Where both are equal a client has brought gzip itself, and nobody has counted inside.
    return await _send(exchange, found, plain_chunks(reader, found), headers)


async def _send(
    exchange: Exchange, found: Attachment, chunks: Iterable[bytes], headers: dict[str, str]
) -> Reply:
    return await exchange.answer_stream(_pieces(chunks), 200, headers, found.content_type)


async def _pieces(chunks: Iterable[bytes]) -> AsyncIterator[bytes]:
    for chunk in chunks:
        yield chunk


async def _send_range(
    exchange: Exchange, found: Attachment, wanted: tuple[int, int], headers: dict[str, str]
) -> Reply:
    first, last = wanted
    headers["Content-Range"] = f"bytes {first}-{last}/{found.length}"
    headers["Content-Length"] = str(last - first + 1)
    chunks = stored_range(exchange.database.reader, found, first, last + 1)
    return await exchange.answer_stream(_pieces(chunks), 206, headers, found.content_type)


async def _send_ranges(
    exchange: Exchange, found: Attachment, ranges: list[tuple[int, int]]
) -> Reply:
    boundary = new_boundary()
    return await exchange.answer_stream(
        _range_parts(exchange, found, ranges, boundary),
        206,
        content_type=f'multipart/byteranges; boundary="{boundary}"',
    )


async def _range_parts(
    exchange: Exchange, found: Attachment, ranges: list[tuple[int, int]], boundary: str
) -> AsyncIterator[bytes]:
    lead = opening(boundary)
    for first, last in ranges:
        place = f"bytes {first}-{last}/{found.length}"
        head = [("Content-Type", found.content_type), ("Content-Range", place)]
        yield lead + part_head(head)
        for chunk in stored_range(exchange.database.reader, found, first, last + 1):
            yield chunk
        lead = separator(boundary)
    yield closing(boundary)


# writing


async def _put(exchange: Exchange, doc_id: str, name: str) -> Reply:
    _check_name(name)
    encoding = _content_encoding(exchange)
    if exchange.database.partitioned:
        _stated_rev(exchange)
        check_partition_of(doc_id)
    base = _base(exchange, doc_id)
    check_id(doc_id)
    content_type = exchange.headers.get("Content-Type", DEFAULT_TYPE)
    async with Uploads(exchange.database) as uploads:
        encoder = _encoder(exchange, content_type, encoding)
        content = await uploads.take(_limited(exchange, name), encoder)
        incoming = SentAttachment(name, content_type, content=content)
        members = with_replaced(decode_list(base.attachments if base else None), incoming)
        rev = await _write(exchange, doc_id, base, members)
    location = exchange.url(*map(quoted_segment, _path(exchange, doc_id, name)))
    return exchange.answer(
        {"ok": True, "id": doc_id, "rev": rev}, exchange.written, {"Location": location}
    )


def _path(exchange: Exchange, doc_id: str, name: str) -> tuple[str, str, str]:
    return exchange.segments[0], doc_id, name


def _check_name(name: str) -> None:
    try:
        check_attachment_name(name)
    except InvalidAttachmentError as error:
        raise bad_request(str(error)) from error


def _content_encoding(exchange: Exchange) -> str:
    encoding = exchange.headers.get("Content-Encoding", IDENTITY).lower()
    if encoding not in {IDENTITY, GZIP}:
        raise bad_content_type("Only gzip and identity content-encodings are supported")
    return encoding


def _encoder(exchange: Exchange, content_type: str, encoding: str) -> Encoder:
    if encoding != IDENTITY:
        return Encoder(encoding=encoding)
    return compression(exchange.server.config).encoder(content_type)


async def _limited(exchange: Exchange, name: str) -> AsyncIterator[bytes]:
    limit = exchange.server.config.limit("couchdb", "max_attachment_size", _GIGABYTE)
    size = 0
    async for piece in exchange.stream():
        size += len(piece)
        if limit is not None and size > limit:
            raise CouchError(413, "attachment_too_large", name)
        yield piece


async def _delete(exchange: Exchange, doc_id: str, name: str) -> Reply:
    _check_name(name)
    entry = exchange.database.get(doc_id)
    if _stated_rev(exchange) is None and entry is not None:
        if entry.deleted:
            raise not_found("deleted")
        _find(entry.attachments, name)
    base = _base(exchange, doc_id)
    if base is None:
        raise not_found()
    stored = decode_list(base.attachments)
    _find(base.attachments, name)
    rev = await _write(exchange, doc_id, base, without(stored, name))
    return exchange.answer({"ok": True, "id": doc_id, "rev": rev})


def _base(exchange: Exchange, doc_id: str) -> Entry | Revision | None:
    """Return the revision that a write changes, None for a new document; raise 409.

    A revision that is not a leaf is returned as well: the write itself will be the conflict.
    """
    entry = exchange.database.get(doc_id)
    text = _stated_rev(exchange)
    if text is not None:
        rev = read_rev(text)
        revision = None if entry is None else exchange.database.revision(entry, rev)
        if revision is None:
            raise CouchError(409, "not_found", "missing_rev")
        return revision
    if entry is None or entry.deleted:
        return None
    raise conflict()


def _stated_rev(exchange: Exchange) -> str | None:
    text = exchange.query.text("rev")
    if "If-Match" not in exchange.headers:
        return text
    header = exchange.headers["If-Match"].strip('" ')
    if text is not None and read_rev(header) != read_rev(text):
        raise bad_request("Document rev and etag have different values")
    return header


async def _write(
    exchange: Exchange, doc_id: str, base: Entry | Revision | None, members: list[SentAttachment]
) -> str:
    edit = Edit(doc_id, {} if base is None else decode(base.body), members=[*members])
    if base is not None:
        edit.revs = (read_rev(base.rev),)
    update = exchange.server.update(exchange.database, exchange.user)
    outcome = (await update.run([edit]))[0]
    if outcome.error is not None:
        raise outcome.error
    return outcome.rev or ""
