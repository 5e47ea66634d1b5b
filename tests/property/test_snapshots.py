"""Snapshots: what was there when one was opened is read from it, whatever is written meanwhile."""

from __future__ import annotations

import asyncio
import contextlib
import tempfile
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from hypothesis import given, settings
from hypothesis import strategies as st

from aiocouch.embedded.store.database import Database
from aiocouch.embedded.store.new_revisions import NewRevision, store
from aiocouch.embedded.store.purging import purge
from aiocouch.embedded.store.schema import Origin

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from aiocouch.embedded.store.records import Entry
    from aiocouch.embedded.store.snapshots import Snapshot

names = st.sampled_from("abcdefg")
writes = st.lists(st.tuples(names, st.booleans()), max_size=6)
rounds = st.lists(writes, min_size=1, max_size=6)


class RefusedError(Exception):
    """A job that is undone."""


@contextlib.contextmanager
def stored(*, in_folder: bool) -> Iterator[Database]:
    """A database in memory or in a folder."""
    origin = Origin("0" * 32, partitioned=False)
    if not in_folder:
        yield Database("x", None, None, origin)
        return
    with tempfile.TemporaryDirectory() as folder, ThreadPoolExecutor(1) as executor:
        yield Database("x", Path(folder), executor, origin)


class Writes:
    """Writes a document anew, or purges its latest revision."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._revs: dict[str, tuple[int, bytes]] = {}
        self._number = 0

    async def do(self, name: str, purges: bool) -> None:
        self._number += 1
        last = self._revs.get(name)
        if purges and last is not None:
            await self._database.write(
                lambda connection: purge(self._database, connection, name, [last])
            )
            del self._revs[name]
            return
        rev = (1 if last is None else last[0] + 1, self._number.to_bytes(16, "big"))
        path = (rev,) if last is None else (rev, last)
        edit = NewRevision(name, path, False, b"{}", replicated=True)
        await self._database.write(partial(store, self._database, new=edit))
        self._revs[name] = rev

    async def do_in_vain(self, name: str) -> None:
        rev = (90, self._number.to_bytes(16, "big"))
        edit = NewRevision(name, (rev,), False, b"{}", replicated=True)

        def job(connection: object) -> None:
            store(self._database, self._database.writer.connection, edit)
            raise RefusedError

        with contextlib.suppress(RefusedError):
            await self._database.write(job)


def everything(database: Database) -> list[Entry]:
    return database.changes(0, database.update_seq, 1000)


class Reader:
    """Reads a snapshot in both directions, some rows at a time."""

    def __init__(self, snapshot: Snapshot, expected: list[Entry], size: int) -> None:
        self._snapshot = snapshot
        self._expected = expected
        self._size = size
        self._up: list[Entry] = []
        self._down: list[Entry] = []

    def step(self) -> None:
        since = self._up[-1].seq if self._up else 0
        self._up += self._snapshot.changes(since, self._size)
        before = self._down[-1].seq if self._down else self._snapshot.until + 1
        self._down += self._snapshot.changes_back(before, 0, self._size)
        by_id = self._snapshot.get_many("abcdefg")
        assert by_id == {entry.id: entry for entry in self._expected}
        self._count(self._size)

    def _count(self, limit: int) -> None:
        total, end = self._snapshot.count(0, self._snapshot.until, limit)
        while end < self._snapshot.until:
            number, end = self._snapshot.count(end, self._snapshot.until, limit)
            total += number
        assert total == len(self._expected) == self._snapshot.documents

    def finish(self) -> None:
        for _ in range(len(self._expected) + 1):
            self.step()
        assert self._up == self._expected
        assert self._down == self._expected[::-1]


async def read_all_the_while(database: Database, steps: Sequence[list[tuple[str, bool]]]) -> None:
    writer = Writes(database)
    with contextlib.ExitStack() as stack:
        readers: list[Reader] = []
        for number, step in enumerate(steps):
            snapshot = stack.enter_context(database.snapshots.open())
            readers.append(Reader(snapshot, everything(database), number % 3 + 1))
            for name, purges in step:
                await writer.do(name, purges)
                await writer.do_in_vain(name)
                for reader in readers:
                    reader.step()
        for reader in readers:
            reader.finish()
    assert not database.snapshots.keeps_any
    await database.close()


@settings(max_examples=100, deadline=None)
@given(rounds)
async def test_a_snapshot_in_memory_stays_what_it_was(
    steps: list[list[tuple[str, bool]]],
) -> None:
    with stored(in_folder=False) as database:
        await read_all_the_while(database, steps)


@settings(max_examples=15, deadline=None)
@given(rounds)
async def test_a_snapshot_of_a_folder_stays_what_it_was(
    steps: list[list[tuple[str, bool]]],
) -> None:
    with stored(in_folder=True) as database:
        await read_all_the_while(database, steps)


async def test_a_snapshot_opened_while_a_commit_runs_is_of_the_state_before(
    tmp_path: Path,
) -> None:
    """The rows may be on disk before the loop knows of it."""
    with ThreadPoolExecutor(1) as executor:
        database = Database("x", tmp_path, executor, Origin("0" * 32, partitioned=False))
        writer = Writes(database)
        for name in "abc":
            await writer.do(name, purges=False)
        for name in "abc" * 20:
            writing = asyncio.ensure_future(writer.do(name, purges=False))
            while not writing.done():
                with database.snapshots.open() as snapshot:
                    found = snapshot.changes(0, 10)
                    assert sorted(entry.id for entry in found) == ["a", "b", "c"]
                    assert all(entry.seq <= snapshot.until for entry in found)
                await asyncio.sleep(0)
            await writing
        await database.close()
