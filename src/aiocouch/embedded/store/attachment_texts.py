"""Attachments as they are read: plain bytes, and the text of `_attachments` with data in it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from aiocouch.embedded.codec import encode_text
from aiocouch.embedded.documents.attachment import (
    Attachment,
    decode_list,
    decompress,
    follows_member,
    inline_member,
    stub_member,
)
from aiocouch.embedded.store.attachments import chunk_numbers, read_chunk
from aiocouch.embedded.store.faults import DAMAGED, StorageError

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterable, Iterator


class Shown(msgspec.Struct, frozen=True):
    """Which attachments of a document come with their bytes.

    `data` asks for those with `revpos` above `since`; `encoding_info` shows how they are stored.
    """

    data: bool = False
    since: int = -1
    encoding_info: bool = False

    def includes(self, attachment: Attachment) -> bool:
        """Return whether this attachment comes with its bytes."""
        return self.data and attachment.revpos > self.since


STUBS = Shown()
"""What a plain read shows."""

INLINE = Shown(data=True)
"""What `attachments=true` shows."""


def stored_chunks(connection: sqlite3.Connection, attachment: Attachment) -> Iterator[bytes]:
    """Yield the bytes as stored, chunk by chunk."""
    return stored_range(connection, attachment, 0, attachment.encoded_length)


def stored_range(
    connection: sqlite3.Connection, attachment: Attachment, start: int, end: int
) -> Iterator[bytes]:
    """Yield the stored bytes from `start` up to, not with, `end`.

    Raise StorageError where they are not there, rather than giving less.
    """
    for number, part in chunk_numbers(start, end):
        data = read_chunk(connection, attachment.blob, number)[part]
        if len(data) != part.stop - part.start:
            raise _missing(attachment)
        yield data


def _missing(attachment: Attachment) -> StorageError:
    return StorageError(f"The content of the attachment {attachment.name!r} is not there.", DAMAGED)


def plain_chunks(connection: sqlite3.Connection, attachment: Attachment) -> Iterable[bytes]:
    """Yield the bytes as they were uploaded, in pieces of bounded size."""
    stored = stored_chunks(connection, attachment)
    return decompress(stored) if attachment.compressed else stored


def members_text(connection: sqlite3.Connection, stored: bytes | None, shown: Shown) -> bytes:
    """Return the value of `_attachments` as JSON text from what a revision keeps."""
    members = {
        attachment.name: inline_member(
            attachment,
            b"".join(plain_chunks(connection, attachment)),
            encoding_info=shown.encoding_info,
        )
        if shown.includes(attachment)
        else stub_member(attachment, encoding_info=shown.encoding_info)
        for attachment in decode_list(stored)
    }
    return encode_text(members)


def multipart_members_text(attachments: Iterable[Attachment], shown: Shown) -> bytes:
    """Return `_attachments` for a multipart body, in which the data follow."""
    members = {
        attachment.name: follows_member(attachment)
        if shown.includes(attachment)
        else stub_member(attachment, encoding_info=shown.encoding_info)
        for attachment in attachments
    }
    return encode_text(members)
