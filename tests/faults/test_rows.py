"""Answers that are cut at any byte: each row comes once and in its place, or there is an error."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, TypeAlias

import pytest

from aiocouch import CouchDBError, Database, RetryPolicy
from aiocouch.testing import Faults
from tests.faults.oracle import id_of

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from aiocouch.testing import CouchDBServer
    from tests.faults.oracle import Oracle

Rows: TypeAlias = "list[tuple[str, int]]"
DOCUMENTS = 300
MAP = "function (doc) { emit(doc.n, null); }"
QUICK = RetryPolicy(first_wait=0.01, longest_wait=0.05, budget=10_000)


async def docs(db: Database) -> Rows:
    return [(doc.id, doc["n"]) async for doc in db.docs()]


async def sliced(db: Database) -> Rows:
    return [(doc.id, doc["n"]) async for doc in db.docs(streams=3)]


async def keys(db: Database) -> Rows:
    return [(id, int(id[3:])) async for id in db.akeys() if not id.startswith("_")]


async def found(db: Database) -> Rows:
    return sorted([(doc.id, doc["n"]) async for doc in db.find({"n": {"$gte": 0}})])


async def of_a_view(db: Database) -> Rows:
    return [(doc.id, doc["n"]) async for doc in db.view("d", "v").docs()]


async def changed(db: Database) -> Rows:
    events = [event async for event in db.changes(include_docs=True)]
    return sorted((event.id, event.json["doc"]["n"]) for event in events if event.id[0] != "_")


WORKS = (docs, sliced, keys, found, of_a_view, changed)


async def prepare(oracle: Oracle) -> Rows:
    await oracle.fill(DOCUMENTS)
    await oracle.ask("PUT", "/_design/d", {"views": {"v": {"map": MAP}}})
    await oracle.ask("GET", "/_design/d/_view/v?limit=1")
    return [(id_of(number), number) for number in range(DOCUMENTS)]


@pytest.mark.timeout(1200)
@pytest.mark.parametrize("retry", [QUICK, None], ids=["default", "off"])
async def test_each_row_comes_once_or_there_is_an_error(
    couchdb_server: CouchDBServer,
    oracle: Oracle,
    db: Database,
    seed: int,
    is_long: bool,
    retry: RetryPolicy | None,
) -> None:
    rows = await prepare(oracle)
    cuts = 1000 if is_long else 60
    ends: Counter[str] = Counter()
    errors: list[str] = []
    async with (
        Faults(couchdb_server, seed=seed) as faults,
        faults.server.connect(retry=retry) as session,
    ):
        rule = faults.cut(range(40_000), head=True, times=None, chance=0.5)
        while rule.hits < cuts:
            for work in WORKS:
                ends[await end_of(work, Database(session, db.id), rows, errors)] += 1
    assert ends["whole"] > 0
    assert ends.keys() <= {"whole", "error"}, ends
    if retry is None:
        assert ends["error"] > cuts * 0.3
    else:
        # A feed of changes does not go on by itself: that is what followers are for.
        of_rows = [said for said in errors if not said.startswith("changed")]
        assert len(of_rows) < cuts * 0.05, of_rows


async def end_of(
    work: Callable[[Database], Awaitable[Rows]], db: Database, rows: Rows, errors: list[str]
) -> str:
    """Say how a loop ended."""
    try:
        came = await work(db)
    except CouchDBError as error:
        errors.append(f"{work.__name__}: {type(error).__name__}: {error}")
        return "error"
    return "whole" if came == rows else f"{work.__name__}: {len(came)} of {len(rows)} rows"
