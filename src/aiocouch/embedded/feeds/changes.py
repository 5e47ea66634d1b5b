"""The changes of a database: which rows, how they look, and what is pending after them.

A pass goes once over the changes after a sequence and stops where Apache CouchDB's coordinator
would stop, so that `last_seq` and `pending` come out the same: when the limit is reached it still
takes in one more change, and moves on if that one does not pass the filter.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, NamedTuple, Protocol

import msgspec

from aiocouch._wire.revision import format_revision, parse_revision
from aiocouch.embedded.codec import encode_text
from aiocouch.embedded.store.database import CHUNK
from aiocouch.embedded.store.records import Revision, render

if TYPE_CHECKING:
    from collections.abc import (
        AsyncGenerator,
        Awaitable,
        Callable,
        Hashable,
        Iterable,
        Iterator,
        Sequence,
    )

    from aiocouch.embedded.store.database import Database
    from aiocouch.embedded.store.records import Entry
    from aiocouch.embedded.store.snapshots import Snapshot

MAIN_ONLY = "main_only"
ALL_LEAVES = "all_docs"

_FIRST_CHUNK = 100
_CHUNK_BYTES = 4 << 20

NO_LIMIT = 10**15
"""CouchDB's idea of no limit. Which rows get a sequence with `seq_interval` depends on it."""


class Leaf(NamedTuple):
    """A revision that a row may list; `revision` is None when its body is gone."""

    rev: str
    revision: Revision | None
    entry: Entry

    def text(self) -> bytes:
        """Return the document as a selector sees it."""
        return b"{}" if self.revision is None else render(self.revision)

    def text_with_revisions(self) -> bytes:
        """Return the document as a filter function sees it."""
        if self.revision is None:
            return b"{}"
        path = self.entry.tree.ancestry(parse_revision(self.rev))
        ids = [format_revision(node.rev).partition("-")[2] for node in path]
        revisions = {"start": path[0].rev[0], "ids": ids}
        return render(self.revision, [("_revisions", revisions)])


class Filter(Protocol):
    """Decides which leaves of a change are listed."""

    @property
    def key(self) -> Hashable:
        """What two filters have in common that decide alike."""
        ...

    @property
    def is_slow(self) -> bool:
        """Whether it may take so long that a feed has to show signs of life meanwhile."""
        ...

    def ids(self, database: Database) -> Sequence[str] | None:
        """Return the documents to look at, None for all."""
        ...

    def wants(self, doc_id: str) -> bool:
        """Return whether a document can pass at all; asked first, so it must be quick."""
        ...

    async def keep(self, leaves: Sequence[Leaf]) -> Sequence[bool]:
        """Say for each leaf whether it passes."""
        ...


class Everything:
    """The filter that keeps all."""

    key: Hashable = "everything"
    is_slow = False

    def ids(self, database: Database) -> Sequence[str] | None:
        """Look at all documents."""
        del database
        return None

    def wants(self, doc_id: str) -> bool:
        """Return True: any document passes."""
        del doc_id
        return True

    async def keep(self, leaves: Sequence[Leaf]) -> Sequence[bool]:
        """Keep all leaves."""
        return [True] * len(leaves)


class Cursor(msgspec.Struct):
    """Where a feed stands: what the next pass starts after, and what a feed's end tells."""

    last: int
    limit: int = NO_LIMIT
    pending: int | None = None
    sent: int = 0
    seen: int = 0
    """The database's sequence when the latest pass began: what is newer is news."""


class Feed(msgspec.Struct, frozen=True):
    """What rows show, and in which order they come."""

    filter: Filter
    style: str = MAIN_ONLY
    descending: bool = False
    seq_interval: int = 1
    document: Callable[[Entry], Awaitable[bytes]] | None = None
    """Gives the text of a row's document for `include_docs`."""
    shown: Hashable = None
    """What two feeds have in common whose `document` gives the same text."""

    @property
    def key(self) -> Hashable:
        """What two feeds have in common whose rows are the same."""
        return self.filter.key, self.style, self.shown


class ChangeRow(NamedTuple):
    """One row: its sequence as JSON text (`null` where `seq_interval` skips it), and its text."""

    seq: bytes
    text: bytes


async def walk(
    database: Database, feed: Feed, cursor: Cursor
) -> AsyncGenerator[list[ChangeRow], None]:
    """Go over the changes after `cursor.last` once, and leave `cursor` where CouchDB would.

    Rows come in lists, one for each chunk read. They are those of one moment, whatever is written
    meanwhile.
    """
    with database.snapshots.open() as snapshot:
        since = _begin(feed, cursor, snapshot.until)
        left = await database.behind.after(snapshot, since)
        for entries in _chunks(database, snapshot, feed, since, cursor.limit):
            rows: list[ChangeRow] = []
            for entry, leaves in await _listed(database, feed, entries):
                left -= 1
                if cursor.limit <= 0:
                    _stop(cursor, entry, leaves, left)
                    yield rows
                    return
                cursor.last = entry.seq
                if leaves:
                    rows.append(await _row(database, feed, cursor, entry, leaves))
                    cursor.pending = left
                    cursor.limit -= 1
                    cursor.sent += 1
            yield rows
            await asyncio.sleep(0)
        _complete(feed, cursor, snapshot.until, left)


def _begin(feed: Feed, cursor: Cursor, until: int) -> int:
    """Return the sequence after which a pass looks for changes."""
    cursor.seen = until
    if not feed.descending:
        return cursor.last
    cursor.last = until
    return 0


