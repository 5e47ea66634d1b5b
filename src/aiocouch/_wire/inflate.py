"""Compressed bytes as they come, made plain in pieces that are never large."""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["ENCODINGS", "LARGEST_PIECE", "Inflater"]

ENCODINGS = frozenset({"gzip", "deflate"})
"""What `Inflater` takes."""

LARGEST_PIECE = 1 << 18
"""Bytes of a piece at most: some bytes of what is compressed may stand for a thousand times as many."""
_GZIP_BEGINS = b"\x1f\x8b"


class Inflater:
    """Takes what was compressed by `gzip` or `deflate`."""

    def __init__(self, encoding: str) -> None:
        self._is_gzip = encoding != "deflate"
        self._inflater: zlib._Decompress | None = None

    @property
    def is_cut(self) -> bool:
        """Whether something has come, but not the end."""
        return self._inflater is not None and not self._inflater.eof

    @property
    def is_whole(self) -> bool:
        """Whether the end has come."""
        return self._inflater is not None and self._inflater.eof

    def feed(self, chunk: bytes) -> Iterator[bytes]:
        """Yield the plain bytes of the bytes that came. Raise `zlib.error` for what was not compressed so."""
        while chunk:
            if self._inflater is None or self.is_whole:
                if self.is_whole and not (self._is_gzip and chunk.startswith(_GZIP_BEGINS)):
                    return  # what comes after the end is nothing
                self._inflater = self._begun(chunk)
            yield from self._pieces(self._inflater, chunk)
            chunk = self._inflater.unused_data

    def _pieces(self, inflater: zlib._Decompress, chunk: bytes) -> Iterator[bytes]:
        piece = inflater.decompress(chunk, LARGEST_PIECE)
        # Behind a full piece there may be more, also when all that came has gone in.
        while len(piece) == LARGEST_PIECE or inflater.unconsumed_tail:
            yield piece
            piece = inflater.decompress(inflater.unconsumed_tail, LARGEST_PIECE)
        if piece:
            yield piece

    def _begun(self, chunk: bytes) -> zlib._Decompress:
        if self._is_gzip:
            return zlib.decompressobj(16 + zlib.MAX_WBITS)
        # Some servers leave out the head that it should have.
        has_head = chunk[0] & 0xF == zlib.DEFLATED
        return zlib.decompressobj(zlib.MAX_WBITS if has_head else -zlib.MAX_WBITS)
