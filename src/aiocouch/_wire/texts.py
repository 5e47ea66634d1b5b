"""Many JSON texts as one request body."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Iterator, Sequence

_HEAD, _TAIL = b'{"docs":[', b"]}"
_TOGETHER = 100  # texts of a piece, at most
_PIECE = 1 << 17  # bytes of a piece, at most


class Texts:
    """The body `{"docs": […]}` of texts that exist already, put together piece by piece while it is sent.

    That is faster than one large copy of them, and takes no memory.
    """

    def __init__(self, texts: Sequence[bytes]) -> None:
        self._texts = texts
        self._size = sum(map(len, texts))

    def __len__(self) -> int:
        return len(_HEAD) + self._size + max(len(self._texts) - 1, 0) + len(_TAIL)

    def __bytes__(self) -> bytes:
        return b",".join(self._texts).join((_HEAD, _TAIL))

    async def __aiter__(self) -> AsyncGenerator[bytes, None]:
        for piece in self._joined():
            for start in range(0, len(piece), _PIECE):
                yield piece[start : start + _PIECE]

    def _joined(self) -> Iterator[bytes]:
        count = len(self._texts)
        together = max(1, min(_TOGETHER, _PIECE * count // (self._size + count + 1)))
        before = _HEAD
        for start in range(0, count or 1, together):
            after = b"" if start + together < count else _TAIL
            yield b",".join(self._texts[start : start + together]).join((before, after))
            before = b","

    @property
    def is_short(self) -> bool:
        """Whether one copy of it does no harm."""
        return len(self) <= _PIECE