def _stop(cursor: Cursor, entry: Entry, leaves: Sequence[Leaf], left: int) -> None:
    """Take in the one change that still arrives after the limit was reached."""
    if not leaves:
        cursor.last = entry.seq
    if cursor.pending is None:
        cursor.pending = left + bool(leaves)


def _complete(feed: Feed, cursor: Cursor, until: int, left: int) -> None:
    if cursor.limit > 0:
        if not feed.descending:
            cursor.last = max(until, cursor.last)
        cursor.pending = left
    elif cursor.pending is None:
        cursor.pending = left


def _chunks(
    database: Database, snapshot: Snapshot, feed: Feed, since: int, limit: int
) -> Iterator[list[Entry]]:
    ids = feed.filter.ids(database)
    if ids is not None:
        yield _chosen(snapshot, ids, since, descending=feed.descending)
        return
    place = snapshot.until + 1 if feed.descending else since
    # A small limit is likely to need a small chunk; a filter may need many, so they grow.
    size = min(_FIRST_CHUNK, max(limit, 0) + 1)
    while True:
        entries = (
            snapshot.changes_back(place, since, size)
            if feed.descending
            else snapshot.changes(place, size)
        )
        if entries:
            yield entries
            place = entries[-1].seq
        if len(entries) < size:
            return
        size = _next_size(entries)


def _next_size(entries: Sequence[Entry]) -> int:
    """Return the size of the next chunk: more than this one, but no more than some megabytes."""
    average = sum(len(entry.body) for entry in entries) // len(entries) + 1
    return max(min(CHUNK, len(entries) * 4, _CHUNK_BYTES // average), 1)


def _chosen(snapshot: Snapshot, ids: Sequence[str], since: int, *, descending: bool) -> list[Entry]:
    found = snapshot.get_many(ids)
    # An id that is named twice is listed twice, as CouchDB does.
    named = [found[doc_id] for doc_id in ids if doc_id in found]
    entries = [entry for entry in named if since < entry.seq]
    return sorted(entries, key=_sequence, reverse=descending)


def _sequence(entry: Entry) -> int:
    return entry.seq


async def _listed(
    database: Database, feed: Feed, entries: Iterable[Entry]
) -> list[tuple[Entry, list[Leaf]]]:
    """Pair each change with those of its leaves that pass the filter."""
    pairs = [
        (entry, leaves_of(database, entry, feed.style) if feed.filter.wants(entry.id) else [])
        for entry in entries
    ]
    asked = [leaf for _, leaves in pairs for leaf in leaves]
    answers = iter(await feed.filter.keep(asked))
    return [(entry, [leaf for leaf in leaves if next(answers)]) for entry, leaves in pairs]


def leaves_of(database: Database, entry: Entry, style: str) -> list[Leaf]:
    """Return the revisions that a row of this style lists, the winner first."""
    if style != ALL_LEAVES or entry.has_one_leaf:
        return [Leaf(entry.rev, entry.winner, entry)]
    return [
        Leaf(format_revision(node.rev), database.at(entry, node.pointer), entry)
        for node in entry.tree.ranked_leaves
    ]


async def _row(
    database: Database, feed: Feed, cursor: Cursor, entry: Entry, leaves: Sequence[Leaf]
) -> ChangeRow:
    shown = cursor.limit % feed.seq_interval == 0
    row = _plain_row(database, entry, leaves, shown=shown)
    if feed.document is None:
        return row
    return ChangeRow(row.seq, row.text[:-1] + b',"doc":' + await feed.document(entry) + b"}")


def _plain_row(
    database: Database, entry: Entry, leaves: Sequence[Leaf], *, shown: bool = True
) -> ChangeRow:
    seq = encode_text(database.sequence(entry.seq)) if shown else b"null"
    revs = b",".join(b'{"rev":"%b"}' % leaf.rev.encode() for leaf in leaves)
    text = b'{"seq":%b,"id":%b,"changes":[%b]' % (seq, encode_text(entry.id), revs)
    if entry.deleted:
        text += b',"deleted":true'
    return ChangeRow(seq, text + b"}")


def is_endless(feed: Feed, cursor: Cursor) -> bool:
    """Return whether a feed may get its rows together with others, one change after the other."""
    return feed.seq_interval == 1 and not feed.descending and cursor.limit > NO_LIMIT // 2


def is_plain(feed: Feed) -> bool:
    """Return whether the rows of an endless feed are those of `plain_rows`."""
    return isinstance(feed.filter, Everything) and feed.document is None


async def shared_rows(database: Database, feed: Feed, since: int) -> tuple[list[ChangeRow], int]:
    """Return the rows of the next changes after `since`, and the sequence up to which they are all."""
    until = database.update_seq
    entries = database.changes(since, until, _FIRST_CHUNK + 1)
    if len(entries) > _FIRST_CHUNK:
        entries.pop()
        until = entries[-1].seq
    listed = await _listed(database, feed, entries)
    cursor = Cursor(since)
    return [
        await _row(database, feed, cursor, entry, leaves) for entry, leaves in listed if leaves
    ], until


def plain_rows(database: Database, since: int, until: int, style: str) -> list[ChangeRow] | None:
    """Return the rows of all changes after `since` up to `until`; None where they are many."""
    entries = database.changes(since, until, _FIRST_CHUNK + 1)
    if len(entries) > _FIRST_CHUNK:
        return None
    return [_plain_row(database, entry, leaves_of(database, entry, style)) for entry in entries]
