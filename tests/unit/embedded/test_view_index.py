"""Indexes that follow a database: against a plain model, with long and short groups."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections import defaultdict
from typing import TYPE_CHECKING, Any, cast

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aiocouch.embedded.codec import encode
from aiocouch.embedded.collation.collation import sort_key
from aiocouch.embedded.errors import CouchError
from aiocouch.embedded.javascript.protocol import Mapped
from aiocouch.embedded.store.records import Entry
from aiocouch.embedded.views.grouping import EXACT, Grouping, RowRange, reduce_groups, reduce_range
from aiocouch.embedded.views.index import Index
from aiocouch.embedded.views.pages import SIZE, count_rows
from aiocouch.embedded.views.reduce import builtin
from aiocouch.embedded.views.reducers import BuiltinReducer, ReduceFunction, ReduceLimit
from aiocouch.embedded.views.tables import FIRST, LAST, StaleIndexError, Tables

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from aiocouch.embedded.store.database import Database
    from aiocouch.embedded.views.index import Document

WHOLE = RowRange(FIRST, LAST)


class FakeSnapshot:
    """The documents at one moment."""

    def __init__(self, until: int, documents: list[Entry]) -> None:
        self.until = until
        self._documents = documents

    def changes(self, since: int, limit: int) -> list[Entry]:
        return [entry for entry in self._documents if entry.seq > since][:limit]


class FakeDatabase:
    """As much of a database as an index looks at."""

    def __init__(self) -> None:
        self.closed = False
        self.update_seq = 0
        self.purge_seq = 0
        self.purged: list[tuple[int, str]] = []
        self.documents: dict[str, Entry] = {}

    @property
    def reader(self) -> FakeDatabase:
        return self

    def execute(self, statement: str, parameters: tuple[int, ...] = ()) -> FakeDatabase:
        self._since = parameters[0] if parameters else None
        return self

    def fetchone(self) -> tuple[int | None]:
        return (min((seq for seq, _ in self.purged), default=None),)

    def fetchall(self) -> list[tuple[str]]:
        return [(id_,) for seq, id_ in self.purged if self._since is None or seq > self._since]

    def put(self, id_: str, keys: list[Any]) -> None:
        self.update_seq += 1
        body = encode({"keys": keys})
        self.documents[id_] = Entry(self.update_seq, id_, "1-a", 0, body, None, None)

    def delete(self, id_: str) -> None:
        self.update_seq += 1
        self.documents[id_] = Entry(self.update_seq, id_, "2-a", 1, b"{}", None, None)

    def purge(self, id_: str) -> None:
        self.purge_seq += 1
        self.documents.pop(id_, None)
        self.purged.append((self.purge_seq, id_))

    @property
    def snapshots(self) -> FakeDatabase:
        return self

    @contextlib.contextmanager
    def open(self) -> Iterator[FakeSnapshot]:
        yield FakeSnapshot(self.update_seq, sorted(self.documents.values()))

    def rows(self) -> list[tuple[bytes, str, Any, int]]:
        """Give (sort key, id, key, value) of every row, in order: the model of the index."""
        found = [
            (sort_key(key), id_, key, number)
            for id_, entry in self.documents.items()
            if not entry.deleted
            for number, key in enumerate(json.loads(entry.body)["keys"])
        ]
        return sorted(found, key=lambda row: (row[0], row[1], row[3]))


async def emit_keys(documents: Sequence[Document]) -> Mapped:
    """Map a document to one row for each of its `keys`; the value is the row's number."""
    rows = []
    references = []
    for document in documents:
        keys = json.loads(document.text)["keys"]
        places = [(0, sort_key(key)) for key in keys]
        references.append(msgspec.msgpack.encode(places))
        rows += [
            (sort_key(key), document.id, number, encode(key), b"%d" % number)
            for number, key in enumerate(keys)
        ]
    return Mapped(len(documents), [rows], references)


