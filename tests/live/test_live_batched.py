"""Reads that go out together."""

import asyncio

import pytest

import aiocouch
from aiocouch import Database


async def test_everyone_gets_the_own_document_or_error(db: Database) -> None:
    async with db.create_docs([f"d{number}" for number in range(30)]) as bulk:
        for doc in bulk:
            doc["name"] = doc.id
    await (await db["d7"]).delete()
    together = db.batched(size=8)
    found = await asyncio.gather(
        *(together[f"d{number}"] for number in range(31)), return_exceptions=True
    )
    assert [type(one) for one in found if isinstance(one, BaseException)] == [
        aiocouch.NotFoundError
    ] * 2
    for number, one in enumerate(found):
        if isinstance(one, aiocouch.Document):
            assert one["name"] == one.id == f"d{number}"
        else:
            assert number in {7, 30}
            assert ("deleted" if number == 7 else "missing") in str(one)


async def test_the_same_document_twice_and_ids_of_all_kinds(db: Database) -> None:
    ids = ["a/b", "..", "ü 1", "_design/x", "_local/y"]
    for id in ids:
        await (await db.create(id)).save()
    together = db.batched()
    found = await asyncio.gather(*(together[id] for id in ids + ids))
    assert [doc.id for doc in found] == ids + ids
    assert all(doc["_id"] == doc.id for doc in found)
    assert found[0] is not found[5]


async def test_batched_documents_can_be_saved_and_fetched_again(db: Database) -> None:
    await (await db.create("one", data={"n": 1})).save()
    doc = await db.batched()["one"]
    doc["n"] = 2
    await doc.save()
    await doc.fetch()
    assert doc["n"] == 2
    assert (await db.batched().get("none", {"n": 3}))["n"] == 3


async def test_a_batch_must_have_a_size(db: Database) -> None:
    with pytest.raises(aiocouch.InvalidInputError, match="size=0"):
        db.batched(size=0)
