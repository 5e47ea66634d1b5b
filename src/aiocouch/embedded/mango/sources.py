"""What a query reads: documents by id, or the rows of an index, in chunks that grow."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, Any, NamedTuple

from aiocouch.embedded.codec import encode
from aiocouch.embedded.collation import sort_key
from aiocouch.embedded.mango.bookmark import read_bookmark
from aiocouch.embedded.mango.ranges import MAX, end_key, start_key
from aiocouch.embedded.partitioning import partition_range
from aiocouch.embedded.store.records import Entry
from aiocouch.embedded.views.tables import LAST_NUMBER

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable, Iterator, Sequence

    from aiocouch.embedded.mango.options import FindOptions
    from aiocouch.embedded.mango.ranges import Range
    from aiocouch.embedded.store.database import Database
    from aiocouch.embedded.views.index import Index
    from aiocouch.embedded.views.tables import IndexRow, Place

__all__ = ["SourceRow", "id_chunks", "index_chunks"]

_FIRST_CHUNK = 50
_LARGEST_CHUNK = 500
_DOCS = "SELECT seq, id, rev, deleted, body, attachments, tree FROM docs"


class SourceRow(NamedTuple):
    """A row to look at: its document's id, its key as JSON text, and the document, if wanted."""

    id: str
    key: bytes
    entry: Entry | None


def _sizes() -> Iterator[int]:
    size = _FIRST_CHUNK
    while True:
        yield size
        size = min(4 * size, _LARGEST_CHUNK)


# --- Documents by id


class _Bounds(NamedTuple):
    """Ids: `low < id` or `low <= id` as `low_open` says, the same at the other end."""

    low: str
    low_open: bool
    high: str | None
    high_open: bool


def id_chunks(
    database: Database, ranges: Sequence[Range], options: FindOptions
) -> Generator[list[SourceRow], None, None]:
    """Give all documents whose ids are in the range, design documents too."""
    bounds = _id_bounds(ranges[0], options)
    for size in _sizes():
        entries = _read_ids(database, bounds, size, descending=options.descending)
        if not entries:
            return
        yield [SourceRow(entry.id, encode(entry.id), entry) for entry in entries]
        bounds = _behind(bounds, entries[-1].id, descending=options.descending)


def _id_bounds(wanted: Range, options: FindOptions) -> _Bounds:
    # All that is not a string sorts before the ids.
    low = wanted.low if isinstance(wanted.low, str) else ""
    high = wanted.high if isinstance(wanted.high, str) else ""
    bounds = _Bounds(low, False, None if wanted.high is MAX else high, False)
    if options.partition:
        bounds = _within_partition(bounds, options.partition)
    if options.bookmark is not None:
        bounds = _behind(bounds, read_bookmark(options.bookmark)[1], options.descending)
    return bounds


def _within_partition(bounds: _Bounds, partition: str) -> _Bounds:
    low, high = partition_range(partition)
    if bounds.low < low:
        bounds = bounds._replace(low=low)
    if bounds.high is None or bounds.high >= high:
        bounds = bounds._replace(high=high, high_open=True)
    return bounds


def _behind(bounds: _Bounds, doc_id: str, descending: bool) -> _Bounds:
    if descending:
        return bounds._replace(high=doc_id, high_open=True)
    return bounds._replace(low=doc_id, low_open=True)


def _read_ids(database: Database, bounds: _Bounds, limit: int, *, descending: bool) -> list[Entry]:
    above = ">" if bounds.low_open else ">="
    where, values = f"NOT deleted AND id {above} ?", [bounds.low]
    if bounds.high is not None:
        where += f" AND id {'<' if bounds.high_open else '<='} ?"
        values.append(bounds.high)
    order = "DESC" if descending else "ASC"
    rows = database.reader.execute(
        f"{_DOCS} WHERE {where} ORDER BY id {order} LIMIT {limit}", values
    ).fetchall()
    return list(map(Entry._make, rows))


# --- Rows of an index


def index_chunks(
    database: Database,
    index: Index,
    tree: int,
    ranges: Sequence[Range],
    options: FindOptions,
    *,
    with_documents: bool,
) -> Generator[list[SourceRow], None, None]:
    """Give the rows of an index that are in the ranges of its columns."""
    first, last = _places(ranges, options)
    with index.snapshot() as snapshot:
        batches = snapshot.rows(tree, first, last, descending=options.descending)
        for portion in _portions(batches):
            entries = database.get_many([row.id for row in portion]) if with_documents else {}
            yield [SourceRow(row.id, row.json, entries.get(row.id)) for row in portion]


def _places(ranges: Sequence[Range], options: FindOptions) -> tuple[Place, Place]:
    prefix = sort_key(options.partition) if options.partition else b""
    first: Place = (prefix + sort_key(start_key(ranges)), "", 0)
    last: Place = (prefix + _end(end_key(ranges)), "", 0)
    if options.bookmark is not None:
        key, doc_id = read_bookmark(options.bookmark)
        here = prefix + sort_key(key)
        if options.descending:
            last = (here, doc_id, 0)
        else:
            first = (here, doc_id, LAST_NUMBER)
    return first, last


def _end(key: Sequence[Any]) -> bytes:
    """Give the place behind all arrays that begin so; the key ends with MAX."""
    return sort_key(list(key[:-1]))[:-1] + MAX.key


def _portions(batches: Iterable[list[IndexRow]]) -> Iterator[list[IndexRow]]:
    sizes = _sizes()
    for batch in batches:
        rows = iter(batch)
        while portion := list(islice(rows, next(sizes))):
            yield portion
