"""A document and the contents of its attachments in one request, out and in."""

from __future__ import annotations

import sys
import zlib
from collections.abc import Mapping
from contextlib import aclosing
from typing import TYPE_CHECKING, Any

from aiocouch._tracked import Written, came, content_of, moved, saved, text_with
from aiocouch._transport.settle import WriteRelated
from aiocouch._transport.sizes import too_large
from aiocouch._wire.content import ContentReader
from aiocouch._wire.multipart import MultipartError, TooLongError, boundary_of
from aiocouch._wire.options import with_query
from aiocouch._wire.part_reader import PartReader, joined
from aiocouch._wire.related import DocumentOfParts, Outgoing, attachments_of, following, with_stubs
from aiocouch.attachment import Attachment, LastingContent, check_content_type
from aiocouch.exception import (
    DigestError,
    Facts,
    InvalidInputError,
    InvalidTypeError,
    TruncatedError,
    UnexpectedAnswerError,
)

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterable

    from aiocouch._tracked import Tracked
    from aiocouch._wire.related import Stub
    from aiocouch.attachment import Content
    from aiocouch.remote import HTTPResponse, Stream

__all__ = ["read_related", "save_related"]

_CONTENT_AND_TYPE = 2
_HEADERS = {"Accept": "multipart/related, application/json", "Accept-Encoding": "identity"}


class _Contents:
    """A document that goes out: its text, and what follows it. It can be sent again."""

    def __init__(self, text: bytes, contents: Mapping[str, LastingContent]) -> None:
        self.text = text
        self._contents = contents
        self._outgoing = Outgoing(self)
        self.headers = self._outgoing.headers()

    async def attachments(self) -> AsyncGenerator[AsyncIterable[bytes], None]:
        """Yield the contents, in the order of the text."""
        for name, _ in following(self.text):
            yield self._contents[name].pieces()

    async def digests(self) -> Mapping[str, bytes]:
        """Return the MD5 of each content."""
        return {name: await content.digest() for name, content in self._contents.items()}

    def __aiter__(self) -> AsyncGenerator[bytes, None]:
        return self._outgoing.body()


async def save_related(
    document: Tracked, attachments: Mapping[str, tuple[Content, str]], w: int | None
) -> HTTPResponse:
    """Store a document with these attachments (`PUT /{db}/{docid}`, `multipart/related`)."""
    contents = _checked(document, attachments)
    try:
        for content in contents.values():
            await content.begin()
        return await _save(document, attachments, contents, w)
    finally:
        for content in contents.values():
            content.close()


def _checked(
    document: Tracked, attachments: Mapping[str, tuple[Content, str]]
) -> dict[str, LastingContent]:
    if not isinstance(attachments, Mapping):
        what = "the attachments must be a dict of (content, content_type) by name"
        raise InvalidTypeError(f"{document!r}: {what}")
    if not attachments:
        raise InvalidInputError(f"{document!r}: there are no attachments to save it with")
    contents = {}
    for name, given in attachments.items():
        Attachment(document, name)  # which looks at the name
        if not isinstance(given, tuple) or len(given) != _CONTENT_AND_TYPE:
            raise InvalidTypeError(f"the attachment {name!r} must be a (content, content_type)")
        data, content_type = given
        check_content_type(content_type)
        contents[name] = LastingContent(data)
    return contents


async def _save(
    document: Tracked,
    attachments: Mapping[str, tuple[Content, str]],
    contents: Mapping[str, LastingContent],
    w: int | None,
) -> HTTPResponse:
    stubs = dict(content_of(document).get("_attachments", {}))
    for name, (_, content_type) in attachments.items():
        length = contents[name].length
        stubs[name] = {"follows": True, "content_type": content_type, "length": length}
    before, path = text_with(document, {}), document.endpoint
    body = _Contents(text_with(document, {"_attachments": stubs}), contents)
    response = await document.remote.request(
        "PUT",
        with_query(path, {"w": w}),
        body=body,
        headers=body.headers,
        settle=WriteRelated(path, body.text, body.digests),
    )
    saved(document, before, response.json(Written).rev)
    await moved(document, response)
    return response


async def read_related(
    document: Tracked, options: Mapping[str, Any]
) -> AsyncGenerator[tuple[Attachment, AsyncGenerator[bytes, None]], None]:
    """Yield the attachments of a document, after taking over its text (`GET /{db}/{docid}`)."""
    path = with_query(document.endpoint, {"attachments": True, **options})
    asked = document.remote.stream("GET", path, headers=_HEADERS)
    most = document.remote.max_size or sys.maxsize
    async with asked as stream, aclosing(_pieces(stream)) as pieces:
        try:
            async for found in _read(document, stream, pieces, most):
                yield found
        except TooLongError as error:
            raise too_large("GET", document.endpoint, 200, "the document", most) from error
        except MultipartError as error:
            raise TruncatedError(f"{document!r}: {error}", _facts(document)) from error


async def _read(
    document: Tracked, stream: Stream, pieces: AsyncGenerator[bytes, None], most: int
) -> AsyncGenerator[tuple[Attachment, AsyncGenerator[bytes, None]], None]:
    boundary = boundary_of(stream.response.headers.get("Content-Type"))
    if boundary is None:  # so it comes where there are no attachments
        came(document, _without_contents(document, await joined(pieces, most)))
        return
    parts = PartReader(pieces, boundary)
    await parts.next_part()
    text = await parts.body(most)
    came(document, with_stubs(text))
    stubs = iter(following(text))
    async for content in DocumentOfParts(text, parts).attachments():
        name, stub = next(stubs)
        attachment = Attachment(document, name)
        attachment.content_type = stub.content_type
        yield attachment, _content(attachment, stub, content)
    if await parts.next_part() is not None:
        raise MultipartError("more attachments came than its text says")


async def _content(
    attachment: Attachment, stub: Stub, pieces: AsyncIterable[bytes]
) -> AsyncGenerator[bytes, None]:
    reader = ContentReader(stub.encoding)
    try:
        async for piece in pieces:
            for content in reader.feed(piece):
                yield content
    except zlib.error as error:
        raise DigestError(f"{attachment!r}: the compressed content is damaged") from error
    except MultipartError as error:
        raise TruncatedError(f"{attachment!r}: {error}", _facts(attachment.document)) from error
    if not reader.is_whole():
        raise TruncatedError(f"{attachment!r}: the compressed content ended too early")
    if not reader.matches(stub.digest.removeprefix("md5-")):
        raise DigestError(f"{attachment!r}: the content does not have the digest that was stored")


def _without_contents(document: Tracked, text: bytes) -> bytes:
    if not text.startswith(b"{"):
        return text
    if not all(each.stub for each in attachments_of(text).values()):
        what = "the attachments came in its text, not after it"
        raise UnexpectedAnswerError(f"{document!r}: {what}", _facts(document))
    return text


def _facts(document: Tracked) -> Facts:
    return Facts("GET", document.endpoint, 200)


async def _pieces(stream: Stream) -> AsyncGenerator[bytes, None]:
    while piece := await stream.chunk():
        yield piece
