"""Attachments on an embedded server: what the recordings of CouchDB do not reach."""

from __future__ import annotations

import asyncio
import gzip
import tracemalloc
from typing import TYPE_CHECKING

import aiohttp
import pytest

from tests.multipart_bodies import multipart_body
from tests.unit.embedded.server_client import ServerClient

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

JSON = [("Content-Type", "application/json")]


@pytest.fixture(params=["memory", "folder"])
async def client(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[ServerClient]:
    """A server with the database `db`."""
    path = tmp_path if request.param == "folder" else None
    async with ServerClient(path) as client:
        await client("PUT", "/db")
        yield client


def pattern(size: int) -> bytes:
    return (bytes(range(251)) * (size // 251 + 1))[:size]


async def test_a_large_attachment_comes_back_whole_and_in_parts(client: ServerClient) -> None:
    data = pattern(1_000_001)
    await client("PUT", "/db/d/big", data=data, Content_Type="x/big")
    answer = await client("GET", "/db/d/big")
    assert answer.body == data
    assert answer.headers["Content-Length"] == str(len(data))
    part = await client("GET", "/db/d/big", Range="bytes=262140-900000")
    assert (part.status, part.body) == (206, data[262140:900001])


async def test_content_that_is_the_same_is_stored_once(client: ServerClient) -> None:
    data = pattern(600_000)
    for name in ("a", "b"):
        await client("PUT", f"/db/{name}/x", data=data, Content_Type="x/big")
    database = client.embedded.server.databases.open("db")
    assert database is not None
    count = database.reader.execute("SELECT count(*) FROM attachment_blobs").fetchone()
    assert count == (1,)
    assert not database.uploads


async def test_an_upload_that_conflicts_is_cleaned_up_by_compaction(client: ServerClient) -> None:
    await client("PUT", "/db/d", {})
    refused = await client("PUT", "/db/d/x?rev=1-a", data=pattern(600_000), Content_Type="x/big")
    assert refused.status == 409
    await client("PUT", "/db/e/x", data=pattern(500_000), Content_Type="x/big")
    rev = (await client("GET", "/db/e")).json["_rev"]
    await client("DELETE", f"/db/e/x?rev={rev}")
    await client("POST", "/db/_compact", {})
    while (await client("GET", "/db")).json["compact_running"]:
        pass
    database = client.embedded.server.databases.open("db")
    assert database is not None
    assert database.reader.execute("SELECT count(*) FROM attachment_chunks").fetchone() == (0,)


async def test_compressed_content_is_passed_on_as_it_is(client: ServerClient) -> None:
    text = b"some text " * 100_000
    await client("PUT", "/db/d/t", data=text, Content_Type="text/plain")
    packed = await client("GET", "/db/d/t", Accept_Encoding="gzip")
    info = (await client("GET", "/db/d?att_encoding_info=true")).json["_attachments"]["t"]
    assert (info["length"], info["encoding"]) == (len(text), "gzip")
    assert packed.body == text
    assert packed.headers["Content-Encoding"] == "gzip"
    assert packed.headers["Content-Length"] == str(info["encoded_length"])
    plain = await client("GET", "/db/d/t", Accept_Encoding="identity")
    assert (plain.body, plain.headers["Content-Length"]) == (text, str(len(text)))
    assert "Content-Encoding" not in plain.headers


async def test_a_client_may_bring_gzip(client: ServerClient) -> None:
    packed = gzip.compress(b"hello", mtime=0)
    kind = "text/plain"
    put = await client("PUT", "/db/d/t", data=packed, Content_Type=kind, Content_Encoding="gzip")
    assert put.status == 201
    assert (await client("GET", "/db/d/t", Accept_Encoding="identity")).body == b"hello"
    put = await client("PUT", "/db/e/t", data=packed, Content_Type=kind, Content_Encoding="br")
    assert put.status == 415


async def test_attachments_that_are_too_large_are_refused() -> None:
    async with ServerClient(couchdb={"max_attachment_size": "1000"}) as client:
        await client("PUT", "/db")
        refused = await client("PUT", "/db/d/x", data=bytes(1001), Content_Type="x/big")
        assert (refused.status, refused.json["error"]) == (413, "attachment_too_large")
        assert (await client("PUT", "/db/d/x", data=bytes(1000), Content_Type="x/y")).status == 201


async def test_a_multipart_document(client: ServerClient) -> None:
    big = pattern(700_000)
    document = (
        b'{"n":1,"_attachments":{"big":{"follows":true,"length":700000,"content_type":"x/big"},'
        b'"t":{"follows":true,"length":5,"content_type":"text/plain"}}}'
    )
    body = multipart_body("xyz", [(JSON, document), ([], big), ([], b"hello")])
    kind = 'multipart/related; boundary="xyz"'
    assert (await client("PUT", "/db/d", data=body, Content_Type=kind)).status == 201
    assert (await client("GET", "/db/d/big")).body == big
    assert (await client("GET", "/db/d/t")).body == b"hello"
    whole = await client("GET", "/db/d?attachments=true", Accept="multipart/related")
    assert whole.headers["Content-Length"] == str(len(whole.body))
    assert big in whole.body


@pytest.mark.parametrize(
    ("member", "parts", "status"),
    [
        (b'{"follows":true,"length":6}', [b"hello"], 400),
        (b'{"follows":true,"length":4}', [b"hello"], 400),
        (b'{"follows":true,"length":5}', [], 400),
        (b'{"follows":true}', [b"hello"], 400),
        (b'{"follows":true,"length":5,"digest":"md5-AAAA"}', [b"hello"], 400),
        (b'{"follows":true,"length":5,"digest":"md5-XUFAKrxLKna5cZ2REBfFkg=="}', [b"hello"], 201),
        (b'{"follows":true,"length":5}', [b"hello", b"more"], 201),
        (b'{"data":"aGVsbG8="}', [], 201),
    ],
)
async def test_multipart_bodies(
    client: ServerClient, member: bytes, parts: list[bytes], status: int
) -> None:
    document = b'{"_attachments":{"a":%b}}' % member
    pieces = [(JSON, document), *(([("X", "y")], part) for part in parts)]
    body = multipart_body("xyz", pieces)
    answer = await client("PUT", "/db/d", data=body, Content_Type="multipart/related; boundary=xyz")
    assert answer.status == status
    assert (await client("GET", "/db/d")).status == (200 if status == 201 else 404)


async def test_a_multipart_body_that_is_cut_is_refused(client: ServerClient) -> None:
    document = b'{"_attachments":{"a":{"follows":true,"length":5}}}'
    body = multipart_body("xyz", [(JSON, document), ([], b"hello")])[:-12]
    answer = await client("PUT", "/db/d", data=body, Content_Type="multipart/related; boundary=xyz")
    assert answer.status == 400


async def test_a_form_adds_attachments(client: ServerClient) -> None:
    rev = (await client("PUT", "/db/d", {"n": 1})).json["rev"]
    field = [("Content-Disposition", 'form-data; name="_rev"')]
    upload = [
        ("Content-Disposition", 'form-data; name="_attachments"; filename="a.txt"'),
        ("Content-Type", "text/plain"),
    ]
    body = multipart_body("xyz", [(field, rev.encode()), (upload, b"hello")])
    answer = await client(
        "POST",
        "/db/d",
        data=body,
        Content_Type="multipart/form-data; boundary=xyz",
        Referer=client.embedded.url + "/",
    )
    assert (answer.status, answer.headers.get("Location")) == (201, None)
    document = (await client("GET", "/db/d?attachments=true", Accept="application/json")).json
    assert (document["n"], document["_attachments"]["a.txt"]["data"]) == (1, "aGVsbG8=")


async def test_uploads_at_once_do_not_disturb_each_other(client: ServerClient) -> None:
    contents = {f"d{n}": pattern(400_000 + n) for n in range(8)}
    await asyncio.gather(
        *(
            client("PUT", f"/db/{name}/x", data=data, Content_Type="x/big")
            for name, data in contents.items()
        )
    )
    for name, data in contents.items():
        assert (await client("GET", f"/db/{name}/x")).body == data


async def upload(session: aiohttp.ClientSession, url: str, size: int) -> int:
    """Send zeros in pieces; give the status."""

    async def pieces() -> AsyncIterator[bytes]:
        for _ in range(size // 100_000):
            yield bytes(100_000)

    async with session.put(url, data=pieces(), headers={"Content-Type": "x/big"}) as response:
        return response.status


async def download(session: aiohttp.ClientSession, url: str) -> int:
    """Read and forget; give the number of bytes."""
    async with session.get(url) as response:
        return sum([len(piece) async for piece in response.content.iter_any()])


async def test_a_large_attachment_is_never_in_memory_whole(tmp_path: Path) -> None:
    size = 40_000_000
    headers = {"Authorization": "Basic YWRtaW46YWRtaW4="}
    async with ServerClient(tmp_path) as client, aiohttp.ClientSession(headers=headers) as session:
        await client("PUT", "/db")
        url = f"{client.embedded.url}/db/d/x"
        tracemalloc.start()
        try:
            assert await upload(session, url, size) == 201
            assert await download(session, url) == size
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
    assert peak < 15_000_000


@pytest.mark.parametrize("chunked", [True, False])
async def test_an_upload_that_breaks_off_is_forgotten(client: ServerClient, chunked: bool) -> None:
    host, port = client.embedded.url.removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    length = "Transfer-Encoding: chunked" if chunked else "Content-Length: 900000"
    head = f"PUT /db/d/x HTTP/1.1\r\nHost: x\r\nAuthorization: Basic YWRtaW46YWRtaW4=\r\n{length}"
    writer.write(head.encode() + b"\r\nContent-Type: x/y\r\n\r\n")
    body = pattern(600_000)
    writer.write(b"%x\r\n%b\r\n" % (len(body), body) if chunked else body)
    await writer.drain()
    database = client.embedded.server.databases.open("db")
    assert database is not None
    while not database.uploads:
        await client("GET", "/")
    writer.close()
    while database.uploads:
        await client("GET", "/")
    assert await reader.read() == b""
    assert (await client("GET", "/db/d")).status == 404
    assert database.reader.execute("SELECT count(*) FROM attachment_chunks").fetchone() == (0,)


async def test_the_revision_of_a_write_is_named_once_or_twice_alike(client: ServerClient) -> None:
    rev = (await client("PUT", "/db/d/x", data="x")).json["rev"]
    path, other = f"/db/d/x?rev={rev}", f"1-{'a' * 32}"
    for method in ("PUT", "DELETE"):
        refused = await client(method, path, data="y", If_Match=other)
        assert refused.json["reason"] == "Document rev and etag have different values"
    quoted = await client("PUT", f'/db/d/x?rev="{rev}"', data="y")
    assert quoted.json["reason"] == "Invalid rev format"
    assert (await client("PUT", path, data="y", If_Match=f'"{rev}"')).status == 201


async def test_a_client_that_takes_no_encoding_gets_nothing(client: ServerClient) -> None:
    await client("PUT", "/db/d/x", data="x")
    answer = await client("GET", "/db/d/x", Accept_Encoding="*;q=0")
    assert (answer.status, answer.json["reason"]) == (500, "unacceptable_encoding")


async def test_a_document_whose_attachments_are_all_known(client: ServerClient) -> None:
    rev = (await client("PUT", "/db/d/x", data="x")).json["rev"]
    path = f'/db/d?atts_since=["{rev}"]'
    answer = await client("GET", path, Accept="multipart/related")
    assert answer.json["_attachments"]["x"]["stub"] is True
    assert "Cache-Control" not in answer.headers
    assert "Cache-Control" in (await client("GET", path, Accept="application/json")).headers


async def test_a_multipart_document_is_never_left_for_later(client: ServerClient) -> None:
    document = b'{"_attachments":{"x":{"follows":true,"length":1}}}'
    body = multipart_body("xyz", [(JSON, document), ([], b"x")])
    kind = 'multipart/related; boundary="xyz"'
    answer = await client("PUT", "/db/d?batch=ok", data=body, Content_Type=kind)
    assert (answer.status, answer.json["rev"][:2]) == (201, "1-")
