"""Databases to be dumped, and to be restored into."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING

import pytest

from _aiocouch_pytest import delete_leftover
from tests.dumping.databases import fill

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from aiocouch import CouchDB, Database


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.getgroup("aiocouch").addoption(
        "--dump-kills", type=int, default=5, help="how often a dump and a restore are killed"
    )


@pytest.fixture
async def full(db: Database) -> Database:
    """A database that has everything."""
    await fill(db)
    return db


@pytest.fixture
async def copy(couchdb: CouchDB) -> AsyncIterator[Database]:
    """A database that does not exist yet."""
    database = couchdb.database(f"test-{uuid.uuid4().hex}")
    yield database
    await delete_leftover(database)


@pytest.fixture
async def dumped(full: Database, tmp_path: Path) -> Path:
    """A dump of it."""
    from aiocouch.dumping import Dump

    path = tmp_path / "full.dump.gz"
    await Dump(full, path, local=True)
    return path