def index_of(database: FakeDatabase, path: Path | None = None, mapper: Any = emit_keys) -> Index:
    return Index(cast("Database", database), Tables(path, 1, "owner"), mapper)


def function(name: str) -> ReduceFunction:
    native = builtin(name)
    return ReduceFunction(0, BuiltinReducer(native, ReduceLimit), native)


async def all_rows(index: Index, range_: RowRange = WHOLE) -> list[tuple[str, Any, Any]]:
    with index.snapshot() as snapshot:
        batches = snapshot.rows(0, range_.first, range_.last, descending=range_.descending)
        return [
            (row.id, json.loads(row.json), json.loads(row.value))
            for batch in batches
            for row in batch
        ]


def shown(rows: list[tuple[bytes, str, Any, int]]) -> list[tuple[str, Any, Any]]:
    return [(id_, key, value) for _, id_, key, value in rows]


keys = st.one_of(
    st.none(),
    st.integers(-3, 3),
    st.sampled_from(["a", "A", "b"]),
    st.lists(st.integers(0, 2), max_size=3),
)
edits = st.tuples(
    st.sampled_from(["put", "put", "put", "delete", "purge", "refresh", "reduce"]),
    st.sampled_from("abcdef"),
    st.lists(keys, max_size=4),
    st.sampled_from([1, 1, 60]),
)


def expected_groups(database: FakeDatabase, level: int) -> list[tuple[Any, int]]:
    groups: dict[bytes, list[Any]] = defaultdict(list)
    names: dict[bytes, Any] = {}
    for _, _, key, value in database.rows():
        cut = isinstance(key, list) and level != EXACT
        group = key[:level] if cut else key
        names.setdefault(sort_key(group), group)
        groups[sort_key(group)].append(value)
    return [(names[key], sum(groups[key])) for key in sorted(groups)]


async def check_reductions(database: FakeDatabase, index: Index) -> None:
    total = function("_sum")
    async with index.writing():
        await index.pages.ensure_reduced(0, total.number, total.reducer)
    model = database.rows()
    with index.snapshot() as snapshot:
        outcome = await reduce_range(snapshot, 0, WHOLE, total)
        assert (outcome and json.loads(outcome.value)) == (
            sum(row[3] for row in model) if model else None
        )
        for level in (1, 2, EXACT):
            for descending in (False, True):
                range_ = RowRange(FIRST, LAST, descending)
                grouping = Grouping(level)
                found = [
                    (json.loads(group.key), json.loads(group.outcome.value))
                    async for group in reduce_groups(snapshot, 0, range_, total, grouping)
                ]
                groups = expected_groups(database, level)
                assert found == (groups[::-1] if descending else groups)
        for place in (("a", "c"), (2, "")):
            at = (sort_key(place[0]), place[1], 0)
            before = [row for row in model if (row[0], row[1], row[3]) < at]
            assert count_rows(snapshot, 0, FIRST, at) == len(before)
            assert count_rows(snapshot, 0, at, LAST) == len(model) - len(before)


async def follow(steps: list[tuple[str, str, list[Any], int]]) -> None:
    database = FakeDatabase()
    index = index_of(database)
    for action, id_, some, times in steps:
        if action == "put":
            database.put(id_, some * times)
        elif action == "delete" and id_ in database.documents:
            database.delete(id_)
        elif action == "purge":
            database.purge(id_)
        elif action == "refresh":
            await index.refresh()
        elif action == "reduce":
            await index.refresh()
            await check_reductions(database, index)
    await index.refresh()
    assert await all_rows(index) == shown(database.rows())
    await check_reductions(database, index)
    assert index.state.rows == [len(database.rows())]
    await index.close()


@settings(max_examples=60, deadline=None)
@given(st.lists(edits, max_size=25))
def test_any_history_gives_the_rows_of_the_model(
    steps: list[tuple[str, str, list[Any], int]],
) -> None:
    asyncio.run(follow(steps))


