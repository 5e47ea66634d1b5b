"""The end of a database: deleted while it is used, deleted and made again, half made."""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
from typing import TYPE_CHECKING

import aiohttp
import pytest

from aiocouch.embedded.store.registry import Databases
from tests.unit.embedded.server_client import ServerClient

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

VIEW = {"views": {"v": {"map": "function (doc) { emit(doc._id, null); }"}}}


@pytest.fixture(params=["memory", "folder"])
async def server(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[ServerClient]:
    async with ServerClient(tmp_path if request.param == "folder" else None) as client:
        yield client


@contextlib.asynccontextmanager
async def opened(folder: Path) -> AsyncIterator[Databases]:
    databases = Databases(folder)
    try:
        yield databases
    finally:
        await databases.close()


async def test_deletion_is_whole_though_the_one_who_asked_goes_away(tmp_path: Path) -> None:
    async with opened(tmp_path) as databases:
        databases.create("a")
        asked = asyncio.create_task(databases.delete("a"))
        await asyncio.sleep(0)
        asked.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await asked
        assert databases.names() == []
        databases.create("a")
    assert [folder.name for folder in (tmp_path / "databases").iterdir()] == ["a"]


async def test_the_name_is_free_while_the_files_are_removed(tmp_path: Path) -> None:
    async with opened(tmp_path) as databases:
        old = databases.create("a")
        deleting = asyncio.create_task(databases.delete("a"))
        await asyncio.sleep(0)
        new = databases.create("a")
        await new.set_meta("mark", "new")
        assert await deleting
        assert old.closed
    async with opened(tmp_path) as databases:
        again = databases.open("a")
        assert again is not None
        assert again.uuid == new.uuid


async def test_what_uses_a_database_that_goes_away_is_told_so(server: ServerClient) -> None:
    await server("PUT", "/a")
    await server("PUT", "/a/_design/d", VIEW)
    docs = [{"_id": str(number)} for number in range(2000)]
    asked = [
        asyncio.create_task(server("POST", "/a/_bulk_docs", {"docs": docs})),
        asyncio.create_task(server("GET", "/a/_design/d/_view/v")),
        asyncio.create_task(server("GET", "/a/_changes?feed=longpoll&since=now")),
        *(asyncio.create_task(server("PUT", f"/a/x{number}", {})) for number in range(20)),
    ]
    database = server.embedded.server.databases.open("a")
    assert database is not None
    assert await database.changed_since(1)
    assert (await server("DELETE", "/a")).status == 200
    for answer in asked:
        # rows that are on their way when it goes are cut off
        with contextlib.suppress(aiohttp.ClientPayloadError):
            assert (await answer).status in {200, 201, 404}
    assert (await server("PUT", "/a")).status == 201
    assert (await server("GET", "/a")).json["doc_count"] == 0


async def test_a_listener_with_a_fault_does_not_hold_up_writes(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(_: object) -> None:
        raise RuntimeError

    async with opened(tmp_path) as databases:
        database = databases.create("a")
        database.subscribe(fail)
        database.pending.doc_count += 1
        await database.set_meta("mark", "1")
    assert "a listener to <Database 'a'> failed" in caplog.text


async def test_a_file_whose_tables_were_never_made_is_no_database(tmp_path: Path) -> None:
    folder = tmp_path / "databases" / "half"
    folder.mkdir(parents=True)
    with contextlib.closing(sqlite3.connect(folder / "database.sqlite")) as connection:
        connection.execute("PRAGMA journal_mode = WAL")
    async with opened(tmp_path) as databases:
        assert databases.names() == []
        databases.create("half")
    async with opened(tmp_path) as databases:
        assert databases.names() == ["half"]


async def test_files_of_others_beside_the_databases_are_left_alone(tmp_path: Path) -> None:
    async with opened(tmp_path) as databases:
        databases.create("a")
    stray = tmp_path / "databases" / ".DS_Store"
    stray.write_bytes(b"x")
    async with opened(tmp_path) as databases:
        assert databases.names() == ["a"]
    assert stray.exists()


async def test_a_database_of_a_later_format_says_so_and_harms_no_other(tmp_path: Path) -> None:
    async with opened(tmp_path) as databases:
        databases.create("a")
        databases.create("later")
    path = tmp_path / "databases" / "later" / "database.sqlite"
    with contextlib.closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA user_version = 99")
    async with ServerClient(tmp_path) as server:
        answer = await server("GET", "/later")
        assert (answer.status, answer.json["error"]) == (500, "incompatible_format")
        assert "'later' has the folder format 99" in answer.json["reason"]
        assert (await server("GET", "/a")).status == 200
