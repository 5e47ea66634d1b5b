"""What stands in the folder and is not ours."""

import sqlite3
from pathlib import Path

import pytest

from aiocouch.embedded.store import schema
from aiocouch.embedded.store.registry import Databases


async def test_what_others_put_there_stays(tmp_path: Path) -> None:
    home = tmp_path / "databases"
    (home / "notes of mine").mkdir(parents=True)
    (home / "notes of mine" / "text").write_text("keep me")
    (home / ".hidden").mkdir()
    (home / ".hidden" / "text").write_text("keep me too")
    begun = home / "begun"
    begun.mkdir()
    (begun / "database.sqlite").write_bytes(b"")
    grave = home / ".0123456789abcdef"
    grave.mkdir()
    databases = Databases(tmp_path)
    try:
        assert databases.names() == []
        assert (home / "notes of mine" / "text").read_text() == "keep me"
        assert (home / ".hidden" / "text").exists()
        assert not begun.exists()
        assert not grave.exists()
    finally:
        await databases.close()


async def test_a_name_is_free_after_a_creation_that_failed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise sqlite3.OperationalError("database or disk is full")

    databases = Databases(tmp_path)
    try:
        with monkeypatch.context() as patch:
            patch.setattr(schema, "create_tables", fail)
            with pytest.raises(sqlite3.OperationalError):
                databases.create("db")
        assert databases.create("db").name == "db"
    finally:
        await databases.close()
