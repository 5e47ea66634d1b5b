"""A document with attachments, handed on while it is still coming."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Protocol

import msgspec

from aiocouch._wire.codec import decode, encode
from aiocouch._wire.deep import members
from aiocouch._wire.multipart import (
    MultipartError,
    boundary_of,
    closing,
    new_boundary,
    opening,
    part_head,
    quoted_parameter,
    separator,
)
from aiocouch._wire.part_reader import PartReader

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterable, Mapping

_LINE_BREAK = re.compile("[\r\n]")
LARGEST_DOCUMENT = 256 << 20
"""The longest text of one document that is read, in bytes; its attachments have no limit."""


class Stub(msgspec.Struct):
    """A member of `_attachments`. Lengths are in bytes."""

    content_type: str = "application/octet-stream"
    length: int = 0
    encoded_length: int | None = None
    encoding: str | None = None
    follows: bool = False
    stub: bool = False
    digest: str = ""

    @property
    def stored_length(self) -> int:
        """How many bytes are sent, encoded as they are stored."""
        return self.length if self.encoded_length is None else self.encoded_length


class _Attached(msgspec.Struct):
    attachments: dict[str, Stub] = msgspec.field(name="_attachments", default_factory=dict)


_attached = msgspec.json.Decoder(_Attached).decode
_stubs = msgspec.json.Decoder(dict[str, Stub]).decode


def attachments_of(text: bytes) -> dict[str, Stub]:
    """Return the attachments of a document, in their order."""
    try:
        return _attached(text).attachments
    except RecursionError:
        return _stubs(members(text).get("_attachments", b"{}"))


def with_stubs(text: bytes) -> bytes:
    """Return the text of a document with stubs for the attachments that follow it."""
    found = members(text)
    attached = decode(found.get("_attachments", b"{}"))
    for each in attached.values():
        if each.pop("follows", False):
            each["stub"] = True
    found["_attachments"] = encode(attached)
    pairs = [encode(name) + b":" + value for name, value in found.items()]
    return b"{" + b",".join(pairs) + b"}"


class IncomingDocument(Protocol):
    """The text of a document, and the contents of those of its attachments that follow it."""

    @property
    def text(self) -> bytes:
        """Its JSON."""
        ...

    def attachments(self) -> AsyncGenerator[AsyncIterable[bytes], None]:
        """Return the contents, in the order of the text."""
        ...


class PlainDocument:
    """A document whose attachments, if it has any, are in its text."""

    def __init__(self, text: bytes) -> None:
        self.text = text

    async def attachments(self) -> AsyncGenerator[AsyncIterable[bytes], None]:
        """Yield nothing."""
        return
        yield  # that makes it a generator


class DocumentOfParts:
    """A document that comes as `multipart/related`: its text, and then the attachments."""

    def __init__(self, text: bytes, parts: PartReader) -> None:
        self.text = text
        self._parts = parts

    async def attachments(self) -> AsyncGenerator[AsyncIterable[bytes], None]:
        """Yield the contents, in the order of the text. Raise `MultipartError` for any other order."""
        for name, stub in following(self.text):
            headers = await self._parts.next_part()
            if headers is None:
                raise MultipartError(f"the attachment {name!r} did not come")
            _check(name, stub, headers)
            yield self._parts.pieces()


def following(text: bytes) -> list[tuple[str, Stub]]:
    """Return the attachments that are sent after the text of a document."""
    return [(name, stub) for name, stub in attachments_of(text).items() if stub.follows]


def _check(name: str, stub: Stub, headers: Mapping[str, str]) -> None:
    """Refuse an attachment that is not the one whose turn it is."""
    said = headers.get("content-disposition", "")
    # CouchDB writes a name as it is, also one with a line break, of which the header ends.
    start = _LINE_BREAK.split(f'"{name}"')[0].rstrip()
    if "filename" in said and start not in said and quoted_parameter(name) not in said:
        raise MultipartError(f"another attachment came than {name!r}")
    length = headers.get("content-length", "")
    if length.isdecimal() and int(length) != stub.stored_length:
        raise MultipartError(f"the attachment {name!r} has another length than its document says")


async def document_of(parts: PartReader, content_type: str) -> IncomingDocument:
    """Return the document in the current part. Read it before the next part."""
    inner = boundary_of(content_type)
    if inner is None:
        return PlainDocument(await parts.body(LARGEST_DOCUMENT))
    own = PartReader(parts.pieces(), inner)
    await own.next_part()
    return DocumentOfParts(await own.body(LARGEST_DOCUMENT), own)


class Outgoing:
    """A `multipart/related` body: the text of a document, then the attachments that follow it."""

    def __init__(self, document: IncomingDocument) -> None:
        self._document = document
        self._boundary = new_boundary()
        self._following = [
            (part_head(_headers(name, stub)), name, stub.stored_length)
            for name, stub in following(document.text)
        ]
        head = part_head([("Content-Type", "application/json")])
        self._start = opening(self._boundary) + head + document.text

    def headers(self) -> dict[str, str]:
        """Return the headers of the request; the length is known beforehand."""
        size = len(self._start) + len(closing(self._boundary))
        for head, _, length in self._following:
            size += len(separator(self._boundary)) + len(head) + length
        return {
            "Content-Type": f'multipart/related; boundary="{self._boundary}"',
            "Content-Length": str(size),
            "Accept": "application/json",
        }

    async def body(self) -> AsyncGenerator[bytes, None]:
        """Yield the body. Raise `MultipartError` if an attachment does not have the length it should."""
        yield self._start
        contents = self._document.attachments()
        for head, name, length in self._following:
            yield separator(self._boundary) + head
            count = 0
            async for piece in await anext(contents):
                count += len(piece)
                yield piece
            if count != length:
                raise MultipartError(f"the attachment {name!r} has {count} bytes, not {length}")
        yield closing(self._boundary)


def _headers(name: str, stub: Stub) -> list[tuple[str, str]]:
    headers = [
        ("Content-Disposition", f"attachment; filename={quoted_parameter(name)}"),
        ("Content-Type", stub.content_type),
        ("Content-Length", str(stub.stored_length)),
    ]
    if stub.encoding is not None:
        headers.append(("Content-Encoding", stub.encoding))
    return headers
