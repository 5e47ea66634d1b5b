"""Streams, changes and merges when answers are lost: each is done once, and none is told wrongly."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import aiohttp
import pytest

from aiocouch import Database
from aiocouch.testing import Faults

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from aiocouch import Document
    from aiocouch.testing import CouchDBServer

SHARE = 0.2
PATIENCE = aiohttp.ClientTimeout(total=30)


def lose_answers(faults: Faults, share: float) -> None:
    """Break this share of the requests; of most of them the server has done what was asked."""
    faults.lose(chance=share * 0.5, times=None)
    faults.cut(range(300), head=True, chance=share * 0.25, times=None)
    faults.reset(chance=share * 0.15, times=None)
    faults.answer(503, chance=share * 0.1, times=None)


@pytest.fixture
async def unlucky(
    couchdb_server: CouchDBServer, db: Database, seed: int
) -> AsyncIterator[Database]:
    """The database of the test, behind a proxy that breaks a fifth of the requests."""
    async with behind_faults(couchdb_server, db, seed) as unlucky:
        yield unlucky


@asynccontextmanager
async def behind_faults(
    server: CouchDBServer, db: Database, seed: int, share: float = SHARE
) -> AsyncIterator[Database]:
    async with Faults(server, seed=seed) as faults, faults.server.connect(timeout=PATIENCE) as far:
        lose_answers(faults, share)
        yield Database(far, db.id)
        assert sum(faults.broken.values()), "no request was broken"


async def revisions(db: Database) -> dict[str, str]:
    return {row.key: row.value["rev"] async for row in db.all_docs.rows()}


async def numbers(db: Database) -> list[int]:
    return sorted([doc["n"] async for doc in db.docs()])


def count_up(document: Document) -> None:
    document["n"] += 1


@pytest.mark.timeout(1800)
async def test_each_document_of_a_stream_is_written_once(
    unlucky: Database, db: Database, is_long: bool
) -> None:
    count, batch_size = (100_000, 1_000) if is_long else (3_000, 50)

    def docs() -> Iterator[dict[str, Any]]:
        for number in range(count):
            yield {"_id": f"{number:07}", "n": number} if number % 2 else {"n": number}

    told = {}
    async for outcome in unlucky.write(docs(), batch_size=batch_size):
        assert outcome.state == "written", outcome
        told[outcome.id] = outcome.rev
    assert await revisions(db) == told
    assert {str(rev)[:2] for rev in told.values()} == {"1-"}
    assert await numbers(db) == list(range(count))
    assert [found async for found in db.conflicts()] == []


async def test_each_edit_of_a_stream_is_made_once(unlucky: Database, db: Database) -> None:
    ids = [f"{number:04}" for number in range(1_500)]
    first = {outcome.id: outcome.rev async for outcome in db.write({"_id": id} for id in ids)}
    edits = [{"_id": id, "_rev": rev, "n": 1} for id, rev in first.items()]
    told = {outcome.id: outcome async for outcome in unlucky.write(edits, batch_size=50)}
    assert {outcome.state for outcome in told.values()} == {"written"}
    assert await revisions(db) == {id: outcome.rev for id, outcome in told.items()}
    assert {str(outcome.rev)[:2] for outcome in told.values()} == {"2-"}


async def test_a_document_of_others_is_still_a_conflict(unlucky: Database, db: Database) -> None:
    ids = [f"{number:04}" for number in range(1_000)]
    await db.write({"_id": id, "of": "others"} for id in ids[::3])
    docs = [{"_id": id, "of": "us"} for id in ids]
    told = {outcome.id: outcome.error async for outcome in unlucky.write(docs, batch_size=50)}
    assert told == {id: None if number % 3 else "conflict" for number, id in enumerate(ids)}


async def test_each_change_is_made_once(unlucky: Database, db: Database) -> None:
    await db.write({"_id": f"{number}", "n": 0} for number in range(5))
    changes = [unlucky.update(f"{number % 5}", count_up) for number in range(100)]
    told = await asyncio.gather(*changes)
    assert await numbers(db) == [20] * 5
    assert len({(doc.id, doc.rev) for doc in told}) == 100


async def test_each_of_many_is_changed_once(unlucky: Database, db: Database) -> None:
    ids = [f"{number:04}" for number in range(1_500)]
    await db.write({"_id": id, "n": 0} for id in ids[:1_000])
    changing = unlucky.upsert_many(ids, count_up, {"n": 0}, batch_size=50)
    assert {outcome.state async for outcome in changing} == {"written"}
    assert await numbers(db) == [1] * 1_500
    assert {rev[0] for rev in (await revisions(db)).values()} == {"1", "2"}


async def test_no_version_of_a_conflict_is_lost(unlucky: Database, db: Database) -> None:
    ids = [f"{number}" for number in range(60)]
    for digit in "abc":
        docs = [{"_id": id, "_rev": f"1-{digit * 32}", "who": [digit]} for id in ids]
        assert await db.bulk_docs(docs, new_edits=False) == []

    def together(base: Document | None, versions: list[Document]) -> dict[str, Any]:
        return {"who": sorted(who for version in versions for who in version["who"])}

    for id in ids:
        assert (await unlucky.resolve(id, together))["who"] == ["a", "b", "c"]
    assert [doc["who"] async for doc in db.docs()] == [["a", "b", "c"]] * 60
    assert [found async for found in db.conflicts()] == []
