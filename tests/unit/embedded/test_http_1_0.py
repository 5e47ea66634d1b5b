"""Clients of HTTP/1.0 learn where an answer ends: by its length, or by the end of the connection."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from tests.unit.embedded.server_client import ServerClient

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

DESIGN = {
    "views": {"v": {"map": "function (doc) { emit(doc._id); }"}},
    "lists": {"l": "function () { var row; while (row = getRow()) send(row.id); }"},
}
PATHS = [
    "/db/_changes",
    "/db/_changes?feed=longpoll",
    "/db/_changes?feed=continuous&timeout=10",
    "/db/_changes?feed=eventsource&timeout=10",
    "/db/_changes?since=now&feed=longpoll&timeout=10",
    "/_db_updates",
    "/_db_updates?feed=continuous&timeout=10",
    "/_all_dbs",
    "/db/_all_docs",
    "/db/_all_docs?include_docs=true",
    "/db/_local_docs",
    "/db/_design_docs",
    "/db/_design/d/_view/v",
    "/db/_design/d/_list/l/v",
    "/db/doc",
    "/db/doc?attachments=true",
    "/db/doc?open_revs=all",
    "/db/doc/text",
    "/db/nosuch",
    "/_scheduler/docs",
]
POSTS = {
    "/db/_find": '{"selector": {}}',
    "/db/_bulk_get": '{"docs": [{"id": "doc"}]}',
    "/db/_all_docs/queries": '{"queries": [{}]}',
    "/db/_design/d/_view/v/queries": '{"queries": [{}]}',
}


@pytest.fixture
async def client() -> AsyncIterator[ServerClient]:
    async with ServerClient() as client:
        await client("PUT", "/_global_changes")
        await client("PUT", "/db")
        await client("PUT", "/db/_design/d", DESIGN)
        text = {"content_type": "text/plain", "data": "YWJj"}
        await client("PUT", "/db/doc", {"_attachments": {"text": text}})
        yield client


async def answer_of(client: ServerClient, head: list[str], body: str = "") -> tuple[bytes, bytes]:
    """Read an answer to the end of its length, or of the connection."""
    reader, writer = await asyncio.open_connection(*client.embedded.server.address.split(":"))
    lines = [*head, "Authorization: Basic YWRtaW46YWRtaW4=", "Host: x", "", body]
    writer.write("\r\n".join(lines).encode())
    async with asyncio.timeout(20):
        headers = await reader.readuntil(b"\r\n\r\n")
        length = [line for line in headers.split(b"\r\n") if line.startswith(b"Content-Length")]
        if length:
            text = await reader.readexactly(int(length[0].partition(b":")[2]))
        else:
            text = await reader.read()
    writer.close()
    return headers, text


@pytest.mark.parametrize("connection", ["", "keep-alive", "close"])
async def test_every_answer_has_an_end(client: ServerClient, connection: str) -> None:
    extra = [f"Connection: {connection}"] if connection else []
    for path in PATHS:
        headers, text = await answer_of(client, [f"GET {path} HTTP/1.0", *extra])
        assert b"chunked" not in headers
        assert text, path
    for path, body in POSTS.items():
        more = ["Content-Type: application/json", f"Content-Length: {len(body)}"]
        headers, text = await answer_of(client, [f"POST {path} HTTP/1.0", *extra, *more], body)
        assert headers.startswith(b"HTTP/1.0 200"), path
        assert text
