"""Pages: cuts through the rows of a tree, with the number of rows and the reduced value of each.

They make counting and reducing of long ranges cheap: whole pages in the middle, single rows at
both ends. They are made when first needed; a change to a row only empties its page.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, NamedTuple, Protocol

from aiocouch.embedded.views.tables import FIRST, LAST

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterable, Iterator, Sequence

    from aiocouch.embedded.views.tables import IndexRow, IndexSnapshot, Place, Tables

SIZE = 256
_UNKNOWN = -1
_PAGES_AT_ONCE = 16
_IN_RANGE = "(key, id, n) >= (?, ?, ?) AND (key, id, n) < (?, ?, ?)"


class Reducer(Protocol):
    """Reduces rows to values that are kept as bytes and combined later."""

    def check(self, rows: Sequence[IndexRow], /) -> None:
        """Raise CouchError for rows that CouchDB cannot build an index of."""
        ...

    async def reduce(self, chunks: Sequence[Sequence[IndexRow]], /) -> list[bytes]:
        """Reduce each chunk of rows to a value."""
        ...

    async def combine(self, groups: Sequence[Sequence[bytes]], /) -> list[bytes]:
        """Reduce each group of values to one value."""
        ...


class Page(NamedTuple):
    """A page: its first place, its number, its rows (-1: not counted), its reduced value."""

    key: bytes
    id: str
    n: int
    page: int
    rows: int
    value: bytes | None

    @property
    def start(self) -> Place:
        """The place where the page begins."""
        return self.key, self.id, self.n


class Pages:
    """Keeps the pages of all trees of an index; whoever writes holds the index's lock."""

    def __init__(self, tables: Tables) -> None:
        self._tables = tables
        self._touched: list[int] = []
        self._exist: list[bool] = []
        self.look()

    def look(self) -> None:
        """See which pages there are: at the start, and when a transaction was undone."""
        pages = [self._number(tree) for tree in range(self._tables.trees)]
        self._exist = [number > 0 for number, _ in pages]
        self._touched = [uncounted for _, uncounted in pages]

    def _number(self, tree: int) -> tuple[int, int]:
        number, uncounted = self._tables.connection.execute(
            f"SELECT count(*), count(nullif(rows != {_UNKNOWN}, 1)) FROM pages_{tree}"
        ).fetchone()
        return number, uncounted

    def forget(self) -> None:
        """Note that the tables were emptied."""
        self._exist = [False] * self._tables.trees

    def touch(self, tree: int, rows: Iterable[Sequence[object]]) -> None:
        """Empty the pages of rows that come or go; each row begins with its place."""
        if self._exist[tree]:
            self._empty(tree, {tuple(row[:3]) for row in rows})

    def touch_all(self, tree: int, keys: Iterable[tuple[bytes, str]]) -> None:
        """Empty the pages of all rows with these (sort key, id), of which one may have many."""
        if not self._exist[tree]:
            return
        connection = self._tables.connection
        find = f"SELECT key, id, n FROM pages_{tree} WHERE key = ? AND id = ?"
        places: set[tuple[object, ...]] = set()
        for key in keys:
            places.add((*key, 0))
            # a page may begin among the rows of one key
            places.update(connection.execute(find, key))
        self._empty(tree, places)

    def _empty(self, tree: int, places: set[tuple[object, ...]]) -> None:
        self._touched[tree] += len(places)
        if self._touched[tree] > SIZE + self._tables.state.rows[tree] // 4:
            self._drop(tree)
            return
        connection = self._tables.connection
        find = (
            f"SELECT key, id, n, page FROM pages_{tree} WHERE (key, id, n) <= (?, ?, ?)"
            " ORDER BY key DESC, id DESC, n DESC LIMIT 1"
        )
        found = {connection.execute(find, place).fetchone() for place in places}
        connection.executemany(
            f"UPDATE pages_{tree} SET rows = {_UNKNOWN} WHERE (key, id, n) = (?, ?, ?)",
            (page[:3] for page in found),
        )
        connection.executemany(
            f"DELETE FROM partials_{tree} WHERE page = ?", ((page[3],) for page in found)
        )

    def _drop(self, tree: int) -> None:
        for table in ("pages", "partials"):
            self._tables.connection.execute(f"DELETE FROM {table}_{tree}")
        self._exist[tree] = False
        self._touched[tree] = 0

    async def ensure(self, tree: int) -> None:
        """Cut the rows of a tree into pages, or bring the pages up to date."""
        if self._exist[tree] and not self._touched[tree]:
            return
        with self._tables.transaction() as connection:
            cutter = _Cutter(connection, tree)
            for number, (start, end) in enumerate(self._uncounted(tree)):
                await cutter.cut(start, end)
                if number % 64 == 63:
                    await asyncio.sleep(0)
        self._exist[tree] = True
        self._touched[tree] = 0

    def _uncounted(self, tree: int) -> list[tuple[Place, Place]]:
        if not self._exist[tree]:
            return [(FIRST, LAST)]
        pages = self._tables.connection.execute(
            f"SELECT key, id, n, rows FROM pages_{tree} ORDER BY key, id, n"
        ).fetchall()
        ends = [page[:3] for page in pages[1:]] + [LAST]
        return [
            (page[:3], end) for page, end in zip(pages, ends, strict=True) if page[3] == _UNKNOWN
        ]

    async def ensure_reduced(self, tree: int, number: int, reducer: Reducer) -> None:
        """Reduce all pages with the reduce function of this number, where that is missing."""
        await self.ensure(tree)
        connection = self._tables.connection
        missing = connection.execute(
            f"SELECT p.key, p.id, p.n, p.page FROM pages_{tree} p LEFT JOIN partials_{tree} r"
            " ON r.page = p.page AND r.reduce = ? WHERE r.value IS NULL AND p.rows > 0",
            (number,),
        ).fetchall()
        if not missing:
            return
        with self._tables.transaction():
            for at in range(0, len(missing), _PAGES_AT_ONCE):
                some = missing[at : at + _PAGES_AT_ONCE]
                chunks = [self._rows(tree, page[:3]) for page in some]
                for chunk in chunks:
                    reducer.check(chunk)
                values = await reducer.reduce(chunks)
                connection.executemany(
                    f"INSERT INTO partials_{tree} VALUES (?, ?, ?)",
                    [(page[3], number, value) for page, value in zip(some, values, strict=True)],
                )
                await asyncio.sleep(0)

    def _rows(self, tree: int, start: Place) -> list[IndexRow]:
        view = self._tables.unsaved()
        end = _next_start(view.connection, tree, start) or LAST
        return [row for batch in view.rows(tree, start, end) for row in batch]


