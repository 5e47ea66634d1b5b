"""What a query reads: documents by id, or the rows of an index, in chunks that grow."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, Any, NamedTuple

from msgspec.structs import replace

from aiocouch.embedded.codec import encode_text
from aiocouch.embedded.collation.collation import sort_key
from aiocouch.embedded.documents.partitions import partition_range
from aiocouch.embedded.mango.bookmark import read_bookmark
from aiocouch.embedded.mango.ranges import MAX, end_key, start_key
from aiocouch.embedded.store.spans import Span, entries
from aiocouch.embedded.views.tables import LAST_NUMBER

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable, Iterator, Sequence

    from aiocouch.embedded.mango.options import FindOptions
    from aiocouch.embedded.mango.ranges import ValueRange
    from aiocouch.embedded.store.database import Database
    from aiocouch.embedded.store.records import Entry
    from aiocouch.embedded.views.index import Index
    from aiocouch.embedded.views.tables import IndexRow, Place

__all__ = ["SourceRow", "id_chunks", "index_chunks"]

_FIRST_CHUNK = 50
_LARGEST_CHUNK = 500


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


def id_chunks(
    database: Database, ranges: Sequence[ValueRange], options: FindOptions
) -> Generator[list[SourceRow], None, None]:
    """Yield all documents whose ids are in the range, design documents too."""
    span = _id_span(ranges[0], options)
    for size in _sizes():
        found = entries(database.reader, span, size)
        if not found:
            return
        yield [SourceRow(entry.id, encode_text(entry.id), entry) for entry in found]
        span = span.after(found[-1].id)


def _id_span(wanted: ValueRange, options: FindOptions) -> Span:
    # All that is not a string sorts before the ids.
    low = wanted.low if isinstance(wanted.low, str) else ""
    high = wanted.high if isinstance(wanted.high, str) else ""
    span = Span(low, None if wanted.high is MAX else high, options.descending)
    if options.partition:
        span = _within_partition(span, options.partition)
    if options.bookmark is not None:
        span = span.after(read_bookmark(options.bookmark)[1])
    return span


def _within_partition(span: Span, partition: str) -> Span:
    low, high = partition_range(partition)
    if span.low is None or span.low < low:
        span = replace(span, low=low)
    if span.high is None or span.high >= high:
        span = replace(span, high=high, high_open=True)
    return span


# --- Rows of an index


def index_chunks(
    database: Database,
    index: Index,
    tree: int,
    ranges: Sequence[ValueRange],
    options: FindOptions,
    *,
    with_documents: bool,
) -> Generator[list[SourceRow], None, None]:
    """Yield the rows of an index that are in the ranges of its columns."""
    first, last = _places(ranges, options)
    with index.snapshot() as snapshot:
        batches = snapshot.rows(tree, first, last, descending=options.descending)
        for portion in _portions(batches):
            found = database.get_many([row.id for row in portion]) if with_documents else {}
            yield [SourceRow(row.id, row.json, found.get(row.id)) for row in portion]


def _places(ranges: Sequence[ValueRange], options: FindOptions) -> tuple[Place, Place]:
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
    """Return the place after all arrays that begin so; the key ends with MAX."""
    return sort_key(list(key[:-1]))[:-1] + MAX.key


def _portions(batches: Iterable[list[IndexRow]]) -> Iterator[list[IndexRow]]:
    sizes = _sizes()
    for batch in batches:
        rows = iter(batch)
        while portion := list(islice(rows, next(sizes))):
            yield portion
