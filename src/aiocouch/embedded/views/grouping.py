"""Reducing ranges and groups of rows, with as few rows read as possible."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from aiocouch.embedded.codec import encode
from aiocouch.embedded.collation.collation import raw_sort_key, sort_key
from aiocouch.embedded.views.pages import SIZE, cut
from aiocouch.embedded.views.tables import backwards

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Iterator, Sequence

    from aiocouch.embedded.views.reducers import Reduced, ReduceFunction
    from aiocouch.embedded.views.tables import IndexRow, IndexSnapshot, Place

EXACT = -1
"""The group level of `group=true`: equal keys."""

_GROUPS_AT_ONCE = 200
_LONG = 2 * SIZE
_decode = msgspec.json.Decoder().decode


class RowRange(NamedTuple):
    """Rows from `first` to before `last`, from the end when `descending`."""

    first: Place
    last: Place
    descending: bool = False


class Group(NamedTuple):
    """A group: its key as JSON, and what its rows reduce to."""

    key: bytes
    outcome: Reduced


class Grouping(NamedTuple):
    """How rows fall into groups: by `level` members of array keys, or by EXACT keys.

    `prefix` bytes at the front of each sort key (the partition) are not part of the key.
    """

    level: int
    raw: bool = False
    prefix: int = 0

    def head(self, row: IndexRow) -> GroupHead:
        """Return the group that a row is in."""
        if self.level != EXACT and row.json.startswith(b"["):
            key = _decode(row.json)
            if len(key) >= self.level:
                return self._array_head(row.key, key[: self.level])
        return GroupHead(row.json, row.key, exact=True)

    def _array_head(self, whole: bytes, shown: list[object]) -> GroupHead:
        # The last byte of the key of an array ends it; without it all longer arrays match.
        make = raw_sort_key if self.raw else sort_key
        return GroupHead(encode(shown), whole[: self.prefix] + make(shown)[:-1], exact=False)


class GroupHead(NamedTuple):
    """What the rows of a group have in common: the key as JSON, and how sort keys begin.

    `exact`: the whole sort key is the same.
    """

    key: bytes
    match: bytes
    exact: bool

    def bounds(self) -> tuple[Place, Place]:
        """Return the range of the group."""
        end = b"\x00" if self.exact else b"\xff"
        return (self.match, "", 0), (self.match + end, "", 0)


class _Parts(msgspec.Struct):
    """A group that is not reduced yet: reduced pages and chunks of rows, in order."""

    key: bytes
    values: list[bytes | list[IndexRow]]


def parts_of(
    snapshot: IndexSnapshot, tree: int, range_: RowRange, number: int
) -> list[bytes | list[IndexRow]]:
    """Return reduced pages and rows that make up a range, in order of their keys."""
    whole = cut(snapshot, tree, range_.first, range_.last, number)
    parts: list[bytes | list[IndexRow]] = _chunks(snapshot, tree, *whole.head)
    ends = [page.start for page in whole.pages[1:]]
    ends.append(whole.tail[0] if whole.tail else range_.last)
    for page, end in zip(whole.pages, ends, strict=bool(whole.pages)):
        if page.value is not None:
            parts.append(page.value)
        elif page.rows:
            parts += _chunks(snapshot, tree, page.start, end)
    if whole.tail:
        parts += _chunks(snapshot, tree, *whole.tail)
    return parts


def _chunks(
    snapshot: IndexSnapshot, tree: int, first: Place, last: Place
) -> list[bytes | list[IndexRow]]:
    return [*snapshot.rows(tree, first, last)] if first < last else []


async def reduce_parts(
    function: ReduceFunction,
    groups: Sequence[Sequence[bytes | list[IndexRow]]],
    *,
    descending: bool = False,
) -> list[Reduced]:
    """Reduce groups; each has one part at least. Scripts see rows in the order of the query."""
    if descending and not function.is_native:
        groups = [_turned(group) for group in groups]
    chunks = [part for group in groups for part in group if isinstance(part, list)]
    reduced = iter(await function.reducer.reduce(chunks) if chunks else ())
    values = [
        [next(reduced) if isinstance(part, list) else part for part in group] for group in groups
    ]
    return [function.finish(each) for each in await function.reducer.combine(values)]


def _turned(group: Sequence[bytes | list[IndexRow]]) -> list[bytes | list[IndexRow]]:
    return [backwards(part) if isinstance(part, list) else part for part in reversed(group)]


async def reduce_range(
    snapshot: IndexSnapshot, tree: int, range_: RowRange, function: ReduceFunction
) -> Reduced | None:
    """Reduce a range to one value, None when it has no rows."""
    parts = parts_of(snapshot, tree, range_, function.number)
    if not parts:
        return None
    return (await reduce_parts(function, [parts], descending=range_.descending))[0]


async def reduce_groups(
    snapshot: IndexSnapshot,
    tree: int,
    range_: RowRange,
    function: ReduceFunction,
    grouping: Grouping,
) -> AsyncGenerator[Group, None]:
    """Yield the groups of a range in order, each with its value."""
    waiting: list[_Parts] = []
    for group in _groups(snapshot, tree, range_, function.number, grouping):
        waiting.append(group)
        if len(waiting) == _GROUPS_AT_ONCE:
            for each in await _reduced(function, waiting, range_):
                yield each
            waiting = []
            await asyncio.sleep(0)
    if waiting:
        for each in await _reduced(function, waiting, range_):
            yield each


async def _reduced(function: ReduceFunction, groups: list[_Parts], range_: RowRange) -> list[Group]:
    values = [group.values for group in groups]
    outcomes = await reduce_parts(function, values, descending=range_.descending)
    return [Group(group.key, outcome) for group, outcome in zip(groups, outcomes, strict=True)]


def _groups(
    snapshot: IndexSnapshot, tree: int, range_: RowRange, number: int, grouping: Grouping
) -> Iterator[_Parts]:
    """Read rows one after the other; jump over the rest of a group that is long."""
    first, last, descending = range_
    while first < last:
        reader = _GroupReader(snapshot, tree, RowRange(first, last, descending), number, grouping)
        yield from reader.groups()
        if reader.jump is None:
            return
        first, last = (first, reader.jump) if descending else (reader.jump, last)


class _GroupReader:
    """Splits rows into groups until a group gets long; `jump` is where to go on then."""

    def __init__(
        self, snapshot: IndexSnapshot, tree: int, range_: RowRange, number: int, grouping: Grouping
    ) -> None:
        self._snapshot = snapshot
        self._tree = tree
        self._range = range_
        self._number = number
        self._grouping = grouping
        self._rows: list[IndexRow] = []
        self._head = GroupHead(b"", b"", exact=True)
        self.jump: Place | None = None

    def groups(self) -> Iterator[_Parts]:
        """Yield groups, the last of which may be a long one."""
        first, last, descending = self._range
        match, exact, rows = b"", True, self._rows
        for batch in self._snapshot.rows(self._tree, first, last, descending=descending):
            for row in batch:
                if rows and (row.key == match if exact else row.key.startswith(match)):
                    rows.append(row)
                    continue
                if rows:
                    yield self._group()
                self._head = self._grouping.head(row)
                _, match, exact = self._head
                rows = self._rows = [row]
            if len(rows) > _LONG:
                yield self._long_group()
                return
        if rows:
            yield self._group()

    def _group(self) -> _Parts:
        rows = backwards(self._rows) if self._range.descending else self._rows
        self._rows = []
        return _Parts(self._head.key, [rows])

    def _long_group(self) -> _Parts:
        low, high = self._head.bounds()
        whole = RowRange(max(low, self._range.first), min(high, self._range.last))
        self.jump = whole.first if self._range.descending else whole.last
        parts = parts_of(self._snapshot, self._tree, whole, self._number)
        return _Parts(self._head.key, parts)
