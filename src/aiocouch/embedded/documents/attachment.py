"""What an attachment is: its stored facts, how it is compressed, and how it looks in JSON.

Pure. The bytes live in `store.attachments`; a revision keeps a list of `Attachment`, in order.
"""

from __future__ import annotations

import base64
import hashlib
import re
import zlib
from typing import TYPE_CHECKING, Any

import msgspec

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

DEFAULT_TYPE = "application/octet-stream"
DEFAULT_COMPRESSIBLE = "text/*, application/javascript, application/json, application/xml"
DEFAULT_LEVEL = 8
IDENTITY = "identity"
GZIP = "gzip"
# 16 on top of the largest window makes zlib write and read the gzip format.
GZIP_WINDOW = 16 + zlib.MAX_WBITS
NOT_STORED = 0
"""The `blob` of an attachment whose bytes are not in the store yet."""


class Attachment(msgspec.Struct, frozen=True):
    """One stored attachment of one revision.

    `digest` is the MD5 of the bytes as stored (after compression), in base64 without a prefix.
    `length` counts the bytes as uploaded, `encoded_length` those stored. `blob` is the number of
    the content in the attachment store, `NOT_STORED` before it is there.
    """

    name: str
    content_type: str
    revpos: int
    digest: str
    length: int
    encoded_length: int
    encoding: str = IDENTITY
    blob: int = NOT_STORED

    @property
    def md5(self) -> bytes:
        """The 16 bytes of the digest, as the revision id takes them."""
        return base64.b64decode(self.digest)

    @property
    def compressed(self) -> bool:
        """Whether the stored bytes are gzip."""
        return self.encoding != IDENTITY


class Content(msgspec.Struct, frozen=True):
    """Bytes ready to be stored, with their facts. `data` is None when they are in the store."""

    digest: str
    length: int
    encoded_length: int
    encoding: str
    blob: int = NOT_STORED
    data: bytes | None = None


class Compression(msgspec.Struct, frozen=True):
    """Which content types are stored compressed (CouchDB's `[attachments]` section)."""

    types: str = DEFAULT_COMPRESSIBLE
    level: int = DEFAULT_LEVEL

    def applies_to(self, content_type: str) -> bool:
        """Return whether content of this type is compressed."""
        if self.level <= 0:
            return False
        patterns = (text.strip() for text in self.types.split(","))
        return any(_type_matches(pattern, content_type) for pattern in patterns if pattern)

    def encoder(self, content_type: str) -> Encoder:
        """Return an encoder for plain bytes of this type."""
        return Encoder(level=self.level if self.applies_to(content_type) else None)


def _type_matches(pattern: str, content_type: str) -> bool:
    body = ".*".join(re.escape(piece) for piece in pattern.split("*"))
    expression = rf"\s*{body}(?:\s*;.*)?\s*"
    return re.fullmatch(expression, content_type, re.IGNORECASE | re.DOTALL) is not None


class Encoder:
    """Turns uploaded bytes into stored bytes, piece by piece, and keeps count and digests.

    `compress` gzips; `encoding` only labels bytes that came encoded already.
    """

    def __init__(self, *, level: int | None = None, encoding: str = IDENTITY) -> None:
        self._zip = (
            zlib.compressobj(level, zlib.DEFLATED, GZIP_WINDOW) if level is not None else None
        )
        self._md5 = hashlib.md5(usedforsecurity=False)
        self._key = hashlib.blake2b(digest_size=20)
        self._encoding = GZIP if self._zip else encoding
        self.length = 0
        self.encoded_length = 0

    def feed(self, data: bytes) -> bytes:
        """Take uploaded bytes and return those to store (maybe none yet)."""
        self.length += len(data)
        return self._count(self._zip.compress(data) if self._zip else data)

    def finish(self) -> bytes:
        """Return the last bytes to store."""
        return self._count(self._zip.flush() if self._zip else b"")

    def _count(self, data: bytes) -> bytes:
        self._md5.update(data)
        self._key.update(data)
        self.encoded_length += len(data)
        return data

    @property
    def key(self) -> bytes:
        """What the content is addressed by: a hash of the stored bytes that nobody can forge."""
        return self._key.digest()

    def content(self, *, blob: int = NOT_STORED, data: bytes | None = None) -> Content:
        """Return the facts after `finish`."""
        digest = base64.b64encode(self._md5.digest()).decode()
        return Content(digest, self.length, self.encoded_length, self._encoding, blob, data)


def encode_content(data: bytes, content_type: str, compression: Compression) -> Content:
    """Return the stored form of content that is in memory."""
    encoder = compression.encoder(content_type)
    stored = encoder.feed(data) + encoder.finish()
    return encoder.content(data=stored)


def content_key(data: bytes) -> bytes:
    """Return the address of stored bytes, see `Encoder.key`."""
    return hashlib.blake2b(data, digest_size=20).digest()


def decompress(chunks: Iterable[bytes]) -> Iterable[bytes]:
    """Yield the plain bytes of gzip chunks, each step bounded in memory by 1 MiB."""
    unzip = zlib.decompressobj(GZIP_WINDOW)
    for chunk in chunks:
        pending = chunk
        while pending:
            data = unzip.decompress(pending, 1 << 20)
            pending = unzip.unconsumed_tail
            if data:
                yield data
            if not data and not pending:
                break


def encode_list(attachments: Sequence[Attachment]) -> bytes | None:
    """Return the text a revision keeps for its attachments, None for none."""
    return msgspec.json.encode(attachments) if attachments else None


_LIST = msgspec.json.Decoder(list[Attachment])


def decode_list(text: bytes | str | None) -> list[Attachment]:
    """Return the attachments of a revision from the text it keeps."""
    return _LIST.decode(text) if text else []


def stub_member(attachment: Attachment, *, encoding_info: bool = False) -> dict[str, Any]:
    """Return the member of `_attachments` that says only what there is."""
    facts = _facts(attachment) | {"length": attachment.length, "stub": True}
    return facts | (_encoding(attachment) if encoding_info else {})


def follows_member(attachment: Attachment, *, encoding_info: bool = True) -> dict[str, Any]:
    """Return the member of `_attachments` whose bytes follow in a multipart body."""
    facts = _facts(attachment) | {"length": attachment.length, "follows": True}
    return facts | (_encoding(attachment) if encoding_info else {})


def inline_member(attachment: Attachment, data: bytes, *, encoding_info: bool) -> dict[str, Any]:
    """Return the member of `_attachments` with its plain bytes in base64."""
    facts = _facts(attachment) | {"data": base64.b64encode(data).decode()}
    return facts | (_encoding(attachment) if encoding_info else {})


def _facts(attachment: Attachment) -> dict[str, Any]:
    return {
        "content_type": attachment.content_type,
        "revpos": attachment.revpos,
        "digest": f"md5-{attachment.digest}",
    }


def _encoding(attachment: Attachment) -> dict[str, Any]:
    if not attachment.compressed:
        return {}
    return {"encoding": attachment.encoding, "encoded_length": attachment.encoded_length}
