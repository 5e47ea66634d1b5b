"""What Apache CouchDB 3.5.2 never answers: bodies that are no JSON, through a rewrite function."""

from __future__ import annotations

import gzip
from typing import TYPE_CHECKING

import pytest

from tests.unit.embedded.server_client import ServerClient

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

FUNCTION = "function (req) { return '../../' + req.path.slice(4).join('/') }"
TWICE = "function (req) { return '../f/_rewrite/' + req.path.slice(4).join('/') }"
PART = b'{"_attachments":{"f":{"follows":true,"length":3,"content_type":"a/b"}}}'
MULTIPART = b"--x\r\nContent-Type: application/json\r\n\r\n%b\r\n--x\r\n\r\nabc\r\n--x--" % PART


@pytest.fixture
async def client() -> AsyncIterator[ServerClient]:
    async with ServerClient() as client:
        await client("PUT", "/db")
        await client("PUT", "/db/_design/f", {"rewrites": FUNCTION})
        await client("PUT", "/db/_design/twice", {"rewrites": TWICE})
        yield client


@pytest.mark.parametrize("design", ["f", "twice"])
@pytest.mark.parametrize("content", [b"", b"text", bytes(range(256)) * 3000])
async def test_an_attachment(client: ServerClient, design: str, content: bytes) -> None:
    path = f"/db/_design/{design}/_rewrite/a/file"
    answer = await client("PUT", path, data=content, Content_Type="image/x")
    assert answer.status == 201
    stored = await client("GET", "/db/a/file")
    assert (stored.body, stored.headers["Content-Type"]) == (content, "image/x")


async def test_an_attachment_that_is_compressed(client: ServerClient) -> None:
    content = gzip.compress(b"text" * 100)
    path = "/db/_design/f/_rewrite/a/file"
    answer = await client(
        "PUT", path, data=content, Content_Type="text/plain", Content_Encoding="gzip"
    )
    assert answer.status == 201
    assert (await client("GET", "/db/a/file")).body == b"text" * 100
    stub = (await client("GET", "/db/a?att_encoding_info=true")).json["_attachments"]["file"]
    assert (stub["encoding"], stub["encoded_length"]) == ("gzip", len(content))


async def test_a_document_in_parts(client: ServerClient) -> None:
    path = "/db/_design/f/_rewrite/a"
    related = 'multipart/related;boundary="x"'
    answer = await client("PUT", path, data=MULTIPART, Content_Type=related)
    assert answer.status == 201
    assert (await client("GET", "/db/a/f")).body == b"abc"


async def test_json_that_is_compressed(client: ServerClient) -> None:
    content = gzip.compress(b'{"n":1}')
    answer = await client(
        "PUT",
        "/db/_design/f/_rewrite/a",
        data=content,
        Content_Type="application/json",
        Content_Encoding="gzip",
    )
    assert answer.status == 201
    assert (await client("GET", "/db/a")).json["n"] == 1


async def test_rewrites_end(client: ServerClient) -> None:
    for number in range(4):
        to = f"../r{number + 1}/_rewrite/x"
        design = {
            "rewrites": [{"from": "/x", "to": to}],
            "shows": {"s": "function () { return 'x' }"},
        }
        if number == 3:
            design["rewrites"] = [{"from": "/x", "to": "_show/s"}]
        await client("PUT", f"/db/_design/r{number}", design)
    assert (await client("GET", "/db/_design/r0/_rewrite/x")).body == b"x"
    await client("PUT", "/_node/_local/_config/chttpd/rewrite_limit", "3")
    answer = await client("GET", "/db/_design/r0/_rewrite/x")
    assert (answer.status, answer.json["reason"]) == (400, "Exceeded rewrite recursion limit")
