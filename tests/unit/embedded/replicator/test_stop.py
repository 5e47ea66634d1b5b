"""A server that stops, or databases that go, in the middle of a replication."""

from __future__ import annotations

import asyncio

from tests.unit.embedded.server_client import ServerClient

DOCS = {"docs": [{"_id": f"{number:05}", "text": "x" * 500} for number in range(1500)]}


async def test_a_server_stops_in_the_middle_of_a_replication() -> None:
    async with ServerClient() as server:
        await server("PUT", "/a")
        await server("PUT", "/b")
        await server("POST", "/a/_bulk_docs", DOCS)
        target = server.embedded.server.databases.open("b")
        assert target is not None
        asked = asyncio.create_task(
            server("POST", "/_replicate", {"source": "a", "target": "b"}),
        )
        await target.changed_since(0)
        await server.embedded.stop()
        await asyncio.gather(asked, return_exceptions=True)


async def test_either_end_may_be_deleted_in_the_middle_of_a_replication() -> None:
    for end in ("/a", "/b"):
        async with ServerClient() as server:
            await server("PUT", "/a")
            await server("PUT", "/b")
            await server("POST", "/a/_bulk_docs", DOCS)
            target = server.embedded.server.databases.open("b")
            assert target is not None
            asked = asyncio.create_task(
                server("POST", "/_replicate", {"source": "a", "target": "b"}),
            )
            await target.changed_since(0)
            assert (await server("DELETE", end)).status == 200
            answer = await asked
            assert answer.status in {200, 404, 500}
            assert (await server("PUT", end)).status == 201
            again = await server("POST", "/_replicate", {"source": "a", "target": "b"})
            assert again.status == 200
