"""An index that follows a database: built in chunks from the change sequence, never all at once.

One task at a time brings an index up to date; whoever needs it waits for that task. A mapper turns
documents into rows: JavaScript in worker processes for views, Python for Mango.
"""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
from collections import deque
from typing import TYPE_CHECKING, NamedTuple, Protocol

import msgspec
from msgspec.structs import replace

from aiocouch._wire.revision import format_revision
from aiocouch.embedded.errors import insufficient_storage, no_database
from aiocouch.embedded.store.records import render
from aiocouch.embedded.views.pages import Pages

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator, Sequence
    from contextlib import AbstractContextManager

    from aiocouch.embedded.javascript.protocol import Mapped
    from aiocouch.embedded.store.database import Database
    from aiocouch.embedded.store.records import Entry
    from aiocouch.embedded.store.snapshots import Snapshot
    from aiocouch.embedded.views.tables import IndexSnapshot, State, Tables

_BATCH = 400
_BATCH_ROWS = 2000
_BATCH_BYTES = 4 * 1024 * 1024
_AHEAD = 2
_BATCHES_A_COMMIT = 25
_LOG_LIMIT = 32 * 1024 * 1024


class Document(NamedTuple):
    """A document to be mapped: its id and its whole JSON text."""

    id: str
    text: bytes


class MapDocuments(Protocol):
    """Turns documents into rows, for each of them, in their order."""

    async def __call__(self, documents: Sequence[Document], /) -> Mapped:
        """Return the rows of all documents (`done` is their number)."""
        ...


class IndexProgress(Protocol):
    """Tells others how far a long update is."""

    def __call__(self, changes: int, /) -> AbstractContextManager[Callable[[int], None]]:
        """Begin; the function takes how many of the changes are done."""
        ...


class Options(msgspec.Struct, frozen=True):
    """Which documents go into an index and what is told of them.

    `include_design`: design documents as well. `local_seq`: with `_local_seq`.
    """

    include_design: bool = False
    local_seq: bool = False


class _Batch(msgspec.Struct):
    entries: list[Entry]
    documents: list[Document]
    mapped: asyncio.Task[Mapped] | None = None


