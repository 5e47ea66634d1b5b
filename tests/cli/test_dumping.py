"""dump and restore, as commands."""

from __future__ import annotations

import asyncio
import io
import json
import os
import sys
from typing import TYPE_CHECKING

import pytest

from aiocouch.cli.exits import Exit
from tests.dumping.databases import fill, leaf, leaves_of

if TYPE_CHECKING:
    from pathlib import Path

    from aiocouch import Database
    from aiocouch.testing import CouchDBServer
    from tests.cli.conftest import Run


async def test_a_dump_and_back_under_another_name(
    run: Run, db: Database, fresh_name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await fill(db)
    monkeypatch.chdir(tmp_path)
    ended = await run("dump", db.id, "--local", "--json")
    assert (ended.status, ended.err) == (0, "")
    told = json.loads(ended.out)
    assert (told["leaves"], told["local"], told["file"]) == (41, 1, f"{db.id}.dump.gz")
    assert told["bytes"] == (tmp_path / told["file"]).stat().st_size
    ended = await run("restore", fresh_name, told["file"], "--local", "--security", "--json")
    assert (ended.status, ended.err) == (0, "")
    told = json.loads(ended.out)
    assert (told["written"], told["equal"], told["from"]) == (41, True, db.id)
    copy = db.couchdb.database(fresh_name)
    assert await leaves_of(copy) == await leaves_of(db)
    assert (await copy.local.get("note"))["n"] == 1


async def test_facts_for_people(run: Run, db: Database, tmp_path: Path) -> None:
    ended = await run("dump", db.id, tmp_path / "a.gz")
    assert "leaves\t0" in ended.lines


async def test_a_file_that_is_there(run: Run, db: Database, tmp_path: Path) -> None:
    (tmp_path / "a.gz").touch()
    ended = await run("dump", db.id, tmp_path / "a.gz")
    assert ended.status == Exit.CONFLICT
    assert "a.gz" in ended.err


async def test_a_half_file_of_something_else(run: Run, db: Database, tmp_path: Path) -> None:
    (tmp_path / "a.gz.part").write_text("my diary")
    ended = await run("dump", db.id, tmp_path / "a.gz")
    assert ended.status == Exit.CONFLICT
    assert "a.gz.part" in ended.err


async def test_some_documents(run: Run, db: Database, fresh_name: str, tmp_path: Path) -> None:
    await fill(db)
    path = tmp_path / "a.gz"
    await run("dump", db.id, path)
    copy = db.couchdb.database(fresh_name)
    ended = await run("restore", fresh_name, path, "--id", "edited", "--id", "small")
    assert ended.status == 0
    assert [each async for each in copy.akeys()] == ["edited", "small"]
    ended = await run("restore", fresh_name, path, "--only-design", "--merge")
    assert ended.status == 0
    ended = await run("restore", fresh_name, path, "--merge", "--selector", '{"n": {"$lt": 2}}')
    assert ended.status == 0
    found = {each async for each in copy.akeys()}
    assert found == {
        "edited",
        "small",
        "plain0000",
        "plain0001",
        "strange id/ä\n\"{'#'",
        "_design/views",
    }


@pytest.mark.parametrize("selector", ["{", '{"n": {"$no": 1}}'])
async def test_a_wrong_selector(
    run: Run, db: Database, fresh_name: str, tmp_path: Path, selector: str
) -> None:
    await run("dump", db.id, tmp_path / "a.gz")
    ended = await run("restore", fresh_name, tmp_path / "a.gz", "--selector", selector)
    assert ended.status == Exit.USAGE
    assert "--selector" in ended.err


async def test_a_database_with_documents(run: Run, db: Database, tmp_path: Path) -> None:
    await db.bulk_docs([leaf("a", "a")], new_edits=False)
    await run("dump", db.id, tmp_path / "a.gz")
    ended = await run("restore", db.id, tmp_path / "a.gz")
    assert ended.status == Exit.CONFLICT
    assert "--merge" in ended.err


async def test_a_file_that_is_damaged_or_missing(run: Run, fresh_name: str, tmp_path: Path) -> None:
    ended = await run("restore", fresh_name, tmp_path / "none.gz")
    assert ended.status == Exit.NOT_FOUND
    (tmp_path / "a.gz").write_text("my diary")
    ended = await run("restore", fresh_name, tmp_path / "a.gz")
    assert ended.status == Exit.FAILED
    assert ended.err.startswith("aiocouch restore: ")


async def test_what_a_backup_lacks_is_told(run: Run, fresh_name: str, tmp_path: Path) -> None:
    from tests.dumping.test_dumps import WRITTEN

    (tmp_path / "a.couchbackup").write_text(WRITTEN)
    ended = await run("restore", fresh_name, tmp_path / "a.couchbackup")
    assert ended.status == Exit.PARTLY
    assert "1 attachments are not in the file" in ended.err


async def test_through_pipes(db: Database, fresh_name: str, couchdb_server: CouchDBServer) -> None:
    await fill(db)
    ours = f"{sys.executable} -m aiocouch"
    process = await asyncio.create_subprocess_shell(
        f"{ours} dump {db.id} - | {ours} restore {fresh_name} - --json",
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env={**os.environ, "COUCHDB_URL": couchdb_server.auth_url},
    )
    out, err = await process.communicate()
    assert (process.returncode, err) == (0, b"")
    assert json.loads(out)["equal"]


async def test_a_terminal_gets_no_dump(
    run: Run, db: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    monkeypatch.setattr("sys.stdout", Terminal())
    ended = await run("dump", db.id, "-")
    assert ended.status == Exit.USAGE
    assert "terminal" in ended.err


async def test_formats_of_couchbackup(
    run: Run, db: Database, fresh_name: str, tmp_path: Path
) -> None:
    await fill(db)
    path = tmp_path / "a.couchbackup"
    ended = await run("dump", db.id, path, "--format", "couchbackup")
    assert ended.status == 0
    assert path.read_text().startswith('{"name":"@cloudant/couchbackup"')
    ended = await run("restore", fresh_name, path, "--json")
    assert json.loads(ended.out)["equal"]


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


async def test_what_a_restore_does_is_shown(
    run: Run, db: Database, fresh_name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It compares at last, which may take long, and does not call that restoring."""
    await fill(db)
    assert (await run("dump", db.id, tmp_path / "a.gz")).status == 0
    monkeypatch.setattr("sys.stderr", Terminal())
    assert (await run("restore", fresh_name, tmp_path / "a.gz")).status == 0
    shown = sys.stderr.getvalue() if isinstance(sys.stderr, Terminal) else ""
    found = [shown.find(each) for each in ("checking the dump", "restoring ", "comparing ")]
    assert -1 < found[0] < found[1] < found[2]
