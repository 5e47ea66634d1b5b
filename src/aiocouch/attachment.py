"""Bytes that belong to a document: fetched, saved and streamed, never kept."""

from __future__ import annotations

import asyncio
import hashlib
import io
import os
import tempfile
import zlib
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Awaitable, Callable
from contextlib import aclosing
from pathlib import Path
from typing import IO, TYPE_CHECKING, TypeAlias

from aiocouch._former.resources import RemoteAttachment
from aiocouch._tracked import Tracked, content_of, moved
from aiocouch._wire.ids import quote_name
from aiocouch._wire.options import with_query
from aiocouch.exception import (
    ConflictError,
    DigestError,
    Facts,
    InvalidInputError,
    InvalidTypeError,
    NotFoundError,
    RemoteResponseError,
    TransportError,
    TruncatedError,
    UnexpectedAnswerError,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from aiocouch._continued import ContinuedBytes
    from aiocouch._transport.request import Settle
    from aiocouch.remote import HTTPResponse, Stream

__all__ = ["Attachment", "Content", "LastingContent", "check_content_type"]

_PIECE = 1 << 18
_NOTHING_THERE = 416
_MOST_IN_MEMORY = 1 << 20

Content: TypeAlias = (
    "bytes | bytearray | memoryview | str | os.PathLike[str] | IO[bytes] | AsyncIterable[bytes]"
)
"""What an attachment can be saved from. A str is its UTF-8 text, not a path."""


class Attachment(RemoteAttachment):
    """An attachment of a document. Building one sends no request.

    `id` is its name. `content_type` is None until `exists`, `fetch`, `stream` or `save` has told it.
    """

    def __init__(self, document: Tracked, id: str) -> None:
        self.document: Tracked = document
        self.id = id
        self.content_type: str | None = None
        self.endpoint = f"{document.endpoint}/{quote_name(id, 'attachment name')}"

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.id!r} of {self.document!r}>"

    async def exists(self) -> bool:
        """Return whether the server has it (`HEAD /{db}/{docid}/{attname}`)."""
        try:
            response = await self.document.remote.request("HEAD", self.endpoint)
        except NotFoundError:
            return False
        self.content_type = response.headers.get("Content-Type")
        return True

    async def fetch(self, *, start: int = 0, stop: int | None = None) -> bytes:
        """Return the content, whole or from byte `start` to before `stop` (`GET /{db}/{docid}/{attname}`).

        Raise `NotFoundError` when there is none, `DigestError` when it is not what was stored,
        `UnexpectedAnswerError` when it has more bytes than the `max_size` of the session.
        """
        most = self.document.remote.max_size
        size, pieces = 0, []
        async with aclosing(self.stream(start=start, stop=stop)) as content:
            async for piece in content:
                pieces.append(piece)
                size += len(piece)
                if most is not None and size > most:
                    raise UnexpectedAnswerError(
                        f"{self!r} has more than max_size={most} bytes: stream() it",
                        Facts("GET", self.endpoint, 200),
                    )
        return b"".join(pieces)

    async def stream(
        self, *, start: int = 0, stop: int | None = None
    ) -> AsyncGenerator[bytes, None]:
        """Yield the content as it comes, in pieces of any size. Errors as `fetch`, also in the middle.

        When it breaks off, it goes on where it was, unless it was changed meanwhile. Of a part, as of a
        slice, there may be fewer bytes or none, and its digest cannot be checked. CouchDB sends parts only of
        what it does not keep compressed, such as text; of that, all is sent, and the part is cut out here.
        """
        from aiocouch._wire.content import ContentReader

        is_part = start != 0 or stop is not None
        _check_part(start, stop)
        try:
            async with self._continued(start, stop, is_part=is_part) as stream:
                answered = stream.response.headers
                self.content_type = answered.get("Content-Type")
                reader = ContentReader(self._encoding(answered, is_part=is_part))
                try:
                    while chunk := await stream.gathered():
                        for content in reader.feed(chunk):
                            yield content
                except zlib.error as error:
                    raise DigestError(f"{self!r}: the compressed content is damaged") from error
        except RemoteResponseError as error:
            if not is_part or error.status != _NOTHING_THERE:
                raise
            return
        if is_part:
            return
        if not reader.is_whole():
            raise TruncatedError(f"{self!r}: the compressed content ended too early")
        if not reader.matches(answered.get("Content-MD5") or answered.get("ETag")):
            raise DigestError(f"{self!r}: the content does not have the digest that was stored")

    def _continued(self, start: int, stop: int | None, *, is_part: bool) -> ContinuedBytes:
        from aiocouch._continued import ContinuedBytes
        from aiocouch._wire.left import BytesLeft

        remote = self.document.remote
        # where a part begins is known of the plain content only
        headers = {"Accept": "*/*", "Accept-Encoding": "identity" if is_part else "gzip"}

        def ask(more: dict[str, str]) -> Stream:
            return remote.stream("GET", self.endpoint, headers={**headers, **more})

        return ContinuedBytes(ask, BytesLeft(start, stop), remote.resume)

    def _encoding(self, answered: Mapping[str, str], *, is_part: bool) -> str | None:
        encoding = answered.get("Content-Encoding")
        if is_part and encoding not in (None, "identity"):
            what = f"a part was asked for as it is, and comes as {encoding}"
            raise UnexpectedAnswerError(f"{self!r}: {what}", Facts("GET", self.endpoint, 200))
        return encoding

    def __aiter__(self) -> AsyncGenerator[bytes, None]:
        """Return the content as it comes: `async for chunk in attachment`."""
        return self.stream()

    async def save(self, data: Content, content_type: str) -> HTTPResponse:
        """Store the content (`PUT /{db}/{docid}/{attname}`), and take over the new revision.

        `data` is bytes, text, a file opened for bytes, a path, or an async iterator of bytes; but
        for bytes it is streamed, whatever its size. Raise `ConflictError` when the document has
        unsaved changes, `ValueError` when it was never saved; both before anything is sent.
        """
        path = self._guarded_path()
        check_content_type(content_type)
        content = _Content(data)
        await content.begin()
        response = await self.document.remote.request(
            "PUT",
            path,
            body=content.body(),
            headers={"Content-Type": content_type, **content.length()},
            settle=self._settle(content_type, content.digest) if content.is_lasting else None,
        )
        self.content_type = content_type
        await moved(self.document, response)
        return response

    async def delete(self) -> HTTPResponse:
        """Delete it from the server (`DELETE /{db}/{docid}/{attname}`). Errors as `save`."""
        path = self._guarded_path()
        settle = self._settle(None, None)
        response = await self.document.remote.request("DELETE", path, settle=settle)
        self.content_type = None
        await moved(self.document, response)
        return response

    def _settle(
        self, content_type: str | None, digest: Callable[[], Awaitable[bytes]] | None
    ) -> Settle:
        from aiocouch._transport.settle import WriteAttachment

        doc, path = content_of(self.document), self.document.endpoint
        return WriteAttachment(path, doc, self.id, content_type, digest)

    def _guarded_path(self) -> str:
        if self.document.rev is None:
            raise InvalidInputError(f"{self.document!r} must be saved before its attachments")
        if self.document.is_dirty():
            raise ConflictError(
                f"{self.document!r} has unsaved changes: save or fetch it before its attachments"
            )
        return with_query(self.endpoint, {"rev": self.document.rev})