async def test_long_groups_and_changes_inside_them() -> None:
    database = FakeDatabase()
    index = index_of(database)
    for number in range(40):
        database.put(f"d{number:02}", [[number % 3, at % 7, at] for at in range(120)])
    await index.refresh()
    await check_reductions(database, index)
    assert len(database.rows()) > 4 * SIZE
    for number in range(0, 40, 7):
        database.put(f"d{number:02}", [[1, 1, number], ["x"]])
    database.delete("d01")
    await index.refresh()
    await check_reductions(database, index)
    await index.close()


async def test_descending_keeps_the_rows_of_one_document_in_order() -> None:
    database = FakeDatabase()
    index = index_of(database)
    database.put("a", [1, 1, 0])
    database.put("b", [1])
    await index.refresh()
    rows = await all_rows(index, RowRange(FIRST, LAST, True))
    assert rows == [("b", 1, 0), ("a", 1, 0), ("a", 1, 1), ("a", 0, 2)]
    await index.close()


async def test_one_update_serves_all_who_wait() -> None:
    calls = 0

    async def counting(documents: Sequence[Document]) -> Mapped:
        nonlocal calls
        calls += 1
        return await emit_keys(documents)

    database = FakeDatabase()
    index = index_of(database, mapper=counting)
    database.put("a", [1])
    await asyncio.gather(*(index.refresh() for _ in range(10)))
    assert calls == 1
    await index.close()


async def test_an_index_in_a_file_is_kept(tmp_path: Path) -> None:
    database = FakeDatabase()
    path = tmp_path / "index.sqlite"
    index = index_of(database, path)
    database.put("a", [1, 2])
    await index.refresh()
    await check_reductions(database, index)
    await index.close()

    async def never(_documents: Sequence[Document]) -> Mapped:
        raise AssertionError("mapped again")

    again = index_of(database, path, never)
    await again.refresh()
    assert await all_rows(again) == [("a", 1, 0), ("a", 2, 1)]
    await again.close()


async def test_an_index_of_another_database_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "index.sqlite"
    Tables(path, 1, "one").close()
    with pytest.raises(StaleIndexError):
        Tables(path, 1, "two")
    with pytest.raises(StaleIndexError):
        Tables(path, 2, "one")


async def test_readers_see_one_moment(tmp_path: Path) -> None:
    database = FakeDatabase()
    index = index_of(database, tmp_path / "index.sqlite")
    database.put("a", [1])
    await index.refresh()
    with index.snapshot() as snapshot:
        before = [row.id for batch in snapshot.rows(0) for row in batch]
        database.put("b", [0])
        await index.refresh()
        assert [row.id for batch in snapshot.rows(0) for row in batch] == before == ["a"]
        assert snapshot.state.rows == [1]
    assert [id_ for id_, _, _ in await all_rows(index)] == ["b", "a"]
    await index.close()


async def test_an_error_of_the_mapper_reaches_everybody_and_is_not_kept() -> None:
    broken = True

    async def failing(documents: Sequence[Document]) -> Mapped:
        if broken:
            raise CouchError(500, "os_process_error", "x")
        return await emit_keys(documents)

    database = FakeDatabase()
    index = index_of(database, mapper=failing)
    database.put("a", [1])
    results = await asyncio.gather(index.refresh(), index.refresh(), return_exceptions=True)
    assert [isinstance(each, CouchError) for each in results] == [True, True]
    broken = False
    await index.refresh()
    assert await all_rows(index) == [("a", 1, 0)]
    await index.close()


async def test_counts_hold_when_an_update_of_many_rows_is_undone() -> None:
    broken = False

    async def failing(documents: Sequence[Document]) -> Mapped:
        if broken and documents[-1].id == "last":
            raise CouchError(500, "os_process_error", "x")
        return await emit_keys(documents)

    database = FakeDatabase()
    index = index_of(database, mapper=failing)
    for round_ in range(2):
        for number in range(3 * SIZE):
            database.put(str(number), [number % 3 - round_])
        if not round_:
            await index.refresh()
            await check_reductions(database, index)
    database.put("last", [])
    broken = True
    with pytest.raises(CouchError):
        await index.refresh()
    broken = False
    await index.refresh()
    await check_reductions(database, index)
    await index.close()


