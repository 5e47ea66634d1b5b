"""The truth: what a server has, asked of it directly, without the client that is tested."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import aiohttp

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Self

    from aiocouch.testing import CouchDBServer


@dataclass(frozen=True)
class Stored:
    """A document as the server has it: the revisions of its leaves, and the winner's content."""

    leaves: tuple[str, ...]
    doc: Mapping[str, Any]

    @property
    def rev(self) -> str:
        """The winner's revision."""
        return str(self.doc["_rev"])

    @property
    def generation(self) -> int:
        """How many edits led to the winner."""
        return generation(self.rev)

    @property
    def deleted(self) -> bool:
        """Whether the winner is a tombstone."""
        return bool(self.doc.get("_deleted"))


def generation(rev: str) -> int:
    """Give the number before the dash of a revision."""
    return int(rev.partition("-")[0])


class Oracle:
    """One database of a server, asked by hand. An error status is an AssertionError."""

    def __init__(self, server: CouchDBServer, database: str) -> None:
        self.url = f"{server.url}/{quote(database, safe='')}"
        self._login = {"Authorization": aiohttp.encode_basic_auth(server.user, server.password)}
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        self._session = aiohttp.ClientSession(headers=self._login)
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._session is not None:
            await self._session.close()

    async def ask(self, method: str, path: str, body: object = None) -> Any:
        """Send a request into the database; give the decoded answer."""
        assert self._session is not None
        async with self._session.request(method, f"{self.url}{path}", json=body) as answer:
            text = await answer.text()
            assert answer.status < 300, (method, path, answer.status, text)
            return json.loads(text)

    async def create(self) -> None:
        """Make the database."""
        await self.ask("PUT", "")

    async def drop(self) -> None:
        """Delete the database."""
        await self.ask("DELETE", "")

    async def write(self, docs: list[dict[str, Any]]) -> list[str]:
        """Write documents; give their revisions."""
        rows = await self.ask("POST", "/_bulk_docs", {"docs": docs})
        return [row["rev"] for row in rows]

    async def fill(self, count: int, begin: int = 0) -> None:
        """Write so many documents with the ids that `id_of` gives."""
        for start in range(begin, begin + count, 1000):
            numbers = range(start, min(start + 1000, begin + count))
            await self.write([{"_id": id_of(number), "n": number} for number in numbers])

    async def documents(self) -> dict[str, Stored]:
        """Give every document there is or was, by its id."""
        found = await self.ask("GET", "/_changes?style=all_docs&include_docs=true")
        return {row["id"]: _stored(row) for row in found["results"]}


def _stored(row: Mapping[str, Any]) -> Stored:
    return Stored(tuple(change["rev"] for change in row["changes"]), row["doc"])


def id_of(number: int) -> str:
    """Name a document; names sort as their numbers do."""
    return f"doc{number:07}"
