"""Many JSON texts as one request body."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Sequence

_HEAD, _TAIL = b'{"docs":[', b"]}"
_TOGETHER = 100


class Texts:
    """The body `{"docs": […]}` of texts that exist already, put together piece by piece while it is sent.

    That is quicker than one large copy of them, and takes no memory. It can be sent again.
    """

    def __init__(self, texts: Sequence[bytes]) -> None:
        self._texts = texts

    def __len__(self) -> int:
        commas = max(len(self._texts) - 1, 0)
        return len(_HEAD) + sum(map(len, self._texts)) + commas + len(_TAIL)

    def __bytes__(self) -> bytes:
        return b",".join(self._texts).join((_HEAD, _TAIL))

    async def __aiter__(self) -> AsyncGenerator[bytes, None]:
        before, last = _HEAD, len(self._texts) - _TOGETHER
        for start in range(0, len(self._texts) or 1, _TOGETHER):
            piece = b",".join(self._texts[start : start + _TOGETHER])
            yield piece.join((before, b"" if start < last else _TAIL))
            before = b","

    @property
    def is_short(self) -> bool:
        """Whether it is one piece."""
        return len(self._texts) <= _TOGETHER