def _check_part(start: int, stop: int | None) -> None:
    if type(start) is not int or start < 0:
        raise InvalidInputError(f"start={start!r} is not a number of bytes from 0 on")
    if stop is not None and (type(stop) is not int or stop <= start):
        raise InvalidInputError(f"stop={stop!r} is not a number of bytes above start={start}")


def check_content_type(content_type: object) -> None:
    """Raise `InvalidInputError` for what is not a content type."""
    if not isinstance(content_type, str) or not content_type or not content_type.isprintable():
        raise InvalidInputError(f"{content_type!r} is not a content type")


class LastingContent:
    """What is to be saved, with its length, and as often as it must be sent.

    Files and iterators are read once and kept: little of it in memory, more in a temporary file.
    """

    def __init__(self, data: Content) -> None:
        self._content = _Content(data)
        self._kept: IO[bytes] | None = None
        self.length = 0

    async def begin(self) -> None:
        """Find the length, and read what can be read only once."""
        body = self._content.body()
        if isinstance(body, bytes):
            self.length = len(body)
        elif self._content.is_lasting:
            self.length = int(self._content.length()["Content-Length"])
        else:
            self._kept = tempfile.SpooledTemporaryFile(_MOST_IN_MEMORY)  # noqa: SIM115 - see close
            async for piece in body:
                self.length += await asyncio.to_thread(self._kept.write, piece)

    async def pieces(self) -> AsyncGenerator[bytes, None]:
        """Yield the content, from its beginning."""
        body = self._content.body() if self._kept is None else self._from_start(self._kept)
        if isinstance(body, bytes):
            for start in range(0, len(body), _PIECE):
                yield body[start : start + _PIECE]
            return
        async for piece in body:
            yield piece

    async def digest(self) -> bytes:
        """Return the MD5 of the content."""
        if self._kept is None:
            return await self._content.digest()
        digest = _md5()
        async for piece in self._from_start(self._kept):
            digest.update(piece)
        return digest.digest()

    def close(self) -> None:
        """Forget what was kept."""
        if self._kept is not None:
            self._kept.close()

    @staticmethod
    async def _from_start(file: IO[bytes]) -> AsyncGenerator[bytes, None]:
        file.seek(0)
        async for piece in _read(file):
            yield piece


