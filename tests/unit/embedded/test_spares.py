"""Databases in memory that are kept, empty, for the next ones."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from aiocouch.embedded import EmbeddedCouchDB
from aiocouch.embedded.store import schema, spares

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterator

    from aiocouch import CouchDB

SETTINGS = {"chttpd_auth": {"iterations": "10"}}


@pytest.fixture(autouse=True)
def _no_spares() -> Iterator[None]:
    """Begin and end without any."""
    kept = []
    while (connection := spares.take_spare()) and schema.has_tables(connection):
        kept.append(connection)
    connection.close()
    yield
    for connection in kept:
        spares.keep_spare(connection)


def _made() -> sqlite3.Connection:
    connection = spares.take_spare()
    schema.copy_tables(connection, schema.Origin("ab" * 16, partitioned=False))
    return connection


def _contents(connection: sqlite3.Connection) -> dict[str, list[Any]]:
    tables = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall()
    return {name: connection.execute(f"SELECT * FROM {name}").fetchall() for (name,) in tables}


def test_one_is_empty_and_as_small_as_a_new_one() -> None:
    first = _made()
    size = first.execute("PRAGMA page_count").fetchone()
    for number in range(100):
        row = (number, f"d{number}", "1-a", 0, b"x" * 2000, None, None)
        first.execute("INSERT INTO docs VALUES (?, ?, ?, ?, ?, ?, ?)", row)
    first.execute("INSERT INTO attachment_chunks VALUES (1, x'00')")
    spares.keep_spare(first)
    second = spares.take_spare()
    assert second is first
    assert {name for name, rows in _contents(second).items() if rows} == set()
    assert second.execute("PRAGMA page_count").fetchone() == size
    second.close()


def test_what_was_set_for_one_is_not_for_the_next() -> None:
    first = _made()
    traced: list[str] = []
    first.execute("PRAGMA max_page_count = 20")
    first.set_trace_callback(traced.append)
    spares.keep_spare(first)
    traced.clear()
    second = spares.take_spare()
    assert second is first
    second.execute("INSERT INTO locals VALUES ('_local/a', 1, zeroblob(500000))")
    assert traced == []
    second.close()


@pytest.mark.parametrize("what", ["tables", "transaction", "temporary", "large"])
def test_what_is_not_kept(what: str) -> None:
    connection = schema.connect(None) if what == "tables" else _made()
    if what == "transaction":
        connection.execute("BEGIN")
    elif what == "temporary":
        connection.execute("CREATE TEMP TABLE theirs (number INTEGER)")
    elif what == "large":
        connection.execute("INSERT INTO locals VALUES ('_local/a', 1, zeroblob(5000000))")
    spares.keep_spare(connection)
    other = spares.take_spare()
    assert other is not connection
    assert not schema.has_tables(other)
    other.close()


def test_a_few_are_kept() -> None:
    made = [_made() for _ in range(10)]
    for connection in made:
        spares.keep_spare(connection)
    kept = [spares.take_spare() for _ in range(10)]
    assert 0 < sum(connection in made for connection in kept) < 10
    for connection in kept:
        connection.close()


async def _seen(couchdb: CouchDB) -> Any:
    db = await couchdb.create("notes")
    info = await db.info()
    changes = (await couchdb.request("GET", "/notes/_changes")).json()
    shown = {name: info[name] for name in ("doc_count", "doc_del_count", "sizes", "props")}
    return shown, changes["results"], (await db.security()).json, info["purge_seq"][:2]


async def test_nothing_is_left_for_the_next_database() -> None:
    async with EmbeddedCouchDB(settings=SETTINGS).connect() as couchdb:
        new = await _seen(couchdb)
        db = await couchdb["notes"]
        async with db.create_docs() as bulk:
            for number in range(20):
                bulk.create(f"d{number}", {"number": number})
        doc = await db.get("d1")
        await doc.attachment("text").save(b"content" * 1000, "text/plain")
        await (await db.get("d2")).delete()
        security = await db.security()
        security.add_member("anna")
        await security.save()
        assert await (await db.design_doc("d")).save() is not None
        await db.delete()
        assert await _seen(couchdb) == new
    async with EmbeddedCouchDB(settings=SETTINGS).connect() as couchdb:
        assert await _seen(couchdb) == new
