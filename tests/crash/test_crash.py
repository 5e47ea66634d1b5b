"""Kill the server at any moment: every write that was acknowledged is there afterwards."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import sqlite3
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import aiohttp
import msgspec
import pytest

from aiocouch.embedded import FolderInUseError, FormatError
from aiocouch.embedded.revision import parse_revision
from aiocouch.embedded.store.registry import Databases

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from aiocouch.embedded.store.database import Database

ROOT = Path(__file__).parents[2]
DATABASE = "crash"
KILLS = 50
SERVER_KILLS = 4
ADMIN = {"Authorization": aiohttp.encode_basic_auth("admin", "admin")}


class Write(NamedTuple):
    """A write that was acknowledged."""

    id: str
    rev: str | int


@contextlib.contextmanager
def running(*command: str) -> Iterator[subprocess.Popen[bytes]]:
    """Run a Python program with its own process group, and end it in any case."""
    process = subprocess.Popen(
        [sys.executable, *command], cwd=ROOT, stdout=subprocess.PIPE, start_new_session=True
    )
    try:
        yield process
    finally:
        kill(process)


def kill(process: subprocess.Popen[bytes]) -> None:
    """Kill a process and its children without a warning; once is enough."""
    if process.poll() is None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def killed_while_writing(folder: Path, number: int, acknowledged: int) -> list[Write]:
    """Let the writer run until so many writes are acknowledged, kill it, and give them all."""
    with running("-m", "tests.crash.writer", str(folder), str(number)) as process:
        assert process.stdout is not None
        lines = [process.stdout.readline() for _ in range(acknowledged)]
        kill(process)
        lines += process.stdout.readlines()
        process.stdout.close()
    return [Write(*msgspec.json.decode(line)) for line in lines if line.endswith(b"\n")]


@pytest.fixture
async def databases(tmp_path: Path) -> AsyncIterator[Databases]:
    """The folder that the killed process had, opened here."""
    found = Databases(tmp_path)
    yield found
    await found.close()


def missing(database: Database, writes: list[Write]) -> list[Write]:
    """Give the writes that are not there."""
    return [write for write in writes if not is_there(database, write)]


def is_there(database: Database, write: Write) -> bool:
    """Tell whether a revision is known, and its body readable where it is the last one."""
    if write.id.startswith("_local/"):
        return database.local(write.id) is not None
    entry = database.get(write.id)
    if entry is None:
        return False
    node = entry.tree.find(parse_revision(str(write.rev)))
    return node is not None and msgspec.json.decode(entry.body) is not None


def check_whole(database: Database) -> None:
    """Check that the numbers of the database are those of its tables, and the file is sound."""
    reader = database.reader
    assert reader.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    counted = reader.execute("SELECT total(1 - deleted), total(deleted), max(seq) FROM docs")
    alive, deleted, last = counted.fetchone()
    assert (database.doc_count, database.deleted_count) == (alive, deleted)
    assert database.update_seq >= last


async def check(folder: Path, writes: list[Write]) -> None:
    """Open the folder as the next process would, and look for the writes."""
    databases = Databases(folder)
    try:
        database = databases.open(DATABASE)
        assert database is not None
        assert missing(database, writes) == []
        check_whole(database)
    finally:
        await databases.close()


@pytest.mark.timeout(300)
async def test_no_acknowledged_write_is_lost_when_the_process_is_killed(tmp_path: Path) -> None:
    chance = random.Random(20261124)
    writes: list[Write] = []
    for number in range(KILLS):
        new = killed_while_writing(tmp_path, number, chance.randint(1, 120))
        assert new
        await check(tmp_path, new)
        writes += new
    await check(tmp_path, writes)


class Client:
    """A process that serves a folder, and requests to it."""

    def __init__(self, session: aiohttp.ClientSession, process: subprocess.Popen[bytes]) -> None:
        assert process.stdout is not None
        line = process.stdout.readline().decode()
        assert line.startswith("listening on "), line
        self._url = line.removeprefix("listening on ").strip()
        self._session = session

    async def put(self, path: str, **body: object) -> int:
        """PUT JSON, and give the status."""
        async with self._session.put(f"{self._url}/{path}", json=body, headers=ADMIN) as answer:
            await answer.read()
            return answer.status

    async def status(self, path: str) -> int:
        """GET, and give the status."""
        async with self._session.get(f"{self._url}/{path}", headers=ADMIN) as answer:
            await answer.read()
            return answer.status


@contextlib.asynccontextmanager
async def serving(folder: Path) -> AsyncIterator[tuple[Client, subprocess.Popen[bytes]]]:
    """Serve a folder from the command line."""
    command = ("-m", "aiocouch", "serve", "--port", "0", "--data", str(folder))
    async with aiohttp.ClientSession() as session:
        with running(*command) as process:
            yield Client(session, process), process
            assert process.stdout is not None
            process.stdout.close()


@pytest.mark.timeout(120)
async def test_no_answered_request_is_lost_when_the_server_is_killed(tmp_path: Path) -> None:
    chance = random.Random(5984)
    answered: list[str] = []
    for number in range(SERVER_KILLS):
        async with serving(tmp_path) as (client, process):
            for path in answered:
                assert await client.status(path) == 200
            name = f"db{number}"
            assert await client.put(name) == 201
            answered.append(name)
            for document in range(chance.randint(5, 40)):
                assert await client.put(f"{name}/{document}", n=document) == 201
                answered.append(f"{name}/{document}")
            kill(process)


async def test_a_folder_is_served_by_one_process_only(tmp_path: Path) -> None:
    async with serving(tmp_path) as (client, process):
        with pytest.raises(FolderInUseError, match=r"is in use: another process"):
            Databases(tmp_path)
        assert await client.put("still") == 201
        kill(process)
    databases = Databases(tmp_path)
    assert "still" in databases
    await databases.close()


async def test_a_database_whose_creation_was_cut_short_is_not_there(tmp_path: Path) -> None:
    half = tmp_path / "databases" / "half"
    half.mkdir(parents=True)
    databases = Databases(tmp_path)
    assert databases.names() == []
    databases.create("half")
    await databases.close()


async def test_a_folder_of_a_later_format_is_refused_with_the_reason(
    databases: Databases, tmp_path: Path
) -> None:
    databases.create("later")
    await databases.close()
    with sqlite3.connect(tmp_path / "databases" / "later" / "database.sqlite") as connection:
        connection.execute("PRAGMA user_version = 99")
    connection.close()
    again = Databases(tmp_path)
    try:
        with pytest.raises(FormatError, match="folder format 99"):
            again.open("later")
    finally:
        await again.close()


def test_serving_a_folder_of_a_later_format_ends_with_the_reason(tmp_path: Path) -> None:
    folder = tmp_path / "databases" / "_users"
    folder.mkdir(parents=True)
    with sqlite3.connect(folder / "database.sqlite") as connection:
        connection.execute("CREATE TABLE meta (key, value)")
        connection.execute("PRAGMA user_version = 99")
    connection.close()
    command = [sys.executable, "-m", "aiocouch", "serve", "--port", "0", "--data", str(tmp_path)]
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, check=False, timeout=60)
    assert ended.returncode == 1
    assert b"folder format 99" in ended.stderr
    assert b"Traceback" not in ended.stderr
