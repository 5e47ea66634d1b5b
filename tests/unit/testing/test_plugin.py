"""The pytest plugin, as a user's project has it: in a pytest of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path

STRICT = """\
[pytest]
asyncio_mode = strict
asyncio_default_fixture_loop_scope = function
"""
TESTS = """\
import pytest

names = []


@pytest.mark.asyncio
@pytest.mark.parametrize("time", range(2))
async def test_databases_are_new_and_empty(couchdb_database, couchdb, time):
    assert [id async for id in couchdb_database.akeys()] == []
    await (await couchdb_database.create("doc")).save()
    assert couchdb_database.id not in names
    assert not set(names) & set(await couchdb.keys())
    names.append(couchdb_database.id)


@pytest.mark.asyncio
async def test_a_database_may_be_deleted_by_the_test(couchdb_database):
    await couchdb_database.delete()


@pytest.mark.asyncio
async def test_faults(couchdb_faults, couchdb):
    couchdb_faults.answer(503, path="/_all_dbs")
    async with couchdb_faults.server.connect() as session:
        with pytest.raises(Exception, match="503"):
            await session.keys()
        assert await session.keys() == await couchdb.keys()


def test_the_server_is_shown_without_its_password(couchdb_server):
    assert couchdb_server.password in couchdb_server.auth_url
    assert "password" not in repr(couchdb_server)
"""


def run_pytest(folder: Path, *arguments: str, **environment: str) -> str:
    (folder / "test_user.py").write_text(TESTS, encoding="utf-8")
    (folder / "pytest.ini").write_text(STRICT, encoding="utf-8")
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("PYTEST_", "COUCHDB_"))}
    result = subprocess.run(
        [sys.executable, "-m", "pytest", "-W", "error", "--rootdir", folder, *arguments],
        cwd=folder,
        env=kept | environment,
        capture_output=True,
        text=True,
        check=False,
    )
    return result.stdout + result.stderr


def test_an_embedded_server_by_default(tmp_path: Path) -> None:
    assert "5 passed" in run_pytest(tmp_path)


@pytest.mark.parametrize("by", ["option", "environment"])
def test_a_server_by_its_url(tmp_path: Path, by: str, embedded_server: object) -> None:
    url = getattr(embedded_server, "auth_url", "")
    if by == "option":
        assert "5 passed" in run_pytest(tmp_path, f"--couchdb-url={url}")
    else:
        assert "5 passed" in run_pytest(tmp_path, COUCHDB_URL=url)


def test_a_server_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    output = run_pytest(tmp_path, "--couchdb-url=http://127.0.0.1:9")
    assert "TransportError" in output or "Connect" in output
    assert " error" in output


def test_nothing_starts_before_a_fixture_is_used(tmp_path: Path) -> None:
    """The plugin is loaded with every pytest of every project, so it must be light."""
    code = "import sys, aiocouch.testing.plugin; print('aiocouch.embedded' in sys.modules)"
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=tmp_path
    )
    assert result.stdout == "False\n"
