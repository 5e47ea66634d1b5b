"""The content of an attachment as it comes: decompressed, and held against its digest."""

from __future__ import annotations

import base64
import hashlib
import re
from typing import TYPE_CHECKING

from aiocouch._wire.inflate import Inflater

if TYPE_CHECKING:
    from collections.abc import Iterator

_MD5 = re.compile(r'"?([A-Za-z0-9+/]{22}==)"?').fullmatch


def md5(content: bytes) -> bytes:
    """Return the digest that CouchDB keeps of an attachment."""
    return hashlib.md5(content, usedforsecurity=False).digest()


class ContentReader:
    """Takes the bytes that were sent and gives the content.

    CouchDB keeps compressible attachments compressed, and their digest is that of the compressed
    bytes. So they are asked for as they are stored, and decompressed here.
    """

    def __init__(self, encoding: str | None) -> None:
        self._inflater = Inflater("gzip") if encoding == "gzip" else None
        self._stored = hashlib.md5(usedforsecurity=False)
        self._plain = hashlib.md5(usedforsecurity=False)

    def feed(self, chunk: bytes) -> Iterator[bytes]:
        """Yield the content of the bytes that came, in pieces. Raise `zlib.error` for what is not gzip."""
        self._stored.update(chunk)
        if self._inflater is None:
            yield chunk
            return
        for content in self._inflater.feed(chunk):
            self._plain.update(content)
            yield content

    def is_whole(self) -> bool:
        """Return whether compressed content has come to its end."""
        return self._inflater is None or self._inflater.is_whole

    def matches(self, digest: str | None) -> bool:
        """Return whether the content has this MD5, in base64 as of an ETag; true for anything else.

        A proxy that compresses on the way leaves the digest of the plain content.
        """
        found = _MD5(digest or "")
        if found is None:
            return True
        wanted = base64.b64decode(found[1])
        return wanted in (self._stored.digest(), self._plain.digest())
