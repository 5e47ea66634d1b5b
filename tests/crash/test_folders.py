"""Folders that another process has, that were cut short, or that another version wrote."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from aiocouch.embedded import FolderInUseError, FormatError
from aiocouch.embedded.store.registry import Databases
from tests.crash.processes import ROOT, serving

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path


@pytest.fixture
async def databases(tmp_path: Path) -> AsyncIterator[Databases]:
    """The folder that the killed process had, opened here."""
    found = Databases(tmp_path)
    yield found
    await found.close()


async def test_a_folder_is_served_by_one_process_only(tmp_path: Path) -> None:
    async with serving(tmp_path) as client:
        with pytest.raises(FolderInUseError, match=r"is in use: another process"):
            Databases(tmp_path)
        assert (await client("PUT", "still"))[0] == 201
        client.kill()
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
