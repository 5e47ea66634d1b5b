"""Nodes that go away under mixed load: nothing fails that may be tried again.

The nodes are three ways to one server, so that all have seen each write: what is tested is the client.
"""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING

import pytest

from aiocouch import CouchDB, Database
from aiocouch.testing import Faults
from tests.faults.oracle import id_of
from tests.faults.saves import Saver, prepare, verdicts

if TYPE_CHECKING:
    from aiocouch.testing import CouchDBServer, SeenRequest
    from tests.faults.oracle import Oracle

DEADLINE = 60.0
CALLERS = 8


async def read(db: Database, count: int) -> None:
    """Read in every way; what is not as it must be is an AssertionError."""
    known = [number for number in range(count) if number % 4 == 3]  # nobody changes these now
    for number in known:
        assert (await db[id_of(number)])["by"] == "a rival"
    found = {doc.id async for doc in db.find({"by": "a rival"})}
    assert found == {id_of(number) for number in known}
    assert found <= {id async for id in db.akeys()}
    await db.info()


class Traffic:
    """Counts requests, whichever node they go to."""

    def __init__(self, nodes: list[Faults]) -> None:
        self._missing = 0
        self._enough = asyncio.Event()
        for node in nodes:
            node.reset(when=self._count, times=None)  # of which it breaks none

    def _count(self, _: SeenRequest) -> bool:
        self._missing -= 1
        if self._missing <= 0:
            self._enough.set()
        return False

    async def go_on_for(self, requests: int) -> None:
        """Wait until so many more have come."""
        self._missing = requests
        self._enough.clear()
        await self._enough.wait()


async def go_away(nodes: list[Faults], times: int) -> None:
    """Let one node after the other be down, each while some requests go elsewhere."""
    traffic = Traffic(nodes)
    for number in range(times):
        await traffic.go_on_for(10)
        async with nodes[number % len(nodes)].refusing():
            await traffic.go_on_for(30)


@pytest.mark.timeout(1200)
async def test_nothing_fails_that_may_be_tried_again(
    couchdb_server: CouchDBServer, oracle: Oracle, db: Database, is_long: bool
) -> None:
    count, times = (3000, 12) if is_long else (120, 2)
    known = await prepare(oracle, count)
    async with contextlib.AsyncExitStack() as stack:
        nodes = [await stack.enter_async_context(Faults(couchdb_server)) for _ in range(3)]
        urls = [node.url for node in nodes]
        session = CouchDB(urls, couchdb_server.user, couchdb_server.password)
        ours = Database(await stack.enter_async_context(session), db.id)
        saver = Saver(ours, known)
        killer = asyncio.create_task(go_away(nodes, times))
        await asyncio.gather(saver.run(count, CALLERS), *(read(ours, count) for _ in range(3)))
        while not killer.done():
            await read(ours, count)
        await killer
        assert sum(bool(node.requests) for node in nodes) >= 2
    found = await verdicts(saver.outcomes, oracle, DEADLINE)
    assert found.keys() == {"right"}, (found, [one.said for one in saver.outcomes if one.said])
