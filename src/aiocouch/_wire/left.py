"""What is left to ask for of a list of rows that broke off. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, TypeVar

import msgspec

from aiocouch._wire.codec import encode
from aiocouch._wire.rows import document_id

if TYPE_CHECKING:
    from collections.abc import Sequence

    from aiocouch.typing import JsonDict

__all__ = [
    "AskedLeft",
    "BytesLeft",
    "DocumentsLeft",
    "KeysLeft",
    "Place",
    "RangeLeft",
    "ShiftedError",
]

_STARTS = ("startkey", "start_key", "startkey_docid", "start_key_doc_id", "skip")
_TRUE = (True, "true")


class ShiftedError(ValueError):
    """The rows that come again are not those that came before: nobody knows where to go on."""


class _Row(Protocol):
    @property
    def id(self) -> str | None: ...
    @property
    def key(self) -> Any: ...


R = TypeVar("R", bound=_Row)
_Spot = tuple[str | None, bytes]


class Place(NamedTuple):
    """Where in a range it goes on: how many rows were given, and the last one: id, and key as JSON text.

    `run`: so many rows at the end of those that were given have that id and key.
    """

    given: int
    run: int
    id: str | None
    key: str


class RangeLeft:
    """The rows of a range, in the order of their keys and ids.

    It goes on at the last row, whose repeats are dropped, so that it does not matter what happened to
    that row meanwhile. `unique`: a document has one row, and its key is its id. `place`: what came before.
    """

    def __init__(self, options: JsonDict, unique: bool, place: Place | None = None) -> None:
        self.options = options
        self.keys: Sequence[Any] | None = None
        self._unique = unique
        self._given = 0
        self._run = 0  # rows at the end of those given that have the same key and id
        self._to_drop = 0
        self._spot: _Spot = (None, b"")
        if place is not None:
            self._given, self._run = place.given, place.run
            self._spot = place.id, place.key.encode()

    @property
    def place(self) -> Place:
        """Where it goes on."""
        id, key = self._spot
        return Place(self._given, self._run, id, key.decode())

    def fresh(self, rows: list[R]) -> list[R]:
        """Return the rows that have not been given before. They count as given."""
        while self._to_drop and rows:
            if _spot(rows[0]) != self._spot:
                self._to_drop = 0
                break
            self._to_drop -= 1
            rows = rows[1:]
        if rows:
            self._take(rows)
        return rows

    def _take(self, rows: Sequence[_Row]) -> None:
        spot, run = _spot(rows[-1]), 1
        while run < len(rows) and rows[-1 - run].id == spot[0] and _spot(rows[-1 - run]) == spot:
            run += 1
        more = self._run if run == len(rows) and spot == self._spot else 0
        self._spot, self._run = spot, run + more
        self._given += len(rows)

    @property
    def is_complete(self) -> bool:
        """Whether nothing is left, for the limit is reached."""
        limit = _number(self.options, "limit")
        return limit is not None and self._given >= limit

    def rest(self) -> JsonDict | None:
        """Return the options that ask for what is left; None where that cannot be told."""
        if not self._given:
            return self.options
        id, key = self._spot
        grouped = self.options.get("group") in _TRUE and self.options.get("group_level") is None
        if (id is None and not grouped) or "keys" in self.options or _is_unsorted(self.options):
            return None
        self._to_drop = self._run
        if self._run == self._given and self.options.get("skip") and not self._unique:
            return self.options  # nobody knows how many like them were skipped, so these come again
        options = {name: value for name, value in self.options.items() if name not in _STARTS}
        if "key" in options:
            options["endkey"] = options.pop("key")
        options["startkey"] = key.decode()
        if id is not None and not self._unique:
            options["startkey_docid"] = id
        limit = _number(options, "limit")
        if limit is not None:
            options["limit"] = limit - self._given + self._run
        return options


class KeysLeft:
    """The rows of a list of keys, in its order. It goes on at the key of the last row.

    `unique`: each key has one row, also one that does not exist.
    """

    def __init__(self, options: JsonDict, keys: list[Any], unique: bool) -> None:
        self.options = options
        self.keys: Sequence[Any] | None = keys
        self._all = keys
        self._unique = unique
        self._given = 0
        self._run = 0  # rows at the end of those given that have the same key
        self._to_drop = 0
        self._spot: _Spot = (None, b"")

    def fresh(self, rows: list[R]) -> list[R]:
        """Return the rows that have not been given before. Raise `ShiftedError`."""
        if self._to_drop:
            rows = self._without_repeats(rows)
        if rows:
            self._take(rows)
        return rows

    def _without_repeats(self, rows: list[R]) -> list[R]:
        count = min(self._to_drop, len(rows))
        self._to_drop -= count
        if not self._to_drop and _spot(rows[count - 1]) != self._spot:
            raise ShiftedError("other rows stand where the last one stood")
        return rows[count:]

    def _take(self, rows: Sequence[_Row]) -> None:
        self._given += len(rows)
        if self._unique:
            return
        spot, run = _spot(rows[-1]), 1
        while run < len(rows) and _spot(rows[-1 - run])[1] == spot[1]:
            run += 1
        more = self._run if run == len(rows) and spot[1] == self._spot[1] else 0
        self._spot, self._run = spot, run + more

    @property
    def is_complete(self) -> bool:
        """Whether nothing is left: the limit is reached, or the last key was the last row."""
        limit = _number(self.options, "limit")
        if limit is not None and self._given >= limit:
            return True
        return self._unique and self._given >= len(self._all)

    def rest(self) -> JsonDict | None:
        """Return the options that ask for what is left, with `keys`; None where that cannot be told."""
        if not self._given:
            return self.options
        moved = self.options.get("descending") in _TRUE or self.options.get("skip") is not None
        if moved or _is_unsorted(self.options):
            return None
        begin = self._given if self._unique else self._key_of_last()
        if begin is None:
            return None
        self.keys = self._all[begin:]
        self._to_drop = 0 if self._unique else self._run
        limit = _number(self.options, "limit")
        if limit is None:
            return self.options
        return {**self.options, "limit": limit - self._given + self._to_drop}

    def _key_of_last(self) -> int | None:
        keys = [encode(key) for key in self._all]
        key = self._spot[1]
        return keys.index(key) if len(set(keys)) == len(keys) and key in keys else None


class DocumentsLeft:
    """The documents of one page of a query. It goes on at the last one, which must be there still."""

    def __init__(self, query: JsonDict) -> None:
        self._query = query
        self.count = 0
        self._last: str | None = None
        self._is_to_drop = False

    def fresh(self, rows: list[msgspec.Raw]) -> list[msgspec.Raw]:
        """Return the texts that have not been given before. Raise `ShiftedError`."""
        if self._is_to_drop and rows:
            if document_id(bytes(rows[0])) != self._last:
                raise ShiftedError("another document stands where the last one stood")
            self._is_to_drop, rows = False, rows[1:]
        if rows:
            self.count += len(rows)
            self._last = document_id(bytes(rows[-1]))
        return rows

    @property
    def is_complete(self) -> bool:
        """Whether the page is full; its bookmark has not come all the same."""
        return False

    def rest(self) -> JsonDict:
        """Return the query for what is left of the page."""
        if not self.count:
            return self._query
        self._is_to_drop = True
        skip = self._query.get("skip") or 0
        limit = self._query["limit"] - self.count + 1
        return {**self._query, "skip": skip + self.count - 1, "limit": limit}


def _spot(row: _Row) -> _Spot:
    key = row.key
    return row.id, bytes(key) if isinstance(key, msgspec.Raw) else encode(key)


def _is_unsorted(options: JsonDict) -> bool:
    return options.get("sorted", True) not in _TRUE


def _number(options: JsonDict, name: str) -> int | None:
    text = str(options.get(name))
    return int(text) if text.isdecimal() else None


class AskedLeft:
    """What is left of documents that were asked for one by one, whose rows come in the same order.

    Where they do not, nobody knows where to go on.
    """

    def __init__(self, docs: Sequence[JsonDict]) -> None:
        self._docs = docs
        self._given = 0
        self._is_known = True

    @property
    def is_complete(self) -> bool:
        """Whether nothing is."""
        return self._is_known and self._given == len(self._docs)

    def fresh(self, rows: list[JsonDict]) -> list[JsonDict]:
        """Return the rows, none of which comes again."""
        asked = self._docs[self._given : self._given + len(rows)]
        came = [row.get("id") for row in rows]
        self._is_known &= came == [doc.get("id") for doc in asked]
        self._given += len(rows)
        return rows

    def rest(self) -> JsonDict | None:
        """Return the body that asks for it; None where that cannot be told."""
        return {"docs": self._docs[self._given :]} if self._is_known else None


class BytesLeft:
    """What is left of the bytes from `start` to before `stop`, which is the end where it is None."""

    def __init__(self, start: int = 0, stop: int | None = None) -> None:
        self._at = start
        self._stop = stop
        self._before = 0

    @property
    def is_complete(self) -> bool:
        """Whether nothing is."""
        return self._stop is not None and self._at >= self._stop

    def rest(self) -> dict[str, str]:
        """Return the headers that ask for it. A server may send everything all the same."""
        if self._at == 0 and self._stop is None:
            return {}
        last = "" if self._stop is None else self._stop - 1
        return {"Range": f"bytes={self._at}-{last}"}

    def answered(self, *, whole: bool) -> None:
        """Take note of whether everything comes, or what was asked for."""
        self._before = self._at if whole else 0

    def fresh(self, piece: bytes) -> bytes:
        """Return what of a piece was asked for, and did not come before."""
        before = min(self._before, len(piece))
        self._before -= before
        end = None if self._stop is None else before + self._stop - self._at
        fresh = piece[before:end] if before or end is not None else piece
        self._at += len(fresh)
        return fresh
