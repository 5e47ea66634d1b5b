"""View rows as JSON text, in pieces, with their documents where they are asked for."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, NamedTuple

from aiocouch._wire.revision import format_revision, parse_revision
from aiocouch.embedded.codec import decode, encode, encode_text
from aiocouch.embedded.errors import CouchError
from aiocouch.embedded.store.attachment_texts import Shown, members_text
from aiocouch.embedded.store.records import render
from aiocouch.embedded.views.tables import Pace

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Iterator, Sequence

    from aiocouch._wire.revision import Rev
    from aiocouch.embedded.store.database import Database
    from aiocouch.embedded.store.records import Entry, Revision
    from aiocouch.embedded.views.grouping import Group, RowRange
    from aiocouch.embedded.views.options import ViewOptions
    from aiocouch.embedded.views.tables import IndexRow, IndexSnapshot


class _Link(NamedTuple):
    """Which document belongs to a row: None for none. `foreign`: its value names it."""

    id: str | None
    rev: Rev | None = None
    foreign: bool = False


class DocumentTexts:
    """Gives the member `doc` of rows: their own documents, or those that their values link to.

    As in CouchDB the options about documents are for their own ones.
    """

    def __init__(self, database: Database, options: ViewOptions) -> None:
        self._database = database
        self._conflicts = options.conflicts
        self.pace = Pace()
        self._shown: Shown | None = None
        if options.attachments or options.att_encoding_info:
            self._shown = Shown(options.attachments, encoding_info=options.att_encoding_info)

    def of(self, rows: Sequence[IndexRow]) -> Iterator[bytes]:
        """Return the text of the document of each row, `null` where there is none."""
        links = [_link(row) for row in rows]
        entries = self._database.get_many({link.id for link in links if link.id is not None})
        return (self._text(entries.get(link.id or ""), link) for link in links)

    def _text(self, entry: Entry | None, link: _Link) -> bytes:
        record: Entry | Revision | None = entry
        if entry is not None and link.rev is not None:
            record = self._database.revision(entry, link.rev)
        if entry is None or record is None or (link.rev is None and entry.deleted):
            return b"null"
        if link.foreign:
            return render(record)
        return self._render(record, [] if link.rev is not None else self._members(entry))

    def _members(self, entry: Entry) -> list[tuple[str, object]]:
        if not self._conflicts or entry.has_one_leaf:
            return []
        conflicts = [format_revision(node.rev) for node in entry.tree.conflicts]
        return [("_conflicts", conflicts)] if conflicts else []

    def _render(self, record: Entry | Revision, members: list[tuple[str, object]]) -> bytes:
        if self._shown is None or record.attachments is None:
            return render(record, members)
        shown = members_text(self._database.reader, record.attachments, self._shown)
        return render(record, members, shown)


def _link(row: IndexRow) -> _Link:
    if not row.value.startswith(b"{") or not (b'"_id"' in row.value or b'"_rev"' in row.value):
        return _Link(row.id)
    value = decode(row.value)
    text = value.get("_rev")
    rev = _revision(text) if isinstance(text, str) else None
    if "_id" not in value:
        return _Link(row.id, rev)
    id_ = value["_id"]
    return _Link(id_ if isinstance(id_, str) else None, rev, foreign=True)


def _revision(text: str) -> Rev:
    try:
        return parse_revision(text)
    except ValueError:
        # the name is CouchDB's; its reason is a trace
        raise CouchError(400, "Invalid rev format", text) from None


def map_rows(batch: Sequence[IndexRow]) -> list[bytes]:
    """Return rows of a map view as JSON texts."""
    return [
        b'{"id":%b,"key":%b,"value":%b}' % (encode_text(row.id), row.json, row.value)
        for row in batch
    ]


def map_rows_with(batch: Sequence[IndexRow], documents: DocumentTexts) -> Iterator[list[bytes]]:
    """Yield rows of a map view with their documents, in portions of bounded size."""
    start = 0
    while start < len(batch):
        some = batch[start : start + documents.pace.size]
        start += len(some)
        rows = [
            b'{"id":%b,"key":%b,"value":%b,"doc":%b}'
            % (encode_text(row.id), row.json, row.value, text)
            for row, text in zip(some, documents.of(some), strict=True)
        ]
        documents.pace.took(sum(map(len, rows)))
        yield rows


def group_row(group: Group, context: str = "") -> bytes:
    """Return a reduced row as JSON text; `context` says which view it is of."""
    value, overflow = group.outcome
    if overflow is None:
        return b'{"key":%b,"value":%b}' % (group.key, value)
    reason = encode(overflow + context)
    return b'{"key":null,"error":"reduce_overflow_error","reason":%b}' % reason


def batches(
    snapshot: IndexSnapshot, tree: int, ranges: Sequence[RowRange], skip: int, limit: int
) -> Iterator[Sequence[IndexRow]]:
    """Yield the rows of ranges, one after the other, without the first `skip`, `limit` at most."""
    for range_ in ranges:
        if limit <= 0:
            return
        given = 0
        for batch in snapshot.rows(
            tree,
            range_.first,
            range_.last,
            descending=range_.descending,
            skip=skip,
            limit=limit,
        ):
            given += len(batch)
            yield batch
        limit -= given
        if skip and len(ranges) > 1:
            skip = 0 if given else max(0, skip - snapshot.count(tree, range_.first, range_.last))


async def joined(
    head: bytes, chunks: AsyncGenerator[list[bytes], None], tail: bytes
) -> AsyncGenerator[bytes, None]:
    """Put rows between head and tail, one row a line, in pieces as they come.

    Where it is left, `chunks` end at once: they read what is closed next.
    """
    between = head
    async with contextlib.aclosing(chunks):
        async for chunk in chunks:
            yield between + b",\r\n".join(chunk)
            between = b",\r\n"
            await asyncio.sleep(0)
    yield (head if between is head else b"") + tail
