"""Walking over changes, against the plain idea of it."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from hypothesis import given, settings
from hypothesis import strategies as st

from aiocouch.embedded.feeds.changes import NO_LIMIT, Cursor, Everything, Feed, walk
from aiocouch.embedded.store.database import Database
from aiocouch.embedded.store.new_revisions import NewRevision, store
from aiocouch.embedded.store.schema import Origin

if TYPE_CHECKING:
    from collections.abc import Sequence

    from aiocouch.embedded.feeds.changes import Leaf


class Named(Everything):
    """Keeps the documents named, but looks at all."""

    def __init__(self, names: frozenset[str]) -> None:
        self._names = names

    def wants(self, doc_id: str) -> bool:
        return doc_id in self._names

    async def keep(self, leaves: Sequence[Leaf]) -> Sequence[bool]:
        return [True] * len(leaves)


async def database_of(writes: list[str]) -> Database:
    """Write documents in this order; each write is a new revision."""
    database = Database("x", None, None, Origin("0" * 32, partitioned=False))
    for number, name in enumerate(writes, 1):
        digest = number.to_bytes(16, "big")
        edit = NewRevision(name, ((1, digest),), False, b"{}", replicated=True)
        await database.write(partial(store, database, new=edit))
    return database


async def listed(database: Database, view: Feed, cursor: Cursor) -> list[int]:
    rows = [row async for part in walk(database, view, cursor) for row in part]
    return [int(row.seq.strip(b'"').partition(b"-")[0]) for row in rows]


names = st.sampled_from("abcdef")
writes = st.lists(names, max_size=25)
limits = st.integers(0, 8)
chosen = st.frozensets(names)


def latest(order: list[str]) -> dict[str, int]:
    """Give the sequence of each document's latest change."""
    return {name: number for number, name in enumerate(order, 1)}


@settings(max_examples=60, deadline=None)
@given(writes, chosen, st.booleans(), st.integers(0, 25))
async def test_a_pass_lists_what_changed_after_its_start(
    order: list[str], wanted: frozenset[str], descending: bool, since: int
) -> None:
    database = await database_of(order)
    start = min(since, len(order))
    after = 0 if descending else start
    expected = sorted(seq for name, seq in latest(order).items() if seq > after and name in wanted)
    view = Feed(Named(wanted), descending=descending)
    cursor = Cursor(start)
    assert await listed(database, view, cursor) == expected[:: -1 if descending else 1]
    assert cursor.pending == 0
    if not descending:
        assert cursor.last == len(order)
    await database.close()


@settings(max_examples=60, deadline=None)
@given(writes, limits)
async def test_going_on_from_where_a_limit_stopped_misses_nothing(
    order: list[str], limit: int
) -> None:
    database = await database_of(order)
    everything = sorted(latest(order).values())
    view = Feed(Everything())
    seen: list[int] = []
    last = 0
    for _ in range(len(everything) + 1):
        cursor = Cursor(last, limit + 1)
        seen += await listed(database, view, cursor)
        assert cursor.pending == len(everything) - len(seen)
        last = cursor.last
    assert seen == everything
    await database.close()


@settings(max_examples=60, deadline=None)
@given(writes, chosen, limits)
async def test_a_filter_and_a_limit_together_miss_nothing(
    order: list[str], wanted: frozenset[str], limit: int
) -> None:
    database = await database_of(order)
    expected = sorted(seq for name, seq in latest(order).items() if name in wanted)
    view = Feed(Named(wanted))
    seen: list[int] = []
    last = 0
    for _ in range(len(order) + 1):
        cursor = Cursor(last, limit + 1)
        seen += await listed(database, view, cursor)
        last = cursor.last
    assert seen == expected
    await database.close()


@settings(max_examples=30, deadline=None)
@given(writes, st.integers(1, 7))
async def test_seq_interval_only_hides_sequences(order: list[str], interval: int) -> None:
    database = await database_of(order)
    cursor = Cursor(0, NO_LIMIT)
    view = Feed(Everything(), seq_interval=interval)
    rows = [row async for part in walk(database, view, cursor) for row in part]
    shown = [number for number, row in enumerate(rows) if row.seq != b"null"]
    assert all((NO_LIMIT - number) % interval == 0 for number in shown)
    assert len(rows) == len(latest(order))
    await database.close()


@given(st.lists(st.tuples(names, st.lists(st.integers(0, 30), max_size=4)), max_size=20))
async def test_what_changed_after_a_sequence_is_counted(steps: list[tuple[str, list[int]]]) -> None:
    database = await database_of([])
    order: list[str] = []
    for name, asked in steps:
        order.append(name)
        digest = len(order).to_bytes(16, "big")
        edit = NewRevision(name, ((1, digest),), False, b"{}", replicated=True)
        await database.write(partial(store, database, new=edit))
        for since in asked:
            after = [seq for seq in latest(order).values() if seq > since]
            with database.snapshots.open() as snapshot:
                assert await database.behind.after(snapshot, since) == len(after)
    await database.close()
