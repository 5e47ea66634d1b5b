"""A server at an end of a replication: requests, documents to copy, and whole trees to compare."""

from __future__ import annotations

import base64
import contextlib
import random
import uuid
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import aiohttp
import msgspec
from yarl import URL

from aiocouch.embedded.server import EmbeddedCouchDB
from aiocouch.testing import CouchDBServer
from tests.support.cluster import Cluster, everywhere
from tests.support.validation import until_validated, validating

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

BIG = random.Random(20260924).randbytes(700_000)
TEXT = b"some text that compresses well " * 3000


class Site:
    """One server, asked as its admin."""

    def __init__(self, session: aiohttp.ClientSession, server: CouchDBServer) -> None:
        self.server = server
        self._session = session
        text = base64.b64encode(f"{server.user}:{server.password}".encode()).decode()
        self._headers = {"Authorization": f"Basic {text}", "Accept": "application/json"}

    async def ask(
        self, method: str, path: str, json: Any = None, *, data: bytes | None = None, **headers: str
    ) -> tuple[int, Any]:
        """Send a request; give the status and the answer, decoded."""
        status, body = await self.read(method, path, json, data=data, **headers)
        return status, msgspec.json.decode(body) if body else None

    async def read(
        self, method: str, path: str, json: Any = None, *, data: bytes | None = None, **headers: str
    ) -> tuple[int, bytes]:
        """Send a request; give the status and the answer as it came."""
        sent = {**self._headers, **{name.replace("_", "-"): text for name, text in headers.items()}}
        if json is not None:
            sent.setdefault("Content-Type", "application/json")
            data = msgspec.json.encode(json)
        url = URL(f"{self.server.url}/{path}", encoded=True)
        to_all = (everywhere,) if isinstance(self.server, Cluster) else ()
        async with self._session.request(
            method, url, data=data, headers=sent, middlewares=to_all
        ) as response:
            return response.status, await response.read()

    async def get(self, path: str) -> Any:
        """Give an answer that must be a success."""
        return await self.must("GET", path)

    async def must(self, method: str, path: str, json: Any = None, **more: Any) -> Any:
        """Send a request that must succeed."""
        status, answer = await self.ask(method, path, json, **more)
        assert status < 400, (method, path, status, answer)
        return answer

    def end(self, name: str) -> str:
        """Give the URL of a database with the credentials in it."""
        return f"{self.server.auth_url}/{name}"

    async def replicate(self, body: dict[str, Any]) -> dict[str, Any]:
        """Replicate and give the answer."""
        answer = await self.must("POST", "_replicate", body)
        assert isinstance(answer, dict)
        return answer

    async def wait_for(self, name: str, doc_id: str) -> dict[str, Any]:
        """Wait until a database has a document, by its changes feed."""
        since: Any = "0"
        while True:
            status, document = await self.ask("GET", f"{name}/{quote(doc_id, safe='')}")
            if status == 200:
                return dict(document)
            query = f"feed=longpoll&heartbeat=5000&since={quote(str(since))}"
            since = (await self.get(f"{name}/_changes?{query}"))["last_seq"]

    async def wait_for_state(self, doc_id: str, state: str) -> dict[str, Any]:
        """Wait until a `_replicator` document has come to a state."""
        since: Any = "0"
        while True:
            document = await self.get(f"_replicator/{doc_id}")
            if document.get("_replication_state") == state:
                return dict(document)
            query = f"feed=longpoll&heartbeat=5000&since={quote(str(since))}"
            since = (await self.get(f"_replicator/_changes?{query}"))["last_seq"]

    async def validate(self, name: str, body: str) -> None:
        """Have a database validate what is written, and wait until it does."""
        await self.must("PUT", f"{name}/_design/v", {"validate_doc_update": validating(body)})

        async def refuses(id: str) -> bool:
            return (await self.ask("PUT", f"{name}/{id}", {"_deleted": True}))[0] == 403

        await until_validated(refuses)

    # what is there

    async def trees(self, name: str) -> dict[str, Any]:
        """Give all leaves of all documents, with their histories and attachments."""
        changes = await self.get(f"{name}/_changes?style=all_docs")
        trees = {}
        for row in changes["results"]:
            path = f"{name}/{quote_id(row['id'])}?open_revs=all&revs=true&attachments=true"
            leaves = [leaf["ok"] for leaf in await self.get(path)]
            trees[row["id"]] = {
                "winner": row["changes"][0]["rev"],
                "deleted": row.get("deleted", False),
                "leaves": sorted(leaves, key=lambda leaf: str(leaf["_rev"])),
            }
        return trees

    async def fill(self, name: str) -> None:
        """Write documents of every kind: plain, deleted, in conflict, with attachments."""
        plain = [{"_id": f"d{n}", "n": n, "big": 12345678901234567890123} for n in range(620)]
        strange = [{"_id": "ü/ö +?%", "f": 1.5}, {"_id": "_design/x", "views": {}}]
        await self.must("POST", f"{name}/_bulk_docs", {"docs": plain + strange})
        rev = (await self.get(f"{name}/d7"))["_rev"]
        await self.must("DELETE", f"{name}/d7?rev={rev}")
        await self._fill_conflicts(name)
        await self._fill_attachments(name)

    async def _fill_conflicts(self, name: str) -> None:
        a, b, c = ("abc"[n] * 32 for n in range(3))
        edits = [
            {"_id": "fork", "_rev": f"1-{a}", "side": "a"},
            {"_id": "fork", "_rev": f"1-{b}", "side": "b"},
            {
                "_id": "fork",
                "_rev": f"2-{c}",
                "_revisions": {"start": 2, "ids": [c, b]},
                "_deleted": True,
            },
            {"_id": "fork", "_rev": f"2-{a}", "_revisions": {"start": 2, "ids": [a, a]}, "n": 2},
            {"_id": "pair", "_rev": f"1-{a}", "_attachments": {"x": {"data": "AAEC", "revpos": 1}}},
            {"_id": "pair", "_rev": f"1-{b}", "_attachments": {"y": {"data": "AAE=", "revpos": 1}}},
        ]
        body = {"docs": edits, "new_edits": False}
        assert await self.must("POST", f"{name}/_bulk_docs", body) == []

    async def _fill_attachments(self, name: str) -> None:
        rev = ""
        for attachment, data, kind in [
            ("big.bin", BIG, "application/octet-stream"),
            ("a%2Fb%20%C3%BC.txt", TEXT, "text/plain"),
            ("empty", b"", "text/plain"),
        ]:
            path = f"{name}/files/{attachment}{rev and f'?rev={rev}'}"
            rev = (await self.must("PUT", path, data=data, Content_Type=kind))["rev"]
        inline = {"t": {"content_type": "text/css", "data": "aGVsbG8="}, "r": {"data": "AAEC"}}
        await self.must("PUT", f"{name}/inline", {"_attachments": inline})


def quote_id(doc_id: str) -> str:
    """Quote a document id for a path."""
    return doc_id if doc_id.startswith("_design/") else quote(doc_id, safe="")


@contextlib.asynccontextmanager
async def open_session() -> AsyncIterator[aiohttp.ClientSession]:
    """Open connections for one test."""
    async with aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar()) as session:
        yield session


@contextlib.asynccontextmanager
async def embedded_site(session: aiohttp.ClientSession) -> AsyncIterator[Site]:
    """Run a fresh embedded server."""
    async with EmbeddedCouchDB() as server:
        yield Site(session, CouchDBServer(server.url))


@contextlib.asynccontextmanager
async def fresh_database(site: Site) -> AsyncIterator[str]:
    """Make a database with a name of its own, and remove it."""
    name = f"repl-{uuid.uuid4().hex}"
    await site.must("PUT", name)
    yield name
    await site.ask("DELETE", name)
