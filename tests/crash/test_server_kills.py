"""Kill `aiocouch serve` under load over HTTP: all that was answered is there afterwards."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Any

import pytest

from tests.crash.ledger import DATABASE, Ledger, number
from tests.crash.load import Load
from tests.crash.processes import serving

if TYPE_CHECKING:
    from pathlib import Path

    from tests.crash.processes import Client

SEEDS = range(8)
KILLS = 4
MAP = "function (doc) { if ('k' in doc) { emit(doc.k, doc.n); } }"
DESIGN = {"views": {"v": {"map": MAP, "reduce": "_sum"}}}
INDEX = {"index": {"fields": ["k"]}, "ddoc": "k", "name": "k"}


async def ask(client: Client, method: str, path: str, json: object = None) -> Any:
    status, body = await client(method, f"{DATABASE}/{path}", json)
    assert status in {200, 201}, (path, status, body)
    return body


async def prepare(client: Client) -> None:
    """Make the database with its two indexes."""
    await ask(client, "PUT", "")
    await ask(client, "PUT", "_design/d", DESIGN)
    await ask(client, "POST", "_index", INDEX)


async def check_changes(client: Client, ledger: Ledger) -> None:
    """Each document is listed once, in order, and with the revision that is there."""
    changes = await ask(client, "GET", "_changes")
    seqs = [number(row["seq"]) for row in changes["results"]]
    assert seqs == sorted({*seqs})
    assert number(changes["last_seq"]) >= max(ledger.highest, *seqs)
    listed = [(row["id"], row["changes"][0]["rev"]) for row in changes["results"]]
    listed = [(doc_id, rev) for doc_id, rev in listed if not doc_id.startswith("_design/")]
    stored = {doc_id: document.rev for doc_id, document in ledger.documents.items()}
    assert dict(listed) == stored
    assert len(listed) == len(stored)


async def check_indexes(client: Client, ledger: Ledger, round_: int) -> None:
    """The indexes have the rows that a fresh one has, and that the documents say."""
    fresh = {"views": {"v": {"map": f"{MAP} // {round_}", "reduce": "_sum"}}}
    await ask(client, "PUT", f"_design/fresh{round_}", fresh)
    bodies = {doc_id: d.sure.body for doc_id, d in ledger.documents.items() if d.sure is not None}
    alive = {doc_id: body for doc_id, body in bodies.items() if body is not None}
    rows = sorted((body["k"], doc_id, body["n"]) for doc_id, body in alive.items())
    total = sum(body["n"] for body in alive.values())
    for design in ("d", f"fresh{round_}"):
        view = await ask(client, "GET", f"_design/{design}/_view/v?reduce=false")
        assert [(row["key"], row["id"], row["value"]) for row in view["rows"]] == rows
        assert view["total_rows"] == len(rows)
        reduced = await ask(client, "GET", f"_design/{design}/_view/v")
        assert [row["value"] for row in reduced["rows"]] == ([total] if rows else [])
    query = {"selector": {"k": {"$gte": 0}}, "fields": ["_id"], "limit": 1_000_000}
    found = await ask(client, "POST", "_find", {**query, "use_index": "k"})
    assert "warning" not in found
    assert [doc["_id"] for doc in found["docs"]] == [doc_id for _, doc_id, _ in rows]


@pytest.mark.timeout(120)
@pytest.mark.parametrize("seed", SEEDS)
async def test_all_that_was_answered_is_there_after_a_kill(tmp_path: Path, seed: int) -> None:
    chance = random.Random(seed)
    ledger = Ledger()
    for round_ in range(KILLS):
        async with serving(tmp_path) as client:
            if round_ == 0:
                await prepare(client)
            else:
                await check_changes(client, ledger)
                await check_indexes(client, ledger, round_)
            await Load(client, ledger, round_, chance).run(chance.randint(1, 400))
        await ledger.check(tmp_path)
    async with serving(tmp_path) as client:
        await check_changes(client, ledger)
        await check_indexes(client, ledger, KILLS)


@pytest.mark.timeout(120)
async def test_all_that_was_answered_is_there_after_a_gentle_end(tmp_path: Path) -> None:
    chance = random.Random(15)
    ledger = Ledger()
    for round_ in range(3):
        async with serving(tmp_path) as client:
            if round_ == 0:
                await prepare(client)
            await Load(client, ledger, round_, chance).run(chance.randint(1, 200), gently=True)
            assert await client.ended() == 0
        await ledger.check(tmp_path)
