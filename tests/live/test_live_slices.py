"""A database read in parallel slices."""

from contextlib import aclosing

import pytest

import aiocouch
from aiocouch import Database

COUNT = 450


@pytest.fixture
async def many(db: Database) -> Database:
    async with db.create_docs([f"d{number:04}" for number in range(COUNT)]) as bulk:
        for doc in bulk:
            doc["text"] = "x" * 20_000  # so that a slice has about a hundred documents
    await (await db.create("_design/x")).save()
    return db


async def test_all_in_order(many: Database) -> None:
    plain = [doc.id async for doc in many.docs()]
    assert [doc.id async for doc in many.docs(streams=3)] == plain
    assert len(plain) == COUNT


async def test_all_in_any_order(many: Database) -> None:
    found = [doc.id async for doc in many.docs(streams=3, ordered=False, include_ddocs=True)]
    assert sorted(found) == [doc.id async for doc in many.docs(include_ddocs=True)]
    assert len(found) == COUNT + 1


async def test_a_range(many: Database) -> None:
    bounds = {"startkey": '"d0100"', "endkey": '"d0299"'}
    found = [doc.id async for doc in many.docs(streams=2, **bounds)]  # type: ignore[arg-type]
    assert found == [f"d{number:04}" for number in range(100, 300)]


async def test_an_empty_database(db: Database) -> None:
    assert [doc async for doc in db.docs(streams=4)] == []


async def test_leaving_early_stops_the_others(many: Database) -> None:
    async with aclosing(many.docs(streams=3)) as docs:
        assert (await anext(docs)).id == "d0000"
    assert (await many["d0000"]).exists


async def test_what_makes_no_slices_is_refused(db: Database) -> None:
    with pytest.raises(aiocouch.InvalidInputError, match="limit="):
        await anext(db.docs(streams=2, limit=1))
    with pytest.raises(aiocouch.InvalidInputError, match="ids="):
        db.docs(["a"], streams=2)
