"""Clients that keep a server busy in every way that stores something, and note what it answers."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
from typing import TYPE_CHECKING, Any, cast

import msgspec

from tests.crash.ledger import DATABASE, Content, Document, Ledger, number
from tests.crash.processes import GONE

if TYPE_CHECKING:
    import random
    from collections.abc import Coroutine

    from tests.crash.processes import Client

CHUNK = 262_144
SIZES = (0, 1, 1000, CHUNK - 1, CHUNK, 300_000, 700_000, 1_300_000)


def filled(size: int) -> bytes:
    """Give content that has no two equal chunks."""
    seed = hashlib.sha256(str(size).encode()).digest()
    return b"".join(
        hashlib.sha256(seed + start.to_bytes(4, "big")).digest() * 128
        for start in range(0, size, 4096)
    )[:size]


FILES = {size: filled(size) for size in SIZES}


class Load:
    """The clients of one round; `run` ends the server when so many writes are acknowledged."""

    def __init__(self, client: Client, ledger: Ledger, round_: int, chance: random.Random) -> None:
        self._client = client
        self._ledger = ledger
        self._round = round_
        self._chance = chance
        self._wanted = 0
        self._end = client.kill

    async def run(self, writes: int, *, gently: bool = False) -> None:
        """Write until the kill (or, gently, SIGTERM); what a client finds wrong before is raised."""
        self._wanted = self._ledger.acknowledged + writes
        self._end = self._client.terminate if gently else self._client.kill
        clients: list[Coroutine[Any, Any, None]] = [
            *(self.documents(name) for name in ("a", "b", "c")),
            *(self.attachments(name) for name in ("x", "y")),
            self.bulks(),
            self.branches(),
            self.purges(),
            self.settings(),
            self.indexes(),
            self.changes(),
        ]
        for ended in await asyncio.gather(*clients, return_exceptions=True):
            if isinstance(ended, BaseException) and not isinstance(ended, GONE):
                raise ended
        assert self._ledger.acknowledged >= self._wanted

    async def ask(self, method: str, path: str, json: object = None) -> Any:
        """Send a request into the database; anything but success is an error."""
        status, body = await self._client(method, f"{DATABASE}/{path}", json)
        assert status in {200, 201, 202}, (method, path, status, body)
        return body

    def count(self) -> None:
        """End the server when it has answered enough."""
        if self._ledger.acknowledged >= self._wanted:
            self._end()

    def name(self, client: str, place: int) -> str:
        return f"{client}-{self._round}-{place}"

    def body(self) -> dict[str, Any]:
        return {"k": self._chance.randrange(50), "n": self._chance.randrange(1000)}

    # documents

    async def put(self, doc_id: str, content: Content, **members: Any) -> None:
        document = self._ledger.attempt(doc_id, content)
        body = {**(content.body or {"_deleted": True}), **members}
        if document.rev is not None:
            body["_rev"] = document.rev
        answer = await self.ask("PUT", doc_id, body)
        self._ledger.acknowledge(doc_id, answer["rev"])
        self.count()

    async def documents(self, client: str) -> None:
        """Create, change and delete documents, some with small attachments of the same content."""
        for place in range(1_000_000):
            doc_id = self.name(client, place)
            await self.put(doc_id, Content(self.body()))
            files = {"small": b"xxx"}
            inline = {"small": {"data": "eHh4", "content_type": "text/plain"}}
            await self.put(doc_id, Content(self.body(), files), _attachments=inline)
            if place % 3 == 0:
                await self.put(doc_id, Content(None))

    async def attachments(self, client: str) -> None:
        """Put attachments of all sizes; both clients use the same contents."""
        for place in range(1_000_000):
            doc_id = self.name(client, place)
            body = self.body()
            await self.put(doc_id, Content(body))
            files: dict[str, bytes] = {}
            for size in self._chance.sample(SIZES, 2):
                files = {**files, f"f{size}": FILES[size]}
                await self.put_file(doc_id, f"f{size}", Content(body, files))

    async def put_file(self, doc_id: str, name: str, content: Content) -> None:
        document = self._ledger.attempt(doc_id, content)
        path = f"{DATABASE}/{doc_id}/{name}?rev={document.rev}"
        status, answer = await self._client("PUT", path, data=content.files[name])
        assert status == 201, (path, answer)
        self._ledger.acknowledge(doc_id, cast("dict[str, str]", answer)["rev"])
        self.count()

    async def bulks(self) -> None:
        """Write many documents at once, and then all of them again."""
        for place in range(1_000_000):
            ids = [self.name(f"bulk{place}", number) for number in range(25)]
            for _ in range(2):
                docs = [self._in_bulk(doc_id) for doc_id in ids]
                for row in await self.ask("POST", "_bulk_docs", {"docs": docs}):
                    self._ledger.acknowledge(row["id"], row["rev"])
                self.count()

    def _in_bulk(self, doc_id: str) -> dict[str, Any]:
        body = self.body()
        rev = self._ledger.attempt(doc_id, Content(body)).rev
        return {"_id": doc_id, **body, **({"_rev": rev} if rev else {})}

    async def branches(self) -> None:
        """Write documents as a replication does, with two branches each."""
        for place in range(1_000_000):
            doc_id = self.name("branch", place)
            winner, loser = self.body(), self.body()
            revs = {f"2-{digit * 32}": body for digit, body in (("b", winner), ("a", loser))}
            docs = [branch(doc_id, rev, body) for rev, body in revs.items()]
            self._ledger.attempt(doc_id, Content(winner))
            await self.ask("POST", "_bulk_docs", {"docs": docs, "new_edits": False})
            document = self._ledger.documents[doc_id]
            document.leaves = {rev: Content(body) for rev, body in revs.items()}
            self._ledger.acknowledge(doc_id, f"2-{'b' * 32}")
            self.count()

    async def purges(self) -> None:
        """Purge what was written just before."""
        for place in range(1_000_000):
            doc_id = self.name("purge", place)
            await self.put(doc_id, Content(self.body()))
            document: Document = self._ledger.documents[doc_id]
            document.may_be_purged = True
            await self.ask("POST", "_purge", {doc_id: [document.rev]})
            document.is_purged = True
            self._ledger.acknowledged += 1
            self.count()

    # all else

    async def settings(self) -> None:
        """Change settings, look how far the database is, and compact it."""
        ledger = self._ledger
        for place in range(1_000_000):
            security = {"members": {"names": [f"n{self._round}-{place}"], "roles": []}}
            ledger.security.attempt(security)
            await self.ask("PUT", "_security", security)
            ledger.security.acknowledge()
            ledger.revs_limit.attempt(100 + place)
            await self.ask("PUT", "_revs_limit", 100 + place)
            ledger.revs_limit.acknowledge()
            info = await self.ask("GET", "")
            ledger.see(number(info["update_seq"]))
            if place % 5 == 0:
                await self.ask("POST", "_compact", {})

    async def indexes(self) -> None:
        """Ask both indexes again and again, so that they are always being brought up to date."""
        while True:
            await self.ask("GET", "_design/d/_view/v?limit=1&reduce=false")
            await self.ask("POST", "_find", {"selector": {"k": {"$gt": 0}}, "limit": 1})

    async def changes(self) -> None:
        """Follow the changes."""
        url = f"{self._client.url}/{DATABASE}/_changes?feed=continuous&since=now&heartbeat=60000"
        async with self._client.session.get(url) as answer:
            async for line in answer.content:
                with contextlib.suppress(msgspec.DecodeError):  # cut in the middle
                    self._ledger.hear(msgspec.json.decode(line))


def branch(doc_id: str, rev: str, body: dict[str, Any]) -> dict[str, Any]:
    """Make a document of a replication, with its path."""
    revisions = {"start": 2, "ids": [rev.partition("-")[2], "c" * 32]}
    return {"_id": doc_id, "_rev": rev, "_revisions": revisions, **body}
