"""copy and sync, as commands."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from typing import TYPE_CHECKING

import pytest

from aiocouch import CouchDB
from aiocouch.cli.exits import Exit
from aiocouch.embedded import EmbeddedCouchDB
from tests.cli.test_output import Terminal
from tests.dumping.databases import fill, leaf, leaves_of

if TYPE_CHECKING:
    from pathlib import Path

    from aiocouch import Database
    from aiocouch.testing import CouchDBServer
    from tests.cli.conftest import Run


async def test_a_copy(run: Run, db: Database, fresh_name: str) -> None:
    await fill(db, plain=3)
    ended = await run("copy", db.id, fresh_name, "--create", "--shards", "1", "--json")
    assert (ended.status, ended.err) == (0, "")
    told = json.loads(ended.out)
    assert (told["source"], told["target"], told["docs_written"]) == (db.id, fresh_name, 14)
    assert await leaves_of(db.couchdb.database(fresh_name)) == await leaves_of(db)
    ended = await run("copy", db.id, fresh_name, "--json")
    assert json.loads(ended.out)["docs_written"] == 0


async def test_by_the_server(run: Run, db: Database, fresh_name: str) -> None:
    await db.bulk_docs([leaf("a", "a"), leaf("b", "a")], new_edits=False)
    ended = await run("copy", db.id, fresh_name, "--create", "--server", "--id", "a", "--json")
    assert (ended.status, ended.err) == (0, "")
    assert [each async for each in db.couchdb.database(fresh_name).akeys()] == ["a"]
    left = db.couchdb.database("_replicator").akeys()
    assert not [each async for each in left if each.startswith("aiocouch-")]


@pytest.mark.parametrize(
    "words",
    [["copy", "--create"], ["copy", "--create", "--server"], ["sync", "--create"]],
    ids=" ".join,
)
async def test_of_a_partitioned_database_another_one_is_made(
    run: Run, couchdb: CouchDB, fresh_name: str, words: list[str]
) -> None:
    """Else its views and queries of one partition would fail."""
    here = await couchdb.create(fresh_name, partitioned=True)
    there = couchdb.database(f"{fresh_name}-too")
    command, *options = words
    try:
        await here.bulk_docs([{"_id": "a:1"}])
        ended = await run(command, here.id, there.id, *options)
        assert (ended.status, ended.err) == (0, "")
        info = await there.info()
        assert (info["doc_count"], info["props"]) == (1, {"partitioned": True})
    finally:
        for database in (here, there):
            await database.delete()


async def test_a_sync_makes_the_first_database_as_well(
    run: Run, db: Database, couchdb: CouchDB, fresh_name: str
) -> None:
    await fill(db, plain=3)
    ended = await run("sync", fresh_name, db.id)
    assert (ended.status, ended.out) == (Exit.NOT_FOUND, "")
    ended = await run("sync", fresh_name, db.id, "--create")
    assert (ended.status, ended.err) == (0, "")
    assert await leaves_of(couchdb.database(fresh_name)) == await leaves_of(db)
    ended = await run("sync", f"{fresh_name}-a", f"{fresh_name}-b", "--create")
    assert ended.status == Exit.NOT_FOUND
    assert f"{fresh_name}-a" not in await couchdb.keys()


async def test_a_copy_tells_what_it_waits_for(run: Run, db: Database) -> None:
    """It does so for almost a minute, in which it seemed to do nothing."""
    words = [sys.executable, "-m", "aiocouch", "copy", "http://127.0.0.1:1/a", "embedded:b"]
    process = await asyncio.create_subprocess_exec(*words, stderr=asyncio.subprocess.PIPE)
    assert process.stderr is not None
    told = (await process.stderr.readline()).decode()
    process.kill()
    await process.communicate()
    assert told == "waiting: no answer from 127.0.0.1, port 1: Connection refused\n"


async def test_some_of_it(run: Run, db: Database, fresh_name: str) -> None:
    await fill(db, plain=3)
    ended = await run("copy", db.id, fresh_name, "--create", "--selector", '{"n": {"$lt": 2}}')
    assert (ended.status, ended.err) == (0, "")
    found = [each async for each in db.couchdb.database(fresh_name).akeys()]
    assert found == ["plain0000", "plain0001", "strange id/ä\n\"{'#'"]


@pytest.mark.parametrize(
    "words", [["--id", "a", "--selector", "{}"], ["--selector", "{"], ["--selector", "[]"]]
)
async def test_wrong_words(run: Run, db: Database, fresh_name: str, words: list[str]) -> None:
    ended = await run("copy", db.id, fresh_name, *words)
    assert ended.status == Exit.USAGE
    assert "--selector" in ended.err


async def test_a_database_and_itself(run: Run, db: Database) -> None:
    for command in ("copy", "sync"):
        ended = await run(command, db.id, db.id)
        assert ended.status == Exit.USAGE
        assert "same" in ended.err


async def test_no_such_target(run: Run, db: Database, fresh_name: str) -> None:
    ended = await run("copy", db.id, fresh_name)
    assert ended.status == Exit.NOT_FOUND


async def test_both_ways(run: Run, db: Database, fresh_name: str) -> None:
    other = await db.couchdb.create(fresh_name)
    await db.bulk_docs([leaf("a", "a"), leaf("both", "a", side=1)], new_edits=False)
    await other.bulk_docs([leaf("b", "a"), leaf("both", "b", side=2)], new_edits=False)
    ended = await run("sync", db.id, fresh_name, "--json")
    assert (ended.status, ended.err) == (0, "")
    assert [json.loads(line)["docs_written"] for line in ended.lines] == [2, 2]
    assert await leaves_of(db) == await leaves_of(other)
    assert len(await leaves_of(db)) == 4


async def test_live_both_ways_until_ctrl_c(
    db: Database, fresh_name: str, couchdb_server: CouchDBServer
) -> None:
    other = await db.couchdb.create(fresh_name)
    process = await asyncio.create_subprocess_exec(
        *[sys.executable, "-m", "aiocouch", "sync", db.id, fresh_name, "--live"],
        env={**os.environ, "COUCHDB_URL": couchdb_server.auth_url},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        for here, there in ((db, other), (other, db)):
            since = (await there.info())["update_seq"]
            await here.bulk_docs([{"_id": f"of {here.id}"}])
            async for change in there.follow(since=since):
                if change.id == f"of {here.id}":
                    break
        process.send_signal(signal.SIGINT)
        assert await process.communicate() == (b"", b"")
        assert process.returncode == Exit.INTERRUPTED
    finally:
        if process.returncode is None:
            process.kill()


async def test_live_tells_what_fails(run: Run, db: Database, fresh_name: str) -> None:
    ended = await run("sync", db.id, fresh_name, "--live")
    assert ended.status == Exit.NOT_FOUND
    assert ended.err.count("\n") == 1


async def test_live_on_a_terminal(
    run: Run, db: Database, fresh_name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stderr", Terminal())
    ended = await run("sync", db.id, fresh_name, "--live")
    assert ended.status == Exit.NOT_FOUND


async def test_live_makes_the_other_database(
    db: Database, fresh_name: str, couchdb_server: CouchDBServer
) -> None:
    """What goes back waits until there is something to come from."""
    await db.bulk_docs([{"_id": "a"}])
    process = await asyncio.create_subprocess_exec(
        *[sys.executable, "-m", "aiocouch", "sync", db.id, fresh_name, "--live", "--create"],
        env={**os.environ, "COUCHDB_URL": couchdb_server.auth_url},
        stderr=asyncio.subprocess.PIPE,
    )
    there = db.couchdb.database(fresh_name)
    while fresh_name not in await db.couchdb.keys():
        assert process.returncode is None
    async for change in there.follow():
        assert change.id == "a"
        break
    process.send_signal(signal.SIGINT)
    _, told = await process.communicate()
    assert told == b""
    assert process.returncode == Exit.INTERRUPTED


async def test_live_tells_what_it_waits_for(
    db: Database, tmp_path: Path, couchdb_server: CouchDBServer
) -> None:
    """The other server goes away and comes again: that is told in words, and it goes on by itself."""
    folder = tmp_path / "data"
    async with EmbeddedCouchDB(folder) as server, CouchDB(server.url, "admin", "admin") as couchdb:
        await couchdb.create("x")
        address = f"{server.url_with_credentials}/x"
        port = int(server.url.rpartition(":")[2])
        process = await asyncio.create_subprocess_exec(
            *[sys.executable, "-m", "aiocouch", "sync", db.id, address, "--live"],
            env={**os.environ, "COUCHDB_URL": couchdb_server.auth_url},
            stderr=asyncio.subprocess.PIPE,
        )
        await db.bulk_docs([{"_id": "a"}])
        async for _ in couchdb.database("x").follow():
            break
    assert process.stderr is not None
    told = ""
    while f"waiting: no answer from 127.0.0.1, port {port}: " not in told:
        told += (await process.stderr.readline()).decode()
    async with EmbeddedCouchDB(folder, port=port) as server:
        while "going on" not in told:
            told += (await process.stderr.readline()).decode()
        process.send_signal(signal.SIGINT)
        process.send_signal(signal.SIGINT)
        told += (await process.stderr.read()).decode()
        await process.wait()
    assert "Unclosed" not in told
    assert "Traceback" not in told
