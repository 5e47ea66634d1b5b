"""Ids with characters that mean something to others: they are read in groups as they are one by one."""

from __future__ import annotations

import sqlite3
from typing import TYPE_CHECKING

import pytest

from aiocouch.embedded import EmbeddedCouchDB
from aiocouch.embedded.store.among import among

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from aiocouch import Database

SETTINGS = {"chttpd_auth": {"iterations": "10"}}
ODD = ["a\0b", "a", 'q"q', "back\\slash", "é\x01\x7f", "\0"]


@pytest.fixture
async def db() -> AsyncIterator[Database]:
    async with EmbeddedCouchDB(settings=SETTINGS).connect() as couchdb:
        database = await couchdb.create("odd")
        async with database.create_docs() as bulk:
            for number, id in enumerate(ODD):
                bulk.create(id, {"number": number})
        design = await database.design_doc("d")
        design["language"] = "query"
        design["views"] = {
            "by_number": {
                "map": {"fields": {"number": "asc"}},
                "options": {"def": {"fields": ["number"]}},
            }
        }
        await design.save()
        yield database


@pytest.mark.parametrize("texts", [[], ["a"], ODD, ["a\0b"], ["\0", "a\0c"]])
def test_texts_in_sql(texts: list[str]) -> None:
    connection = sqlite3.connect(":memory:")
    connection.execute("CREATE TABLE docs (id TEXT)")
    connection.executemany("INSERT INTO docs VALUES (?)", [(id,) for id in ODD])
    condition, values = among(texts)
    found = connection.execute(f"SELECT id FROM docs WHERE id {condition}", values).fetchall()
    connection.close()
    assert {id for (id,) in found} == set(texts) & set(ODD)


async def test_changes_of_some_documents(db: Database) -> None:
    found = [change.id async for change in db.changes(doc_ids=ODD[:3])]
    assert sorted(found) == sorted(ODD[:3])


async def test_a_query_with_documents(db: Database) -> None:
    found = {doc.id: doc["number"] async for doc in db.find({"number": {"$gte": 0}})}
    assert found == {id: number for number, id in enumerate(ODD)}


async def test_a_document_that_changes_leaves_its_row_in_an_index(db: Database) -> None:
    assert [doc.id async for doc in db.find({"number": 0})] == ["a\0b"]
    doc = await db.get("a\0b")
    doc["number"] = 100
    await doc.save()
    assert [doc.id async for doc in db.find({"number": 0})] == []
    assert [doc.id async for doc in db.find({"number": 100})] == ["a\0b"]
    rows = [row.id async for row in db.view("d", "by_number").rows(reduce=False)]
    assert sorted(map(str, rows)) == sorted(ODD)
