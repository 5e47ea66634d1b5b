"""Running a query: rows of an index or documents by id, matched and written out one by one.

    async for piece in run(database, plan, options, index): ...

gives the answer of `_find` in pieces of bytes. Rows are read in chunks that grow, others run in
between, and nothing is held but the chunk. What is wrong with the query shows before the first
piece.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from aiocouch._wire.revision import format_revision
from aiocouch.embedded.codec import decode, encode
from aiocouch.embedded.mango.bookmark import NOTHING, write_bookmark
from aiocouch.embedded.mango.definition import design_id
from aiocouch.embedded.mango.fields import projection, set_field
from aiocouch.embedded.mango.planning import required_fields, was_named
from aiocouch.embedded.mango.ranges import EMPTY
from aiocouch.embedded.mango.sources import id_chunks, index_chunks
from aiocouch.embedded.selectors.match import compile_selector
from aiocouch.embedded.selectors.selector import parse_field
from aiocouch.embedded.store.records import render

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Generator, Iterator

    from aiocouch.embedded.mango.definition import JsonIndex
    from aiocouch.embedded.mango.options import FindOptions
    from aiocouch.embedded.mango.planning import Plan
    from aiocouch.embedded.mango.sources import SourceRow
    from aiocouch.embedded.store.database import Database
    from aiocouch.embedded.store.records import Entry
    from aiocouch.embedded.views.index import Index

__all__ = ["OpenIndex", "covers", "run"]

_NO_INDEX = "No matching index found, create an index to optimize query time."
_SCAN = (
    "The number of documents examined is high in proportion to the number of results returned."
    " Consider adding a more specific index to improve this."
)
_SCAN_THRESHOLD = 10


@dataclass(frozen=True, slots=True)
class OpenIndex:
    """The rows of the index that a plan has chosen: `tree` of an index that is up to date."""

    index: Index
    tree: int


@dataclass(slots=True)
class ExecutionStatistics:
    """What `execution_stats` tells."""

    total_keys_examined: int = 0
    total_docs_examined: int = 0
    total_quorum_docs_examined: int = 0
    results_returned: int = 0
    execution_time_ms: float = 0.0


def covers(index: JsonIndex, options: FindOptions) -> bool:
    """Return whether an index holds all that the query wants to see."""
    needed = required_fields(options.fields, options.selector)
    return needed is not None and not index.is_special and needed <= {"_id", *index.columns}


async def run(
    database: Database,
    plan: Plan,
    options: FindOptions,
    opened: OpenIndex | None,
    scan_threshold: int = _SCAN_THRESHOLD,
) -> AsyncIterator[bytes]:
    """Yield the answer in pieces. `opened` None: the documents by id."""
    if plan.ranges == [EMPTY] or plan.index is None:
        yield b'{"docs":[\r\n]}\r\n\n'
        return
    begun = time.perf_counter()
    query = _Query(plan.index, options)
    mark = b'{"docs":[\r\n'
    with contextlib.closing(_chunks(database, plan, options, opened, query)) as chunks:
        for chunk in chunks:
            found = [text for row in chunk if (text := query.offer(row)) is not None]
            if found:
                yield mark + b",\r\n".join(found)
                mark = b",\r\n"
            if query.is_done:
                break
            await asyncio.sleep(0)
    query.finish(begun)
    start = b"\r\n]" if query.statistics.results_returned else mark + b"]"
    yield start + b"".join(_tail(query, scan_threshold)) + b"}\r\n\n"


def _chunks(
    database: Database,
    plan: Plan,
    options: FindOptions,
    opened: OpenIndex | None,
    query: _Query,
) -> Generator[list[SourceRow], None, None]:
    if opened is None:
        return id_chunks(database, plan.ranges, options)
    return index_chunks(
        database,
        opened.index,
        opened.tree,
        plan.ranges,
        options,
        with_documents=not query.covered,
    )


def _tail(query: _Query, scan_threshold: int) -> Iterator[bytes]:
    yield b',\r\n"bookmark": ' + encode(query.bookmark)
    if query.options.execution_stats:
        yield b',\r\n"execution_stats": ' + encode(asdict(query.statistics))
    warnings = list(_warnings(query, scan_threshold))
    if warnings:
        yield b',\r\n"warning": ' + encode("\n".join(warnings))


def _warnings(query: _Query, scan_threshold: int) -> Iterator[str]:
    use_index = query.options.use_index
    if use_index and not was_named(query.index, use_index):
        name = ", ".join((design_id(use_index[0]), *use_index[1:]))
        why = "it is not" if len(use_index) > 1 else "it does not contain"
        yield f"{name} was not used because {why} a valid index for this query."
    if query.index.is_special:
        yield _NO_INDEX
    numbers = query.statistics
    examined = numbers.total_docs_examined + numbers.total_quorum_docs_examined
    if 0 < scan_threshold < examined / max(numbers.results_returned, 1):
        yield _SCAN


class _Query:
    """Looks at rows one by one: counts, matches, skips, stops."""

    def __init__(self, index: JsonIndex, options: FindOptions) -> None:
        self.index = index
        self.options = options
        self.covered = covers(index, options)
        self.statistics = ExecutionStatistics()
        self.bookmark = NOTHING if options.bookmark is None else options.bookmark
        self.is_done = False
        self._matches = compile_selector(options.selector)
        self._project = None if options.fields is None else projection(options.fields)
        self._columns = [parse_field(column) for column in index.columns]
        self._last: tuple[bytes, str] | None = None
        self._skip = options.skip
        self._left = options.limit
        self._keys = self._docs = 0

    def offer(self, row: SourceRow) -> bytes | None:
        """Return the text of a row's document if it is to be sent."""
        if self.is_done:
            return None
        design = self.index.is_special and row.id.startswith("_design/")
        if design and self.options.r > 1:
            return None
        document, text = self._document(row)
        self._count(document)
        if document is None or not self._matches(document):
            return None
        if design:
            # CouchDB forgets what it had counted up to here.
            self._keys = self._docs = 0
            return None
        self._settle()
        return self._taken(row, document, text)

    def _document(self, row: SourceRow) -> tuple[dict[str, Any] | None, bytes]:
        if self.covered:
            return self._from_index(row), b""
        if row.entry is None or row.entry.deleted:
            return None, b""
        text = render(row.entry, self._extra(row.entry))
        return decode(text), text

    def _extra(self, entry: Entry) -> list[tuple[str, Any]]:
        if not self.options.conflicts or entry.has_one_leaf:
            return []
        conflicts = [format_revision(node.rev) for node in entry.tree.conflicts]
        return [("_conflicts", conflicts)] if conflicts else []

    def _from_index(self, row: SourceRow) -> dict[str, Any]:
        document: dict[str, Any] = {}
        for path, value in zip(self._columns, decode(row.key), strict=True):
            set_field(document, path, value)
        document["_id"] = row.id
        return document

    def _count(self, document: dict[str, Any] | None) -> None:
        self._keys += 1
        if document is None or self.covered:
            return
        if self.options.r > 1:
            self.statistics.total_quorum_docs_examined += 1
        else:
            self._docs += 1

    def _settle(self) -> None:
        self.statistics.total_keys_examined += self._keys
        self.statistics.total_docs_examined += self._docs
        self._keys = self._docs = 0

    def _taken(self, row: SourceRow, document: dict[str, Any], text: bytes) -> bytes | None:
        if self._left:
            self._last = (row.key, row.id)
        if self._skip:
            self._skip -= 1
            return None
        if not self._left:
            self.is_done = True
            return None
        self._left -= 1
        self.statistics.results_returned += 1
        return text if self._project is None else encode(self._project(document))

    def finish(self, begun: float) -> None:
        """Close the books; `begun` is when the query began by the performance counter."""
        if not self.is_done:
            self._settle()
        if self._last is not None:
            self.bookmark = write_bookmark(*self._last)
        elapsed = (time.perf_counter() - begun) * 1000
        self.statistics.execution_time_ms = round(elapsed, 3)
