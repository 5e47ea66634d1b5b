"""Repeats of rows that a server sends again when it goes back. Pure."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any

import msgspec

from aiocouch._wire.codec import DECODE_ERRORS
from aiocouch._wire.deep import elements, shallow

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from aiocouch.typing import JsonDict

__all__ = ["Window"]

_BYTES = 1 << 23


class _Seen(msgspec.Struct):
    id: str
    changes: list[dict[str, str]]
    deleted: bool = False


_SEEN = msgspec.json.Decoder(list[_Seen])
_ONE = msgspec.json.Decoder(_Seen)


class Window:
    """Remembers the last rows, at most so many and 8 MB of their text, and finds those that come again.

    A row comes again if its sequence is not later than the latest so far, and the last row of the same
    document had the same revisions. A later sequence is never taken for a repeat, and neither is a
    document that has returned to a revision which it had before.

    As long as sequences grow, which they do but when a cluster goes back, a row costs nothing: only
    its text is kept.
    """

    def __init__(self, size: int) -> None:
        self._size = size
        self._texts: deque[tuple[int, bytes]] = deque()  # number of rows, and their JSON
        self.clear()

    def clear(self) -> None:
        """Forget all: what follows are the rows of another database."""
        self._latest = -1
        self._texts.clear()
        self._count = 0
        self._bytes = 0
        self._last: dict[str, _Seen] | None = None  # by document, while the server is behind

    def fresh(self, rows: list[JsonDict], text: bytes) -> list[JsonDict]:
        """Return the rows, which are the first of those in a JSON text, without those that come again."""
        if not self._size or not rows:
            return rows
        count = len(rows)
        first, last = _number(rows[0]["seq"]), _number(rows[-1]["seq"])
        if first is None or last is None or first <= self._latest or last < first:
            rows = self._without_repeats(rows)
        else:
            self._latest, self._last = last, None
        self._remember(count, text)
        return rows

    def _without_repeats(self, rows: list[JsonDict]) -> list[JsonDict]:
        if self._last is None:
            self._last = {row.id: row for each in self._texts for row in _decoded(*each)}
        return [row for row in rows if self._is_fresh(row, self._last)]

    def _is_fresh(self, row: JsonDict, last: dict[str, _Seen]) -> bool:
        id, number = row["id"], _number(row["seq"])
        seen = _Seen(id, row["changes"], bool(row.get("deleted")))
        before, last[id] = last.get(id), seen
        if number is None or number > self._latest:
            self._latest = self._latest if number is None else number
            return True
        return before != seen

    def _remember(self, count: int, text: bytes) -> None:
        self._texts.append((count, text))
        self._count += count
        self._bytes += len(text)
        while self._texts and (self._count > self._size or self._bytes > _BYTES):
            gone, forgotten = self._texts.popleft()
            self._count -= gone
            self._bytes -= len(forgotten)


def _decoded(count: int, text: bytes) -> list[_Seen]:
    try:
        return _SEEN.decode(text)
    except DECODE_ERRORS:  # there were heartbeats, or what is not a row
        return list(_found(elements(text)))[:count]


def _found(rows: Iterable[bytes]) -> Iterator[_Seen]:
    for row in rows:
        try:
            yield _ONE.decode(shallow(row)[0])
        except (*DECODE_ERRORS, ValueError):
            continue


def _number(sequence: Any) -> int | None:
    """Return the number that a sequence begins with. A row without one is never taken for a repeat."""
    try:
        return int(str(sequence).partition("-")[0])
    except ValueError:
        return None
