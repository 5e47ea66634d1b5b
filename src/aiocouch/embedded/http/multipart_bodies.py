"""Documents with their attachments as multipart bodies, coming in."""

from __future__ import annotations

import base64
import hashlib
from typing import TYPE_CHECKING, Any, NamedTuple

from msgspec.structs import replace

from aiocouch._wire.multipart import MultipartError, boundary_of, disposition
from aiocouch._wire.part_reader import PartReader
from aiocouch.embedded.codec import decode_sent
from aiocouch.embedded.documents.attachment import DEFAULT_TYPE, IDENTITY, Encoder
from aiocouch.embedded.documents.sent_attachments import Follows, SentAttachment
from aiocouch.embedded.errors import CouchError, bad_request, invalid_json

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from aiocouch.embedded.documents.attachment import Compression, Content
    from aiocouch.embedded.documents.edits import Edit
    from aiocouch.embedded.http.exchange import Exchange
    from aiocouch.embedded.store.uploads import Uploads


_MOST_JSON = 64 << 20
"""Bytes of a document, or of a plain field, in one body; `max_document_size` is checked later."""


class Form(NamedTuple):
    """What a `multipart/form-data` body holds: the plain fields, and the files as attachments."""

    fields: dict[str, bytes]
    files: list[SentAttachment]


async def read_related(
    exchange: Exchange,
    uploads: Uploads,
    compression: Compression,
    read: Callable[[Any], Edit],
) -> Edit:
    """Read a document and the attachments that follow it (`PUT` of `multipart/related`).

    `read` makes an edit of the document's JSON. The attachments follow in the order in which the
    document lists them, whatever names the parts carry. They are in the store when this returns.
    Raise CouchError 400 for a body that does not hold what the document promises.
    """
    reader = _reader(exchange)
    try:
        if await reader.next_part() is None:
            raise invalid_json()
        edit = read(decode_sent(await reader.body(_MOST_JSON)))
        members = [
            await _receive(reader, uploads, member, compression)
            if isinstance(member, Follows)
            else member
            for member in edit.members
        ]
        await reader.drain()
    except MultipartError as error:
        raise bad_request(str(error)) from error
    return replace(edit, members=[*members])


def _reader(exchange: Exchange) -> PartReader:
    boundary = boundary_of(exchange.headers.get("Content-Type"))
    if not boundary:
        raise invalid_json()
    return PartReader(exchange.stream(), boundary)


async def _receive(
    reader: PartReader, uploads: Uploads, member: Follows, compression: Compression
) -> SentAttachment:
    if await reader.next_part() is None:
        raise _shorter()
    content = await uploads.take(_checked(reader, member), _encoder(member, compression))
    if member.encoding != IDENTITY:
        content = _with_length(content, member.length)
    return SentAttachment(member.name, member.content_type, member.revpos, content)


def _encoder(member: Follows, compression: Compression) -> Encoder:
    if member.encoding != IDENTITY:
        return Encoder(encoding=member.encoding)
    return compression.encoder(member.content_type)


def _with_length(content: Content, length: int) -> Content:
    """Take the sender's word for how long the bytes are when decompressed."""
    return replace(content, length=length)


async def _checked(reader: PartReader, member: Follows) -> AsyncIterator[bytes]:
    """Yield the current part's bytes; raise 400 when they are not what the document says."""
    size = 0
    digest = hashlib.md5(usedforsecurity=False)
    async for piece in reader.pieces():
        size += len(piece)
        if size > member.encoded_length:
            raise bad_request("attachment longer than expected")
        digest.update(piece)
        yield piece
    if size < member.encoded_length:
        raise _shorter()
    if member.digest not in {None, base64.b64encode(digest.digest()).decode()}:
        raise CouchError(400, "content_md5_mismatch", "Possible message corruption.")


def _shorter() -> CouchError:
    return bad_request("attachment shorter than expected")


async def read_form(exchange: Exchange, uploads: Uploads, compression: Compression) -> Form:
    """Read a `multipart/form-data` body (`POST` to a document).

    Fields named `_attachments` with a file name become attachments.
    """
    reader = _reader(exchange)
    form = Form({}, [])
    limit = _MOST_JSON
    try:
        while (headers := await reader.next_part()) is not None:
            names = disposition(headers.get("content-disposition"))
            if names.get("name") == "_attachments" and names.get("filename"):
                kind = headers.get("content-type", DEFAULT_TYPE)
                content = await uploads.take(reader.pieces(), compression.encoder(kind))
                form.files.append(SentAttachment(names["filename"], kind, content=content))
            else:
                form.fields[names.get("name", "")] = await reader.body(limit)
        await reader.drain()
    except MultipartError as error:
        raise bad_request(str(error)) from error
    return form
