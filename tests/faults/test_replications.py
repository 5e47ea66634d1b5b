"""Two replications that are cut again and again: in the end both databases are equal, leaf for leaf."""

from __future__ import annotations

import asyncio
import base64
import uuid
from typing import TYPE_CHECKING, Any

import aiohttp
import pytest

from aiocouch import CouchDBError, Database
from aiocouch.testing import BackgroundCouchDB, Faults
from tests.faults.oracle import Oracle, id_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from aiocouch.testing import CouchDBServer

PATIENCE = aiohttp.ClientTimeout(total=60)
FILE = bytes(range(256)) * 40


@pytest.fixture
def other_server() -> Iterator[CouchDBServer]:
    """Another server."""
    with BackgroundCouchDB() as server:
        yield server


@pytest.fixture
async def other(other_server: CouchDBServer) -> AsyncIterator[Oracle]:
    """An empty database on the other server."""
    async with Oracle(other_server, f"other-{uuid.uuid4().hex}") as oracle:
        await oracle.create()
        yield oracle


def document(number: int) -> list[dict[str, Any]]:
    """Make the revisions of a document: some have an attachment, some a conflict, some are deleted."""
    id = id_of(number)
    doc: dict[str, Any] = {"_id": id, "_rev": f"1-{number:032x}", "n": number}
    if number % 5 == 0:
        doc["_attachments"] = {"file": {"data": base64.b64encode(FILE + id.encode()).decode()}}
    if number % 11 == 0:
        doc["_deleted"] = True
    if number % 7:
        return [doc]
    return [doc, {"_id": id, "_rev": f"1-{'f' * 24}{number:08x}", "n": -number}]


async def fill(oracle: Oracle, count: int) -> None:
    for start in range(0, count, 100):  # aiohttp wants larger bodies otherwise
        some = range(start, min(start + 100, count))
        docs = [doc for number in some for doc in document(number)]
        await oracle.ask("POST", "/_bulk_docs", {"docs": docs, "new_edits": False})


async def leaves(oracle: Oracle) -> dict[str, Any]:
    """Give every leaf of every document, with its content and its attachments' content."""
    found = await oracle.ask("GET", "/_changes?style=all_docs")
    wanted = [
        {"id": row["id"], "rev": change["rev"]}
        for row in found["results"]
        for change in row["changes"]
    ]
    there: dict[str, Any] = {}
    for start in range(0, len(wanted), 500):
        some = {"docs": wanted[start : start + 500]}
        answer = await oracle.ask("POST", "/_bulk_get?revs=true&attachments=true", some)
        for result in answer["results"]:
            for entry in result["docs"]:
                there[f"{result['id']} {entry['ok']['_rev']}"] = plain(entry["ok"])
    assert len(there) == len(wanted)
    return there


def plain(doc: dict[str, Any]) -> dict[str, Any]:
    """Leave out what each database numbers for itself."""
    files = doc.get("_attachments", {})
    content = {name: (file["data"], file["content_type"]) for name, file in files.items()}
    return {**doc, "_attachments": content}


def cut(faults: Faults, times: int) -> None:
    """Break the connections so often, in several ways."""
    faults.cut(range(8000), head=True, times=times // 2, chance=0.3)
    faults.lose(times=times // 4, chance=0.2)
    faults.reset(times=times - times // 2 - times // 4, chance=0.2)


async def through(source: Database, target: Database) -> None:
    """Run a replication, and again when it has ended by an error."""
    for _ in range(5):
        try:
            await source.replicate_to(target, batch_size=50)
        except CouchDBError:
            continue
        return
    await source.replicate_to(target)


@pytest.mark.timeout(3600)
async def test_both_are_equal_leaf_for_leaf(
    couchdb_server: CouchDBServer,
    oracle: Oracle,
    db: Database,
    other: Oracle,
    other_server: CouchDBServer,
    seed: int,
    is_long: bool,
) -> None:
    count, cuts = (20_000, 50) if is_long else (300, 12)
    await fill(oracle, count)
    async with (
        Faults(couchdb_server, seed=seed) as faults,
        Faults(other_server, seed=seed + 1) as faults_there,
        faults.server.connect(timeout=PATIENCE) as session,
        faults_there.server.connect(timeout=PATIENCE) as session_there,
    ):
        here = Database(session, db.id)
        there = Database(session_there, other.name)
        cut(faults, cuts // 2)
        cut(faults_there, cuts - cuts // 2)
        await through(here, there)
        await oracle.write([{"_id": "later", "n": 1}])
        await other.write([{"_id": "there", "n": 2}])
        await asyncio.gather(through(here, there), through(there, here))
    assert faults.broken.total() + faults_there.broken.total() >= min(cuts, 8)
    assert await leaves(oracle) == await leaves(other)
