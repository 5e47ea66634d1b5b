"""Clients that hang up, and requests that hardly any client sends."""

from __future__ import annotations

import asyncio
import base64
import logging
from typing import TYPE_CHECKING

import pytest

from tests.unit.embedded.server_client import ServerClient

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

AUTHORIZATION = f"Authorization: Basic {base64.b64encode(b'admin:admin').decode()}\r\n"


@pytest.fixture(params=["memory", "folder"])
async def server(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[ServerClient]:
    async with ServerClient(tmp_path if request.param == "folder" else None) as client:
        await client("PUT", "/a")
        await client("PUT", "/_global_changes")
        yield client


async def connect(server: ServerClient) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    host, port = server.embedded.server.address.split(":")
    return await asyncio.open_connection(host, int(port))


def head(target: str, method: str = "GET", *headers: str) -> bytes:
    lines = "".join(f"{header}\r\n" for header in headers)
    return f"{method} {target} HTTP/1.1\r\nHost: x\r\n{AUTHORIZATION}{lines}\r\n".encode()


async def send(server: ServerClient, data: bytes) -> bytes:
    reader, writer = await connect(server)
    writer.write(data)
    answer = await reader.readuntil(b"\r\n\r\n")
    writer.close()
    await writer.wait_closed()
    return answer.split(b"\r\n")[0]


@pytest.mark.parametrize(
    "target", ["/a#part", "/a?x=1#part", "http://example.org/a", "http://example.org:1/a?x#y"]
)
async def test_a_target_may_be_a_whole_url(server: ServerClient, target: str) -> None:
    assert await send(server, head(target)) == b"HTTP/1.1 200 OK"


@pytest.mark.parametrize(
    "request_",
    [
        head("/a/_changes?feed=continuous"),
        head("/a/_changes?feed=longpoll"),
        head("/a/_all_docs?include_docs=true"),
        head("/a/_design/d/_view/v"),
        head("/a/x/file", "PUT", "Content-Length: 600000") + bytes(300_000),
        head("/a/_bulk_docs", "POST", "Content-Type: application/json", "Content-Length: 9") + b"{",
    ],
)
async def test_a_client_that_hangs_up_leaves_nothing(
    server: ServerClient, request_: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    await server("PUT", "/a/_design/d", {"views": {"v": {"map": "function () {}"}}})
    await server("POST", "/a/_bulk_docs", {"docs": [{"text": "x" * 1000} for _ in range(500)]})
    before = asyncio.all_tasks()
    for _ in range(5):
        _, writer = await connect(server)
        writer.write(request_)
        await writer.drain()
        writer.transport.abort()
    assert (await server("GET", "/a")).json["doc_count"] == 501
    # the tasks of connections end when the loop has told them of the loss
    async with asyncio.timeout(5):
        while asyncio.all_tasks() - before:
            await asyncio.wait(asyncio.all_tasks() - before, timeout=0.1)
    assert not [record for record in caplog.records if record.levelno >= logging.ERROR]


async def test_a_database_may_go_while_it_is_compacted(
    server: ServerClient, caplog: pytest.LogCaptureFixture
) -> None:
    for _ in range(3):
        await server("POST", "/a/_bulk_docs", {"docs": [{} for _ in range(600)]})
        await server("POST", "/a/_compact", {})
        assert (await server("DELETE", "/a")).status == 200
        assert (await server("PUT", "/a")).status == 201
    await server.embedded.stop()
    assert not [record for record in caplog.records if record.levelno >= logging.ERROR]


async def test_a_document_that_is_nested_deep_harms_no_query(server: ServerClient) -> None:
    deep = "[" * 900 + "]" * 900
    view = {"map": "function (doc) { emit(doc.a, null); }"}
    await server("PUT", "/a/_design/d", {"views": {"v": view}})
    await server("PUT", "/a/deep", data=f'{{"a": {deep}}}')
    rows = (await server("GET", "/a/_design/d/_view/v")).json["rows"]
    assert [row["id"] for row in rows] == ["deep"]
    await server("POST", "/a/_index", {"index": {"fields": ["a"]}})
    for low in ("[]", '"a"'):
        selector = f'{{"selector": {{"a": {{"$gt": {low}}}}}}}'
        found = await server("POST", "/a/_find", data=selector, Content_Type="application/json")
        assert [doc["_id"] for doc in found.json["docs"]] == ["deep"]


@pytest.mark.parametrize("feed", ["normal", "longpoll", "continuous", "eventsource"])
@pytest.mark.parametrize("path", ["/a/_changes", "/_db_updates"])
async def test_head_of_a_feed_has_no_body_and_waits_for_nothing(
    server: ServerClient, path: str, feed: str
) -> None:
    reader, writer = await connect(server)
    request = head(f"{path}?feed={feed}", "HEAD", "Connection: close")
    writer.write(request)
    answer = await reader.read()
    writer.close()
    assert answer.startswith(b"HTTP/1.1 200 OK")
    assert answer.endswith(b"\r\n\r\n")
    assert answer.count(b"\r\n\r\n") == 1


async def test_a_backward_feed_of_databases_ends(server: ServerClient) -> None:
    for feed in ("continuous", "eventsource", "longpoll"):
        answer = await server("GET", f"/_db_updates?feed={feed}&descending=true")
        assert answer.body.count(b'"created"') == 4


async def test_no_feed_of_databases_has_less_than_no_rows(server: ServerClient) -> None:
    answer = await server("GET", "/_db_updates?feed=continuous&limit=-1")
    assert (answer.status, answer.json["reason"]) == (400, "invalid_integer")