class Index:
    """Rows of all trees of one mapper over one database.

    Wait for `refresh()`, then read from `snapshot()`.
    """

    def __init__(
        self,
        database: Database,
        tables: Tables,
        mapper: MapDocuments,
        options: Options | None = None,
        progress: IndexProgress | None = None,
    ) -> None:
        self._database = database
        self._progress = progress
        self._mapper = mapper
        self._options = options or Options()
        self._updating: asyncio.Task[None] | None = None
        self._writing = asyncio.Lock()
        self._pace = _BATCH
        self._fresh = False
        self._waiting = 0
        self.disk_is_full: Callable[[], bool] = lambda: False
        """Whether there is no room to bring it up to date."""
        self.tables = tables
        self.pages = Pages(tables)
        self.closed = False

    @property
    def state(self) -> State:
        """How far the index is."""
        return self.tables.state

    @property
    def is_updating(self) -> bool:
        """Whether the index is being brought up to date right now."""
        return self._updating is not None and not self._updating.done()

    @property
    def waiting(self) -> int:
        """How many requests wait for the index."""
        return self._waiting

    async def refresh(self) -> None:
        """Bring the index up to date with what is committed now, or wait until it is.

        Raise what the mapper raises (CouchError), 507 when it would have to grow on a full disk,
        and 404 when the database goes away.
        """
        target = self._database.update_seq, self._database.purge_seq
        self._waiting += 1
        try:
            while not self._reached(*target):
                if self.disk_is_full():
                    raise insufficient_storage("not enough room to update index")
                await self._share(self.start_refresh())
        finally:
            self._waiting -= 1

    async def _share(self, update: asyncio.Task[None]) -> None:
        try:
            await asyncio.shield(update)
        except asyncio.CancelledError:
            # Either the update was stopped, or the one who waits for it.
            if update.cancelled() and self.closed:
                raise no_database() from None
            raise
        except sqlite3.ProgrammingError:
            if self._database.closed:
                raise no_database() from None
            raise

    def _reached(self, seq: int, purge_seq: int) -> bool:
        if self.closed:
            raise no_database()
        state = self.state
        return seq <= state.seq <= self._database.update_seq and state.purge_seq >= purge_seq

    def start_refresh(self) -> asyncio.Task[None]:
        """Begin to bring the index up to date in the background; return the task that does it."""
        if self._updating is None or self._updating.done():
            self._updating = asyncio.create_task(self._update())
            self._updating.add_done_callback(_look_at)
        return self._updating

    def snapshot(self) -> AbstractContextManager[IndexSnapshot]:
        """Return the rows as they are now."""
        if self.closed or self._database.closed:
            raise no_database()
        return self.tables.snapshot()

    @contextlib.asynccontextmanager
    async def writing(self) -> AsyncIterator[None]:
        """Keep others from writing to the tables."""
        async with self._writing:
            if self.closed:
                raise no_database()
            yield

    async def close(self) -> None:
        """Stop the updater and close the tables."""
        if self.closed:
            return
        self.closed = True
        if self._updating is not None:
            self._updating.cancel()
            await asyncio.wait([self._updating])
        async with self._writing:
            self.tables.close()

    # bringing it up to date

    async def _update(self) -> None:
        async with self.writing():
            try:
                with self._database.snapshots.open() as snapshot:
                    await self._catch_up(snapshot)
            except BaseException:
                self.pages.look()
                raise
        await self._checkpoint()

    async def _catch_up(self, snapshot: Snapshot) -> None:
        if self.state.seq > snapshot.until or self._has_missed_purges():
            self._start_over()
        self._purge()
        await self._advance(snapshot)

    async def _advance(self, snapshot: Snapshot) -> None:
        since, until = self.state.seq, snapshot.until
        self._fresh = since == 0
        batches = self._mapped_batches(snapshot, since)
        try:
            async with contextlib.aclosing(batches):
                with self._reporting(until - since) as report:
                    while await self._take(batches, until):
                        report(self.state.seq - since)
        finally:
            self._fresh = False

    @contextlib.contextmanager
    def _reporting(self, changes: int) -> Iterator[Callable[[int], None]]:
        if self._progress is None or changes <= _BATCH:
            yield lambda _done: None
            return
        with self._progress(changes) as report:
            yield report

    async def _take(self, batches: AsyncIterator[tuple[_Batch, Mapped]], until: int) -> bool:
        """Put some batches into the index, in one transaction; False at the end."""
        with self.tables.transaction():
            for _ in range(_BATCHES_A_COMMIT):
                batch = await anext(batches, None)
                if batch is None:
                    self.tables.save_state(replace(self.state, seq=until))
                    return False
                self._apply(*batch)
                await asyncio.sleep(0)
        return True

    async def _mapped_batches(
        self, snapshot: Snapshot, since: int
    ) -> AsyncGenerator[tuple[_Batch, Mapped], None]:
        """Yield batches in order, while the next ones are being mapped."""
        ahead: deque[_Batch] = deque()
        reading = self._batches(snapshot, since)
        try:
            while True:
                while len(ahead) < _AHEAD and (batch := next(reading, None)) is not None:
                    ahead.append(self._start_mapping(batch))
                if not ahead:
                    return
                first = ahead[0]
                assert first.mapped is not None
                mapped = await first.mapped
                ahead.popleft()
                yield first, mapped
        finally:
            await _abandon(ahead)

    def _start_mapping(self, batch: _Batch) -> _Batch:
        batch.mapped = asyncio.create_task(self._map(batch.documents))
        return batch

    async def _map(self, documents: list[Document]) -> Mapped:
        return await self._mapper(documents)

    def _batches(self, snapshot: Snapshot, since: int) -> Iterator[_Batch]:
        limit = self._pace
        while entries := snapshot.changes(since, limit):
            since = entries[-1].seq
            yield self._batch(entries)
            size = sum(len(entry.body) for entry in entries)
            limit = max(1, min(self._pace, _BATCH_BYTES * len(entries) // max(size, 1)))

    def _batch(self, entries: list[Entry]) -> _Batch:
        wanted = [entry for entry in entries if self._wants(entry)]
        return _Batch(entries, [Document(entry.id, self._text(entry)) for entry in wanted])

    def _wants(self, entry: Entry) -> bool:
        if entry.deleted:
            return False
        return self._options.include_design or not entry.id.startswith("_design/")

    def _text(self, entry: Entry) -> bytes:
        if entry.tree_blob is None and not self._options.local_seq:
            return render(entry)
        return render(entry, extra_members(entry, local_seq=self._options.local_seq))

    def _apply(self, batch: _Batch, mapped: Mapped) -> None:
        """Replace the rows of the documents of a batch. Runs without a break."""
        tables = self.tables
        tables.spare_readers()
        rows = self._take_out([entry.id for entry in batch.entries])
        for tree, added in enumerate(mapped.rows):
            added.sort()
            tables.put_in(tree, added)
            rows[tree] += len(added)
            self.pages.touch(tree, added)
        self._set_pace(len(batch.entries), sum(map(len, mapped.rows)))
        ids = [document.id for document in batch.documents]
        tables.remember(zip(ids, mapped.references, strict=True))
        tables.save_state(replace(self.state, seq=batch.entries[-1].seq, rows=rows))

    def _set_pace(self, documents: int, rows: int) -> None:
        # A batch goes in without a break: few documents where each has many rows.
        self._pace = max(1, min(_BATCH, documents * _BATCH_ROWS // max(rows, 1)))

    def _take_out(self, ids: list[str]) -> list[int]:
        """Delete the rows of documents; return how many rows each tree has left."""
        tables = self.tables
        rows = list(self.state.rows)
        if self._fresh:
            # The first pass over the changes meets every document once.
            return rows
        found = dict(tables.places(ids))
        for tree in range(tables.trees):
            keys = {(key, id_) for id_, places in found.items() for at, key in places if at == tree}
            if keys:
                rows[tree] -= tables.take_out(tree, keys)
                self.pages.touch_all(tree, keys)
        tables.forget(list(found))
        return rows

    # what else may have happened

    def _has_missed_purges(self) -> bool:
        purge_seq = self.state.purge_seq
        if self.state.seq == 0 or purge_seq == self._database.purge_seq:
            return False
        (oldest,) = self._database.reader.execute("SELECT min(seq) FROM purges").fetchone()
        return oldest is None or oldest > purge_seq + 1

    def _purge(self) -> None:
        """Take out documents that were purged; what is left of them comes in as a change."""
        state = self.state
        purge_seq = self._database.purge_seq
        if state.purge_seq == purge_seq:
            return
        with self.tables.transaction():
            purged = self._database.reader.execute(
                "SELECT DISTINCT id FROM purges WHERE seq > ?", (state.purge_seq,)
            ).fetchall()
            rows = self._take_out([id_ for (id_,) in purged])
            self.tables.save_state(replace(state, purge_seq=purge_seq, rows=rows))

    def _start_over(self) -> None:
        self.tables.clear()
        self.pages.forget()

    async def _checkpoint(self) -> None:
        if self.tables.log_size() > _LOG_LIMIT:
            await asyncio.to_thread(self.tables.checkpoint)


def extra_members(entry: Entry, *, local_seq: bool = False) -> list[tuple[str, object]]:
    """Return what a map function sees besides the document: conflicts, and `_local_seq`."""
    members: list[tuple[str, object]] = []
    if not entry.has_one_leaf:
        tree = entry.tree
        for name, nodes in (
            ("_conflicts", tree.conflicts),
            ("_deleted_conflicts", tree.deleted_conflicts),
        ):
            if nodes:
                members.append((name, [format_revision(node.rev) for node in nodes]))
    if local_seq:
        members.append(("_local_seq", entry.seq))
    return members


async def _abandon(batches: deque[_Batch]) -> None:
    tasks = [batch.mapped for batch in batches if batch.mapped is not None]
    for task in tasks:
        task.cancel()
    if tasks:
        await asyncio.gather(*tasks, return_exceptions=True)


def _look_at(task: asyncio.Task[None]) -> None:
    # Whoever waits gets the error; a background refresh has nobody to tell.
    if not task.cancelled():
        task.exception()
