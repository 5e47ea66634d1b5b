"""ls, info and cat, and the ways in which any command ends."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
from typing import TYPE_CHECKING

from aiocouch.cli import running
from aiocouch.cli.exits import Exit

if TYPE_CHECKING:
    import pytest

    from aiocouch import CouchDB, Database
    from aiocouch.testing import CouchDBServer
    from tests.cli.conftest import Run


async def fill(db: Database, count: int = 3) -> None:
    await db.bulk_docs({"_id": f"d{number}", "n": number} for number in range(count))


async def test_databases_are_listed(run: Run, db: Database) -> None:
    await fill(db)
    ended = await run("ls")
    assert ended.status == 0
    assert db.id in ended.lines
    ended = await run("ls", "--json", "--long", "--prefix", db.id)
    (row,) = [json.loads(line) for line in ended.lines]
    assert (row["name"], row["documents"], row["deleted"]) == (db.id, 3, 0)
    assert row["file"] > 0
    ended = await run("ls", "--limit", "1")
    assert len(ended.lines) == 1


async def test_documents_are_listed(run: Run, db: Database) -> None:
    await fill(db)
    assert (await run("ls", db.id)).out == "d0\nd1\nd2\n"
    assert (await run("ls", db.id, "--prefix", "d1")).out == "d1\n"
    ended = await run("ls", db.id, "-l", "--limit", "1")
    assert ended.lines == [f"d0\t{(await db['d0']).rev}"]


async def test_documents_with_a_prefix(run: Run, db: Database) -> None:
    """All of them: those with a character above U+FFFF come behind that."""
    ids = ["p", 'p"', "p1", "p\uffff", "p\U0001f600"]
    await db.bulk_docs({"_id": doc_id} for doc_id in ["o", *ids, "q"])
    ended = await run("ls", db.id, "--prefix", "p", "--json")
    assert [json.loads(line)["id"] for line in ended.lines] == ids
    assert len((await run("ls", db.id, "--prefix", "p", "--limit", "2")).lines) == 2


async def test_a_server_tells_about_itself(run: Run, couchdb: CouchDB) -> None:
    version = (await couchdb.info())["version"]
    ended = await run("info")
    assert f"version\t{version}" in ended.lines
    told = json.loads((await run("info", "--json")).out)
    assert told["version"] == version
    assert told["databases"] >= 0
    assert "@" not in told["url"]


async def test_a_database_tells_about_itself(run: Run, db: Database) -> None:
    await fill(db)
    ended = await run("info", db.id)
    assert "documents\t3" in ended.lines
    assert json.loads((await run("info", "--json", db.id)).out)["doc_count"] == 3


async def test_documents_are_printed(run: Run, db: Database) -> None:
    body = b'{"n":123456789012345678901234567890}'
    await db.couchdb.request("PUT", f"{db.endpoint}/a", body=body)
    ended = await run("cat", db.id, "a", "--json")
    assert ended.status == 0
    assert '"n":123456789012345678901234567890' in ended.lines[0]
    ended = await run("cat", db.id, "-", "--json", "--revs", "--conflicts", stdin="a\n\na\n")
    assert [json.loads(line)["_revisions"]["start"] for line in ended.lines] == [1, 1]
    ended = await run("cat", db.id, "a", "--rev", json.loads(ended.lines[0])["_rev"])
    assert json.loads(ended.out)["_id"] == "a"


async def test_what_is_not_there_is_told_and_the_others_are_printed(run: Run, db: Database) -> None:
    await fill(db)
    ended = await run("cat", db.id, "d0", "none", "d1", "--json")
    assert ended.status == Exit.NOT_FOUND
    assert [json.loads(line)["_id"] for line in ended.lines] == ["d0", "d1"]
    assert "none" in ended.err


async def test_no_such_database(run: Run, fresh_name: str) -> None:
    ended = await run("info", fresh_name)
    assert (ended.status, ended.out) == (Exit.NOT_FOUND, "")
    assert fresh_name in ended.err


async def test_wrong_credentials(
    run: Run, couchdb_server: CouchDBServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    address = couchdb_server.url.replace("://", "://nobody:secret@")
    ended = await run("ls", f"{address}/")
    assert ended.status == Exit.REFUSED
    assert "COUCHDB_PASSWORD" in ended.err
    assert "secret" not in ended.err


async def test_broken_off(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(given: object) -> int:
        raise KeyboardInterrupt

    monkeypatch.setattr(running, "_run", broken)
    assert await run("ls") == (Exit.INTERRUPTED, "", "")


def test_ctrl_c_leaves_no_traceback() -> None:
    # A server that takes the request and never answers.
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = f"http://127.0.0.1:{silent.getsockname()[1]}/"
        command = [sys.executable, "-m", "aiocouch", "ls", address]
        pipe = subprocess.PIPE
        with subprocess.Popen(command, stdout=pipe, stderr=pipe, text=True) as process:
            connection, _ = silent.accept()
            with connection:
                connection.recv(1)
                process.send_signal(signal.SIGINT)
                assert process.communicate(timeout=20) == ("", "")
    assert process.returncode == Exit.INTERRUPTED


async def test_a_closed_pipe_is_quiet(db: Database, couchdb_server: CouchDBServer) -> None:
    await fill(db, 5_000)
    environment = {**os.environ, "COUCHDB_URL": couchdb_server.auth_url}
    # With --long it is more than a pipe holds, so that it cannot all be written before `head` ends.
    command = f"{sys.executable} -m aiocouch ls --long {db.id} | head -n 1; echo ${{PIPESTATUS[0]}}"
    ended = await asyncio.to_thread(
        subprocess.run,
        ["bash", "-c", command],
        capture_output=True,
        text=True,
        check=True,
        env=environment,
    )
    assert ended.stderr == ""
    first, status = ended.stdout.splitlines()
    assert first.startswith("d0\t")
    assert status == str(Exit.PIPE_CLOSED.value)
