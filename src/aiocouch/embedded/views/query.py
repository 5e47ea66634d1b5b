"""Answering one view query from an index."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from aiocouch.embedded.codec import encode
from aiocouch.embedded.collation.collation import raw_sort_key, sort_key
from aiocouch.embedded.documents.partitions import check_partition
from aiocouch.embedded.errors import query_parse_error
from aiocouch.embedded.views.grouping import (
    Group,
    Grouping,
    RowRange,
    reduce_groups,
    reduce_range,
)
from aiocouch.embedded.views.pages import SIZE, count_rows
from aiocouch.embedded.views.rows import (
    DocumentTexts,
    batches,
    group_row,
    joined,
    map_rows,
    map_rows_with,
)
from aiocouch.embedded.views.tables import FIRST, LAST

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from aiocouch.embedded.store.database import Database
    from aiocouch.embedded.views.definition import Definition
    from aiocouch.embedded.views.options import ViewOptions
    from aiocouch.embedded.views.reducers import ReduceFunction
    from aiocouch.embedded.views.service import ViewIndex
    from aiocouch.embedded.views.tables import IndexSnapshot

_COUNTED = 16 * SIZE
_HEAD_END = b'"rows":[\r\n'
_TAIL = b"\r\n]}"


class ViewQuery:
    """One query of one view. `prepare`, then take the pieces of `answer`.

    Raises CouchError: 404 for a view that does not exist, 400 for options that do not fit.
    """

    def __init__(
        self,
        database: Database,
        definition: Definition,
        index: ViewIndex,
        name: str,
        options: ViewOptions,
        *,
        context: str = "",
    ) -> None:
        """Read the options; `context` tells in errors which view it is."""
        self._context = context
        view = definition.view(name)
        options.check(has_reduce=view.reduce is not None)
        _check_partition(definition, options)
        self._database = database
        self._index = index.index
        self._options = options
        self._tree = view.tree
        self._raw = definition.trees[view.tree].raw
        self._prefix = (
            b""
            if options.partition is None
            else (raw_sort_key if self._raw else sort_key)(options.partition)
        )
        self._ranges = options.ranges(raw=self._raw, prefix=self._prefix)
        self._function = None
        if view.reduce is not None and options.reduces(has_reduce=True):
            self._function = index.functions[view.reduce]

    async def prepare(self) -> None:
        """Bring the index up to date as far as the query wants it."""
        if self._options.update == "true":
            await self._index.refresh()
        elif self._options.update == "lazy":
            self._index.start_refresh()
        await self._make_pages()

    async def _make_pages(self) -> None:
        rows = self._index.state.rows[self._tree]
        if self._function is not None:
            if rows <= SIZE:
                self._check_build(self._function)
            else:
                async with self._index.writing():
                    pages = self._index.pages
                    function = self._function
                    await pages.ensure_reduced(self._tree, function.number, function.reducer)
        elif rows > _COUNTED and any(range_.first != FIRST for range_ in self._ranges):
            async with self._index.writing():
                await self._index.pages.ensure(self._tree)

    def _check_build(self, function: ReduceFunction) -> None:
        """Raise what CouchDB raises for rows that it could not build the index of."""
        seq = self._index.state.seq
        if not function.is_native or function.checked == (self._tree, seq):
            return
        with self._index.snapshot() as snapshot:
            for rows in snapshot.rows(self._tree):
                function.reducer.check(rows)
        function.checked = self._tree, seq

    async def answer(self) -> AsyncGenerator[bytes, None]:
        """Yield the answer as JSON text, in pieces, from one moment of the index."""
        with self._index.snapshot() as snapshot:
            reduced = self._function is not None
            chunks = self._groups(snapshot) if reduced else self._rows(snapshot)
            head = b"{" + self._update_seq(snapshot) if reduced else self._head(snapshot)
            async with contextlib.aclosing(joined(head + _HEAD_END, chunks, _TAIL)) as pieces:
                async for piece in pieces:
                    yield piece

    async def collect(self) -> tuple[bytes, bytes]:
        """Return what stands before the rows, and all rows, as JSON for a list function."""
        with self._index.snapshot() as snapshot:
            chunks = self._rows(snapshot) if self._function is None else self._groups(snapshot)
            rows = [row async for chunk in chunks for row in chunk]
            return encode(self._head_members(snapshot)), b"[%b]" % b",".join(rows)

    def _head_members(self, snapshot: IndexSnapshot) -> dict[str, object]:
        members: dict[str, object] = {}
        if self._function is None:
            members["total_rows"] = snapshot.state.rows[self._tree]
            members["offset"] = self._offset(snapshot)
        if self._options.update_seq:
            members["update_seq"] = self._database.sequence(snapshot.state.seq)
        return members

    def _head(self, snapshot: IndexSnapshot) -> bytes:
        total = snapshot.state.rows[self._tree]
        head = b'{"total_rows":%d,"offset":%d,' % (total, self._offset(snapshot))
        return head + self._update_seq(snapshot)

    def _update_seq(self, snapshot: IndexSnapshot) -> bytes:
        if not self._options.update_seq:
            return b""
        return b'"update_seq":%b,' % encode(self._database.sequence(snapshot.state.seq))

    def _offset(self, snapshot: IndexSnapshot) -> int:
        """Count the rows before the first range that has any, and those skipped."""
        before = 0
        for range_ in self._ordered():
            before = self._before(snapshot, range_)
            if snapshot.has_rows(self._tree, range_.first, range_.last):
                break
        if self._prefix:
            return before + self._skipped(snapshot)
        return min(snapshot.state.rows[self._tree], before + self._options.skip)

    def _skipped(self, snapshot: IndexSnapshot) -> int:
        # In a partition only rows that are there count as skipped.
        if not self._options.skip:
            return 0
        rows = sum(count_rows(snapshot, self._tree, each.first, each.last) for each in self._ranges)
        return min(self._options.skip, rows)

    def _before(self, snapshot: IndexSnapshot, range_: RowRange) -> int:
        if range_.descending:
            return count_rows(snapshot, self._tree, range_.last, LAST)
        return count_rows(snapshot, self._tree, FIRST, range_.first)

    def _ordered(self) -> list[RowRange]:
        # CouchDB goes through the keys of a map view backwards when descending.
        return self._ranges[::-1] if self._options.descending else self._ranges

    async def _rows(self, snapshot: IndexSnapshot) -> AsyncGenerator[list[bytes], None]:
        options = self._options
        documents = DocumentTexts(self._database, options) if options.include_docs else None
        for batch in batches(snapshot, self._tree, self._ordered(), options.skip, options.limit):
            if documents is None:
                yield map_rows(batch)
            else:
                for rows in map_rows_with(batch, documents):
                    yield rows

    async def _groups(self, snapshot: IndexSnapshot) -> AsyncGenerator[list[bytes], None]:
        skip, limit = self._options.skip, self._options.limit
        chunk: list[bytes] = []
        if limit <= 0:
            return
        async with contextlib.aclosing(self._all_groups(snapshot)) as groups:
            async for group in groups:
                if skip:
                    skip -= 1
                    continue
                chunk.append(group_row(group, self._context))
                limit -= 1
                if len(chunk) == SIZE:
                    yield chunk
                    chunk = []
                if limit == 0:
                    break
        if chunk:
            yield chunk

    async def _all_groups(self, snapshot: IndexSnapshot) -> AsyncGenerator[Group, None]:
        assert self._function is not None
        for range_ in self._ranges:
            if self._options.level == 0:
                outcome = await reduce_range(snapshot, self._tree, range_, self._function)
                if outcome is not None:
                    yield Group(b"null", outcome)
                continue
            grouping = Grouping(self._options.level, self._raw, len(self._prefix))
            groups = reduce_groups(snapshot, self._tree, range_, self._function, grouping)
            async with contextlib.aclosing(groups):
                async for group in groups:
                    yield group


def _check_partition(definition: Definition, options: ViewOptions) -> None:
    if options.partition is not None:
        check_partition(options.partition)
    if definition.partitioned and options.partition is None:
        raise query_parse_error("`partition` parameter is mandatory for queries to this view.")
    if not definition.partitioned and options.partition is not None:
        raise query_parse_error("`partition` parameter is not supported in this design doc")
