"""Every piece of Python in the README and the documentation runs."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.docs.blocks import Block, blocks_of, compare, run_block

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from aiocouch import CouchDB, Database
    from aiocouch.testing import CouchDBServer

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
WITH_CODE = [page for page in PAGES if any(b.runs_in_page for b in blocks_of(page))]
TEST_FILES = [block for page in PAGES for block in blocks_of(page) if block.is_test_file]
PROGRAMS = [block for page in PAGES for block in blocks_of(page) if block.is_program]

INI = """\
[pytest]
asyncio_mode = auto
asyncio_default_fixture_loop_scope = function
"""


@pytest.fixture
async def clean_server(couchdb: CouchDB) -> AsyncIterator[None]:
    """Delete the databases that a page has left behind."""
    before = set(await couchdb.keys())
    yield
    for name in set(await couchdb.keys()) - before:
        await (await couchdb[name]).delete()


@pytest.mark.parametrize("page", WITH_CODE, ids=lambda page: page.stem)
async def test_page(
    page: Path,
    couchdb_server: CouchDBServer,
    couchdb: CouchDB,
    db: Database,
    clean_server: None,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    namespace: dict[str, Any] = {
        "__name__": page.stem,
        "SERVER_URL": couchdb_server.url,
        "USER": couchdb_server.user,
        "PASSWORD": couchdb_server.password,
        "couchdb": couchdb,
        "db": db,
    }
    for block in blocks_of(page):
        if block.runs_in_page:
            await run_block(block, namespace)


def test_test_files(couchdb_server: CouchDBServer, tmp_path: Path) -> None:
    """The test files that the documentation shows pass, in a pytest of their own."""
    for block in TEST_FILES:
        file = tmp_path / f"test_{block.page.stem}_{block.line}.py"
        file.write_text(block.code, encoding="utf-8")
    (tmp_path / "pytest.ini").write_text(INI, encoding="utf-8")
    environment = {k: v for k, v in os.environ.items() if not k.startswith("PYTEST_")}
    result = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-W", "error", "--rootdir", tmp_path],
        cwd=tmp_path,
        env=environment | {"COUCHDB_URL": couchdb_server.auth_url},
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stdout + result.stderr


@pytest.mark.parametrize("block", PROGRAMS, ids=lambda block: f"{block.page.stem}-{block.line}")
def test_program(block: Block, tmp_path: Path) -> None:
    """The whole programs run as they stand."""
    file = tmp_path / "program.py"
    file.write_text(block.code, encoding="utf-8")
    result = subprocess.run(
        [sys.executable, "-W", "error", file],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stdout + result.stderr
    assert not result.stderr
    compare(block, result.stdout)


def test_there_is_something_to_run() -> None:
    assert len(WITH_CODE) > 10
    assert TEST_FILES
    assert PROGRAMS