class _Content:
    """What is to be saved, as pieces of bytes."""

    def __init__(self, data: Content) -> None:
        if isinstance(data, str):
            data = data.encode()
        elif isinstance(data, bytearray | memoryview):
            data = bytes(data)
        elif not isinstance(data, bytes | os.PathLike | AsyncIterable) and not hasattr(
            data, "read"
        ):
            raise InvalidTypeError(f"an attachment cannot be saved from {type(data).__name__}")
        if isinstance(data, io.TextIOBase):
            raise InvalidTypeError("the file must be opened for bytes, not for text")
        self._data: bytes | os.PathLike[str] | IO[bytes] | _Once = (
            _Once(data) if isinstance(data, AsyncIterable) else data
        )

    async def begin(self) -> None:
        """Get the first of pieces that come from elsewhere.

        They may come from the same session: what they need must have its connection before they go.
        """
        if isinstance(self._data, _Once):
            await self._data.begin()

    def length(self) -> dict[str, str]:
        """Return the `Content-Length` header, where the length is known."""
        if isinstance(self._data, os.PathLike):
            return {"Content-Length": str(Path(self._data).stat().st_size)}
        return {}

    @property
    def is_lasting(self) -> bool:
        """Whether it can be had a second time."""
        return isinstance(self._data, bytes | os.PathLike)

    async def digest(self) -> bytes:
        """Return the MD5 of what can be had a second time."""
        if isinstance(self._data, bytes):
            return hashlib.md5(self._data, usedforsecurity=False).digest()
        if isinstance(self._data, os.PathLike):
            return await asyncio.to_thread(_digest_of_file, Path(self._data))
        raise TransportError("the content cannot be read a second time")

    def body(self) -> bytes | AsyncIterable[bytes]:
        """Return the content: bytes as they are, all else as pieces."""
        if isinstance(self._data, bytes):
            return self._data
        if isinstance(self._data, os.PathLike):
            return _File(Path(self._data))
        return self._data if isinstance(self._data, _Once) else _Once(_read(self._data))


def _digest_of_file(path: Path) -> bytes:
    with path.open("rb") as file:
        return hashlib.file_digest(file, _md5).digest()


def _md5() -> hashlib._Hash:
    return hashlib.md5(usedforsecurity=False)


class _File:
    """The content of a file, from its beginning each time it is asked for."""

    def __init__(self, path: Path) -> None:
        self._path = path

    async def __aiter__(self) -> AsyncGenerator[bytes, None]:
        with await asyncio.to_thread(self._path.open, "rb") as file:
            async for piece in _read(file):
                yield piece


class _Once:
    """Pieces that can be had only once.

    If they were sent again, what was left of them would be stored as if it were all.
    """

    def __init__(self, pieces: AsyncIterable[bytes]) -> None:
        self._pieces: AsyncIterable[bytes] | None = pieces

    async def begin(self) -> None:
        """Get the first piece."""
        if self._pieces is not None:
            rest = aiter(self._pieces)
            first = await anext(rest, b"")
            self._pieces = _chained(first, rest)

    def __aiter__(self) -> AsyncIterator[bytes]:
        pieces, self._pieces = self._pieces, None
        if pieces is None:
            raise TransportError(
                "the connection broke, and the content cannot be read a second time"
            )
        return pieces.__aiter__()


async def _chained(first: bytes, rest: AsyncIterator[bytes]) -> AsyncGenerator[bytes, None]:
    if first:
        yield first
    async for piece in rest:
        yield piece


async def _read(file: IO[bytes]) -> AsyncIterator[bytes]:
    while piece := await asyncio.to_thread(file.read, _PIECE):
        yield piece
