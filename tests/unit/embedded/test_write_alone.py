"""A write that nobody else waits beside: without the way to a thread, and just as safe."""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest

from aiocouch.embedded.store.database import Database
from aiocouch.embedded.store.schema import Origin
from aiocouch.embedded.store.writer import Traffic

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@contextlib.contextmanager
def quick_database(folder: Path, traffic: Traffic) -> Iterator[Database]:
    """A database whose latest commit took no time."""
    with ThreadPoolExecutor(1) as executor:
        database = Database("x", folder, executor, Origin("0" * 32, partitioned=False), traffic)
        database.writer.took = 0.0
        yield database


async def test_who_writes_alone_does_not_wait_for_a_thread(tmp_path: Path) -> None:
    traffic = Traffic()
    with quick_database(tmp_path, traffic) as database:
        for requests, done in ((1, True), (2, False)):
            traffic.requests = requests
            database.writer.took = 0.0
            writing = asyncio.ensure_future(database.set_meta("a", str(requests)))
            await asyncio.sleep(0)
            assert writing.done() is done
            await writing
            (value,) = database.reader.execute("SELECT value FROM meta WHERE key = 'a'").fetchone()
            assert value == str(requests)
        await database.close()


async def test_a_slow_disk_never_holds_up_the_others(tmp_path: Path) -> None:
    with quick_database(tmp_path, Traffic()) as database:
        database.writer.took = 0.2
        writing = asyncio.ensure_future(database.set_meta("a", "1"))
        await asyncio.sleep(0)
        assert not writing.done()
        await writing
        await database.close()


@pytest.mark.parametrize("requests", [1, 2])
async def test_a_file_that_another_program_has_locked_is_waited_for(
    tmp_path: Path, requests: int
) -> None:
    traffic = Traffic()
    traffic.requests = requests
    with quick_database(tmp_path, traffic) as database:
        other = sqlite3.connect(tmp_path / "database.sqlite", isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        writing = asyncio.ensure_future(database.set_meta("a", "1"))
        for _ in range(20):
            await asyncio.sleep(0)
        assert not writing.done()
        other.execute("ROLLBACK")
        other.close()
        await writing
        await database.close()


async def test_what_goes_wrong_in_a_write_alone_is_undone(tmp_path: Path) -> None:
    with quick_database(tmp_path, Traffic()) as database:

        def job(connection: sqlite3.Connection) -> None:
            connection.execute("INSERT INTO meta VALUES ('b', '1')")
            raise ZeroDivisionError

        with pytest.raises(ZeroDivisionError):
            await database.write(job)
        found = database.reader.execute("SELECT value FROM meta WHERE key = 'b'").fetchall()
        assert found == []
        await database.set_meta("b", "2")
        await database.close()
