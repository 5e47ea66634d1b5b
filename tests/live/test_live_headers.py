"""Headers that come twice, as no client of this package sends them: CouchDB joins their values."""

from __future__ import annotations

import asyncio
import base64
import json
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pytest

if TYPE_CHECKING:
    from aiocouch import Database
    from aiocouch.testing import CouchDBServer
    from tests.support.http import HTTPClient

JSON = "Content-Type: application/json"


class Raw:
    """Sends requests as text; `pieces` of one go out one after the other."""

    def __init__(self, server: CouchDBServer) -> None:
        self._address = urlsplit(server.url)
        token = base64.b64encode(f"{server.user}:{server.password}".encode()).decode()
        self.authorization = f"Authorization: Basic {token}"

    async def __call__(self, line: str, *headers: str, body: str = "", pieces: int = 1) -> bytes:
        """Give the answer, its head included."""
        own = ["Host: x:1", "Connection: close", self.authorization]
        lines = [f"{line} HTTP/1.1", *own, *headers]
        if body:
            lines.append(f"Content-Length: {len(body)}")
        text = "\r\n".join([*lines, "", body]).encode()
        reader, writer = await asyncio.open_connection(self._address.hostname, self._address.port)
        head = len(text) - len(body) - 2
        for number in range(pieces):
            writer.write(text[head * number // pieces : head * (number + 1) // pieces])
            await writer.drain()
            # the server gets them in packets of their own
            await asyncio.sleep(0.05 if pieces > 1 else 0)
        writer.write(text[head:])
        answer = await reader.read()
        writer.close()
        await writer.wait_closed()
        return answer


@pytest.fixture
def raw(couchdb_server: CouchDBServer) -> Raw:
    return Raw(couchdb_server)


@pytest.mark.parametrize("pieces", [1, 2, 5])
async def test_two_content_types_are_none_that_is_known(
    db: Database, raw: Raw, pieces: int
) -> None:
    line = f"POST /{db.id}"
    assert b" 415 " in await raw(line, JSON, JSON, body="{}", pieces=pieces)
    assert b" 415 " in await raw(line, JSON, "content-type: a/b", body="{}", pieces=pieces)
    assert b" 201 " in await raw(line, JSON, body="{}", pieces=pieces)
    # here nobody looks at the type
    answer = await raw(f"PUT /{db.id}/_revs_limit", JSON, JSON, body="5", pieces=pieces)
    assert b" 200 " in answer


async def test_functions_see_values_that_are_joined(
    db: Database, ask: HTTPClient, raw: Raw
) -> None:
    source = "function (doc, req) { return {json: req.headers} }"
    await ask("PUT", f"/{db.id}/_design/d", {"shows": {"s": source}})
    sent = ("X-A: 1", "x-a: 2", "X-B: z", "X-A: 3", "Accept: a/b", "Accept: c/d", "Host: y:2")
    answer = await raw(f"GET /{db.id}/_design/d/_show/s", *sent)
    headers = json.loads(answer[answer.index(b"{") : answer.rindex(b"}") + 1])
    told = [headers[name] for name in ("X-A", "X-B", "Accept", "Host")]
    assert told == ["1, 2, 3", "z", "a/b, c/d", "x:1, y:2"]


async def test_all_the_tags_that_a_client_holds_count(
    db: Database, ask: HTTPClient, raw: Raw
) -> None:
    rev = (await ask("PUT", f"/{db.id}/a", {})).json["rev"]
    held, other = f'If-None-Match: "{rev}"', 'If-None-Match: "1-x"'
    for headers in ((held, other), (other, held)):
        assert b" 304 " in await raw(f"GET /{db.id}/a", *headers)
    assert b" 200 " in await raw(f"GET /{db.id}/a", other)


async def test_two_revisions_are_none(db: Database, ask: HTTPClient, raw: Raw) -> None:
    rev = (await ask("PUT", f"/{db.id}/a", {})).json["rev"]
    right, wrong = f'If-Match: "{rev}"', 'If-Match: "1-x"'
    for headers in ((right, wrong), (wrong, right)):
        assert b" 409 " in await raw(f"PUT /{db.id}/a", *headers, body="{}")


async def test_two_destinations_are_one_id(db: Database, ask: HTTPClient, raw: Raw) -> None:
    await ask("PUT", f"/{db.id}/a", {})
    assert b" 201 " in await raw(f"COPY /{db.id}/a", "Destination: b", "Destination: c")
    rows = (await ask("GET", f"/{db.id}/_all_docs")).json["rows"]
    assert [row["id"] for row in rows] == ["a", "b, c"]


async def test_credentials_that_come_twice_are_none(db: Database, raw: Raw) -> None:
    assert b" 500 " in await raw(f"GET /{db.id}", raw.authorization)