class _Cutter:
    """Cuts ranges of a tree into pages of about SIZE rows."""

    def __init__(self, connection: sqlite3.Connection, tree: int) -> None:
        self._connection = connection
        self._tree = tree
        (last,) = connection.execute(f"SELECT max(page) FROM pages_{tree}").fetchone()
        self._next = 0 if last is None else last + 1

    async def cut(self, start: Place, end: Place) -> None:
        """Make pages for the rows of a range, whose old page goes."""
        self._connection.execute(
            f"DELETE FROM pages_{self._tree} WHERE (key, id, n) = (?, ?, ?)", start
        )
        made = 0
        while True:
            following = self._after(start, end)
            self._insert(start, following or end)
            if following is None:
                return
            start = following
            made += 1
            if made % 32 == 0:
                await asyncio.sleep(0)

    def _after(self, start: Place, end: Place) -> Place | None:
        """Return the place SIZE rows further, None when the range ends before."""
        place: Place | None = self._connection.execute(
            f"SELECT key, id, n FROM rows_{self._tree} WHERE {_IN_RANGE}"
            " ORDER BY key, id, n LIMIT 1 OFFSET ?",
            (*start, *end, SIZE),
        ).fetchone()
        return place

    def _insert(self, start: Place, end: Place) -> None:
        (rows,) = self._connection.execute(
            f"SELECT count(*) FROM rows_{self._tree} WHERE {_IN_RANGE}", (*start, *end)
        ).fetchone()
        if not rows and start != FIRST:
            return
        self._connection.execute(
            f"INSERT INTO pages_{self._tree} VALUES (?, ?, ?, ?, ?)", (*start, self._next, rows)
        )
        self._next += 1


def _next_start(connection: sqlite3.Connection, tree: int, start: Place) -> Place | None:
    row: Place | None = connection.execute(
        f"SELECT key, id, n FROM pages_{tree} WHERE (key, id, n) > (?, ?, ?)"
        " ORDER BY key, id, n LIMIT 1",
        start,
    ).fetchone()
    return row


class Cut(NamedTuple):
    """A range, cut: rows before the first whole page, whole pages, rows after the last."""

    head: tuple[Place, Place]
    pages: list[Page]
    tail: tuple[Place, Place] | None

    def ends(self) -> Iterator[tuple[Place, Place]]:
        """Yield the ranges that are not whole pages."""
        yield self.head
        if self.tail is not None:
            yield self.tail


def cut(snapshot: IndexSnapshot, tree: int, first: Place, last: Place, reduce: int = -1) -> Cut:
    """Cut a range into whole pages, with their values for a reduce function, and two ends."""
    pages = list(
        map(
            Page._make,
            snapshot.connection.execute(
                f"SELECT p.key, p.id, p.n, p.page, p.rows, r.value FROM pages_{tree} p"
                f" LEFT JOIN partials_{tree} r ON r.page = p.page AND r.reduce = ?"
                " WHERE (p.key, p.id, p.n) >= (?, ?, ?) AND (p.key, p.id, p.n) < (?, ?, ?)"
                " ORDER BY p.key, p.id, p.n",
                (reduce, *first, *last),
            ),
        )
    )
    if not pages:
        return Cut((first, last), [], None)
    head = first, pages[0].start
    following = _next_start(snapshot.connection, tree, pages[-1].start) or LAST
    if following <= last:
        return Cut(head, pages, None)
    return Cut(head, pages[:-1], (pages[-1].start, last))


def count_rows(snapshot: IndexSnapshot, tree: int, first: Place, last: Place) -> int:
    """Count the rows of a range."""
    if first == FIRST and last >= LAST:
        return snapshot.state.rows[tree]
    parts = cut(snapshot, tree, first, last)
    if any(page.rows == _UNKNOWN for page in parts.pages):
        return snapshot.count(tree, first, last)
    whole = sum(page.rows for page in parts.pages)
    return whole + sum(snapshot.count(tree, *end) for end in parts.ends() if end[0] < end[1])
