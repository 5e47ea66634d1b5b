"""Kill `aiocouch serve` while an index is built: the next process goes on, and all rows are there."""

from __future__ import annotations

import asyncio
import contextlib
import random
from typing import TYPE_CHECKING, Any

import pytest

from aiocouch.embedded.documents.attachment import Compression
from aiocouch.embedded.documents.edits import read_edit
from aiocouch.embedded.identity import SYSTEM
from aiocouch.embedded.state import Server
from tests.crash.ledger import DATABASE
from tests.crash.processes import GONE, serving

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from pathlib import Path

    from tests.crash.processes import Client

    #: gives (key, id) of all rows
    Query = Callable[[Client], Awaitable[list[tuple[int, str]]]]

KILLS = 6
DOCUMENTS = 22_000
"""More than two transactions of an index."""
CHANGED = 20
VIEW = {"views": {"v": {"map": "function (doc) { if ('k' in doc) { emit(doc.k, null); } }"}}}


async def fill(folder: Path, bodies: dict[str, dict[str, Any]]) -> None:
    """Write the documents without HTTP."""
    server = Server(folder)
    update = server.update(server.databases.create(DATABASE), SYSTEM)
    edits = [read_edit({"_id": doc_id, **body}, Compression()) for doc_id, body in bodies.items()]
    await update.run([read_edit({"_id": "_design/d", **VIEW}, Compression())])
    await update.run(edits)
    await server.close()


async def ask(client: Client, method: str, path: str, json: object = None) -> Any:
    status, body = await client(method, f"{DATABASE}/{path}", json)
    assert status in {200, 201}, (path, status, body)
    return body


async def rows_of_view(client: Client) -> list[tuple[int, str]]:
    view = await ask(client, "GET", "_design/d/_view/v")
    assert view["total_rows"] == len(view["rows"])
    return [(row["key"], row["id"]) for row in view["rows"]]


async def rows_of_find(client: Client) -> list[tuple[int, str]]:
    index = {"index": {"fields": ["k"]}, "ddoc": "m", "name": "m"}
    await ask(client, "POST", "_index", index)
    query = {"selector": {"k": {"$gte": 0}}, "fields": ["k", "_id"], "use_index": "m"}
    found = await ask(client, "POST", "_find", {**query, "limit": 1_000_000})
    assert "warning" not in found
    return [(doc["k"], doc["_id"]) for doc in found["docs"]]


async def progress(client: Client) -> int:
    """Say how many changes an index has seen that is being built, -1 while none is."""
    _, tasks = await client("GET", "_active_tasks")
    assert isinstance(tasks, list)
    return max((task["changes_done"] for task in tasks), default=-1)


async def kill_while_building(client: Client, query: Query, at: int) -> bool:
    """Kill the server once the index is so far; False where it was complete before."""
    building = asyncio.ensure_future(query(client))
    while not building.done() and await progress(client) < at:
        pass
    was_building = not building.done()
    client.kill()
    with contextlib.suppress(*GONE):
        await building
    return was_building


async def change(client: Client, bodies: dict[str, dict[str, Any]], chance: random.Random) -> None:
    """Change and delete some documents, so that rows of the index have to go."""
    for doc_id in chance.sample(sorted(bodies), CHANGED):
        rev = (await ask(client, "GET", doc_id))["_rev"]
        if chance.random() < 0.5:
            bodies[doc_id] = {"k": chance.randrange(1000)}
            await ask(client, "PUT", doc_id, {**bodies[doc_id], "_rev": rev})
        else:
            del bodies[doc_id]
            await ask(client, "DELETE", f"{doc_id}?rev={rev}")


@pytest.mark.timeout(120)
@pytest.mark.parametrize("query", [rows_of_view, rows_of_find], ids=["view", "find"])
async def test_an_index_is_whole_though_its_building_was_cut_short(
    tmp_path: Path, query: Query
) -> None:
    chance = random.Random(5984)
    bodies = {f"{number:05}": {"k": chance.randrange(1000)} for number in range(DOCUMENTS)}
    await fill(tmp_path, bodies)
    cut = 0
    for kills in range(KILLS):
        async with serving(tmp_path) as client:
            await change(client, bodies, chance)
            # as soon as it has begun, or after its first transaction, in turn
            cut += await kill_while_building(client, query, kills % 2)
    assert cut > 1
    async with serving(tmp_path) as client:
        wanted = sorted((body["k"], doc_id) for doc_id, body in bodies.items())
        assert await query(client) == wanted