async def test_a_database_that_went_back_is_indexed_anew() -> None:
    database = FakeDatabase()
    index = index_of(database)
    database.put("a", [1])
    database.put("b", [2])
    await index.refresh()
    database.documents.clear()
    database.update_seq = 0
    database.put("c", [3])
    await index.refresh()
    assert await all_rows(index) == [("c", 3, 0)]
    await index.close()


async def test_a_purged_document_is_taken_out() -> None:
    database = FakeDatabase()
    index = index_of(database)
    database.put("a", [1])
    database.put("b", [2])
    await index.refresh()
    database.purge("a")
    assert index.state.purge_seq < database.purge_seq
    await index.refresh()
    assert await all_rows(index) == [("b", 2, 0)]
    assert (index.state.seq, index.state.purge_seq) == (database.update_seq, database.purge_seq)
    await index.close()


async def test_purges_that_are_forgotten_mean_a_new_index() -> None:
    database = FakeDatabase()
    index = index_of(database)
    database.put("a", [1])
    database.put("b", [2])
    await index.refresh()
    database.purge("a")
    database.purge("nosuch")
    del database.purged[0]
    await index.refresh()
    assert await all_rows(index) == [("b", 2, 0)]
    await index.close()


async def test_one_key_of_a_document_may_have_more_rows_than_a_page() -> None:
    database = FakeDatabase()
    database.put("a", [1] * (3 * SIZE))
    index = index_of(database)
    await index.refresh()
    await check_reductions(database, index)
    database.put("a", [1])
    await index.refresh()
    await check_reductions(database, index)
    await index.close()


async def test_a_closed_index_is_gone() -> None:
    database = FakeDatabase()
    index = index_of(database)
    await index.close()
    database.put("a", [1])
    with pytest.raises(CouchError) as caught:
        await index.refresh()
    assert caught.value.status == 404


async def test_closing_stops_an_update() -> None:
    started = asyncio.Event()

    async def endless(_documents: Sequence[Document]) -> Mapped:
        started.set()
        await asyncio.Event().wait()
        raise AssertionError("woken")

    database = FakeDatabase()
    index = index_of(database, mapper=endless)
    database.put("a", [1])
    waiting = asyncio.ensure_future(index.refresh())
    await started.wait()
    assert index.is_updating
    assert index.waiting == 1
    await index.close()
    with pytest.raises(CouchError):
        await waiting


@pytest.mark.parametrize("descending", [False, True])
@pytest.mark.parametrize("kind", ["memory", "file"])
async def test_rows_that_move_are_read_where_they_were(
    tmp_path: Path, kind: str, descending: bool
) -> None:
    database = FakeDatabase()
    index = index_of(database, tmp_path / "index.sqlite" if kind == "file" else None)
    for number in range(1000):
        database.put(f"d{number:04}", [number])
    await index.refresh()
    model = [row[1] for row in database.rows()][:: -1 if descending else 1]
    found: list[str] = []
    with index.snapshot() as snapshot, index.snapshot() as other:
        assert other.count(0) == 1000
        for batch in snapshot.rows(0, descending=descending, skip=10, limit=985):
            found += [row.id for row in batch]
            # all change places with those that are still to come, or were there already
            for number in range(len(found) % 7, 1000, 7):
                database.put(f"d{number:04}", [1000 - number])
            await index.refresh()
            with index.snapshot() as fresh:
                assert fresh.count(0) == 1000
        assert snapshot.count(0) == other.count(0) == 1000
        assert [row.id for batch in other.rows(0) for row in batch] == sorted(model)
    assert found == model[10:995]
    with index.snapshot() as snapshot:
        rows = [(row.key, row.id) for batch in snapshot.rows(0) for row in batch]
    assert rows == [row[:2] for row in database.rows()]
    await index.close()
