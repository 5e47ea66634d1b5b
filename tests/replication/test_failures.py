"""Replications that are cut, restarted, or start before their ends are there."""

from __future__ import annotations

from typing import TYPE_CHECKING

import aiohttp
from aiohttp import web

from aiocouch.embedded.server import EmbeddedCouchDB
from aiocouch.testing import CouchDBServer
from tests.replication.site import BIG, Site, embedded_site

if TYPE_CHECKING:
    from pathlib import Path


async def test_jobs_go_on_after_a_restart(
    session: aiohttp.ClientSession, here: Site, near: str, tmp_path: Path
) -> None:
    body = {"source": here.end(near), "target": here.end("made"), "create_target": True}
    async with EmbeddedCouchDB(tmp_path) as server:
        keeper = Site(session, CouchDBServer(server.url))
        await keeper.must("PUT", "_replicator/job", {**body, "continuous": True})
        await here.must("PUT", f"{near}/first", {})
        while (await here.ask("GET", "made"))[0] != 200:
            pass
        await here.wait_for("made", "first")
    await here.must("PUT", f"{near}/second", {})
    async with EmbeddedCouchDB(tmp_path) as server:
        await here.wait_for("made", "second")


async def test_a_job_mends_itself(session: aiohttp.ClientSession) -> None:
    async with EmbeddedCouchDB() as server:
        server.server.replicator.first_pause = 0.01
        site = Site(session, CouchDBServer(server.url))
        body = {"source": site.end("late"), "target": site.end("made"), "create_target": True}
        await site.must("PUT", "_replicator/job", body)
        while (await site.get("_scheduler/docs/_replicator/job"))["state"] != "crashing":
            pass
        await site.must("PUT", "late")
        await site.must("PUT", "late/doc", {})
        await site.wait_for_state("job", "completed")
        assert (await site.get("made/doc"))["_id"] == "doc"


async def test_a_missing_filter_may_come_later(session: aiohttp.ClientSession) -> None:
    async with EmbeddedCouchDB() as server:
        server.server.replicator.first_pause = 0.01
        site = Site(session, CouchDBServer(server.url))
        for name in ("a", "b"):
            await site.must("PUT", name)
        body = {"source": site.end("a"), "target": site.end("b"), "filter": "f/all"}
        await site.must("PUT", "_replicator/job", body)
        while (await site.get("_scheduler/docs/_replicator/job"))["state"] != "error":
            pass
        await site.must("PUT", "a/_design/f", {"filters": {"all": "function () { return true }"}})
        await site.wait_for_state("job", "completed")
        assert (await site.get("b/_design/f"))["_id"] == "_design/f"


class Gate:
    """A proxy that passes requests on to a server, and fails on some of them."""

    def __init__(self, session: aiohttp.ClientSession, target: str) -> None:
        self._session = session
        self._target = target
        self.refuse: set[str] = set()
        self.cut: set[str] = set()

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        """Pass one request on."""
        name = request.path.rstrip("/").rpartition("/")[2]
        if name in self.refuse:
            return web.json_response({"error": "not_found", "reason": "missing"}, status=404)
        response = web.StreamResponse()
        async with self._session.request(
            request.method,
            self._target + request.raw_path,
            data=await request.read() or None,
            headers={k: v for k, v in request.headers.items() if k.lower() != "content-length"},
        ) as answer:
            response.set_status(answer.status)
            response.headers["Content-Type"] = answer.headers["Content-Type"]
            await response.prepare(request)
            async for piece in answer.content.iter_any():
                if name in self.cut:
                    self.cut.discard(name)
                    assert request.transport is not None
                    request.transport.abort()
                    return response
                await response.write(piece)
        await response.write_eof()
        return response

    async def __aenter__(self) -> str:
        self._runner = web.ServerRunner(web.Server(self.handle))
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        host, port = self._runner.addresses[0][:2]
        return f"http://admin:admin@{host}:{port}"

    async def __aexit__(self, *_: object) -> None:
        await self._runner.cleanup()


async def test_a_source_without_bulk_get(
    session: aiohttp.ClientSession, here: Site, near: str
) -> None:
    await here.fill(near)
    gate = Gate(session, here.server.url)
    gate.refuse.add("_bulk_get")
    async with gate as url, embedded_site(session) as other:
        body = {"source": f"{url}/{near}", "target": "copy", "create_target": True}
        answer = await other.replicate(body)
        assert answer["history"][0]["bulk_get_attempts"] == 0
        assert await other.trees("copy") == await here.trees(near)


async def test_a_cut_in_an_attachment_is_mended(
    session: aiohttp.ClientSession, here: Site, near: str
) -> None:
    await here.must("PUT", f"{near}/files/big", data=BIG, Content_Type="x/big")
    gate = Gate(session, here.server.url)
    gate.cut.add("files")
    async with gate as url, embedded_site(session) as other:
        await other.must("PUT", "copy")
        body = {"source": f"{url}/{near}", "target": "copy"}
        assert (await other.replicate(body))["history"][0]["docs_written"] == 1
        assert not gate.cut
        assert await other.trees("copy") == await here.trees(near)


async def test_a_cut_in_the_changes_is_tried_again(
    session: aiohttp.ClientSession, here: Site, near: str
) -> None:
    await here.fill(near)
    gate = Gate(session, here.server.url)
    gate.cut |= {"_changes", "_bulk_get"}
    async with gate as url, embedded_site(session) as other:
        body = {"source": f"{url}/{near}", "target": "copy", "create_target": True}
        await other.replicate(body)
        assert await other.trees("copy") == await here.trees(near)


async def test_a_source_that_keeps_no_log(
    session: aiohttp.ClientSession, here: Site, near: str
) -> None:
    reader = {"name": "reader", "password": "x", "roles": [], "type": "user"}
    await here.must("PUT", "_users/org.couchdb.user:reader", reader)
    members = {"members": {"names": ["reader"]}, "admins": {"roles": ["_admin"]}}
    await here.must("PUT", f"{near}/_security", members)
    await here.validate(near, "if (user.name == 'reader') { throw({forbidden: 'no'}) }")
    async with embedded_site(session) as other:
        source = here.end(near).replace("admin:admin", "reader:x")
        body = {"source": source, "target": "copy", "create_target": True}
        assert (await other.replicate(body))["history"][0]["docs_written"] == 1
