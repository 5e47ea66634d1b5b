"""Attachments on the wire: how content is sent, and that damaged content is never taken."""

import base64
import gzip
import hashlib
import io
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

import aiocouch
from aiocouch import Database, Document
from aiocouch.attachment import Attachment
from aiocouch.exception import CouchDBError
from tests.wire.canned import Answer, CannedServer, cut_up, json_answer

CONTENT = bytes(range(256)) * 400
WRITTEN = {"ok": True, "id": "x", "rev": "2-b"}


def md5(data: bytes) -> str:
    return base64.b64encode(hashlib.md5(data).digest()).decode()


def content_answer(data: bytes = CONTENT, **more: Any) -> Answer:
    headers = {"Content-Type": "image/png", "Content-MD5": md5(data), "ETag": f'"{md5(data)}"'}
    return Answer(pieces=cut_up(data, 1000), headers=headers | more.pop("headers", {}), **more)


@pytest.fixture
async def attachment(canned: CannedServer, base: Database) -> Attachment:
    """An attachment of a document that has been fetched."""
    canned.say_json({"_id": "x", "_rev": "1-a", "n": 1})
    doc = await base["x"]
    await doc.save()
    canned.requests.clear()
    return doc.attachment("a")


def saved(request: Any) -> Answer:
    if request.method in ("PUT", "DELETE"):
        return json_answer(WRITTEN, 201)
    stub = {"a": {"content_type": "image/png", "revpos": 2, "stub": True, "length": 5}}
    return json_answer({"_id": "x", "_rev": "2-b", "n": 1, "_attachments": stub})


# -- out


async def test_content_with_its_digest(canned: CannedServer, attachment: Attachment) -> None:
    canned.say(content_answer(), content_answer())
    assert await attachment.fetch() == CONTENT
    assert b"".join([chunk async for chunk in attachment]) == CONTENT


async def test_content_without_a_digest(canned: CannedServer, attachment: Attachment) -> None:
    canned.say(Answer(body=CONTENT, headers={"Content-Type": "image/png"}))
    assert await attachment.fetch() == CONTENT


async def test_compressed_content(canned: CannedServer, attachment: Attachment) -> None:
    # CouchDB keeps compressible types compressed; the digest is that of the compressed bytes.
    stored = gzip.compress(CONTENT)
    canned.say(content_answer(stored, headers={"Content-Encoding": "gzip"}))
    assert await attachment.fetch() == CONTENT


@pytest.mark.parametrize("compressed", [True, False])
async def test_damaged_content_raises(
    canned: CannedServer, attachment: Attachment, compressed: bool
) -> None:
    data = gzip.compress(CONTENT) if compressed else CONTENT
    broken = data[:500] + bytes([data[500] ^ 1]) + data[501:]
    headers = {"Content-MD5": md5(data), "ETag": f'"{md5(data)}"'}
    if compressed:
        headers["Content-Encoding"] = "gzip"
    canned.handler = lambda request: content_answer(broken, headers=headers)
    with pytest.raises(CouchDBError):
        await attachment.fetch()
    with pytest.raises(CouchDBError):
        await read(attachment)


async def read(attachment: Attachment) -> bytes:
    return b"".join([chunk async for chunk in attachment])


@pytest.mark.parametrize("honest", [True, False])
async def test_content_that_ends_early_raises(
    canned: CannedServer, attachment: Attachment, honest: bool
) -> None:
    headers = {"Content-MD5": md5(CONTENT)}
    canned.handler = lambda request: content_answer(CONTENT[:-1], headers=headers, cut=not honest)
    with pytest.raises(CouchDBError):
        await attachment.fetch()
    with pytest.raises(CouchDBError):
        await read(attachment)


async def test_pieces_arrive_while_they_are_sent(
    canned: CannedServer, attachment: Attachment
) -> None:
    canned.say(content_answer())
    pieces = aiter(attachment)
    first = await anext(pieces)
    assert 0 < len(first) < len(CONTENT)
    assert first + b"".join([piece async for piece in pieces]) == CONTENT


@pytest.mark.parametrize("status", [401, 403, 404, 500])
async def test_error_statuses(canned: CannedServer, attachment: Attachment, status: int) -> None:
    canned.handler = lambda request: json_answer({"error": "e", "reason": "the reason"}, status)
    with pytest.raises(CouchDBError, match="the reason") as caught:
        await read(attachment)
    assert caught.value.status == status
    with pytest.raises(CouchDBError, match="the reason"):
        await attachment.fetch()


# -- in


async def pieces() -> AsyncIterator[bytes]:
    for piece in cut_up(CONTENT, 777):
        yield piece


@pytest.mark.parametrize("kind", ["bytes", "path", "file", "iterator"])
async def test_content_is_sent_as_it_is(
    canned: CannedServer, attachment: Attachment, tmp_path: Path, kind: str
) -> None:
    path = tmp_path / "content"
    path.write_bytes(CONTENT)
    data: Any = {"bytes": CONTENT, "path": path, "file": io.BytesIO(CONTENT), "iterator": pieces()}
    canned.handler = saved
    await attachment.save(data[kind], "image/png")
    request = canned.requests[0]
    assert request.line == "PUT /db/x/a?rev=1-a"
    assert request.body == CONTENT
    assert request.headers["content-type"] == "image/png"
    assert "content-encoding" not in request.headers


@pytest.mark.parametrize("kind", ["bytes", "path"])
async def test_length_is_told_where_it_is_known(
    canned: CannedServer, attachment: Attachment, tmp_path: Path, kind: str
) -> None:
    # CouchDB refuses too large ones at once then, and proxies need not buffer.
    path = tmp_path / "content"
    path.write_bytes(CONTENT)
    canned.handler = saved
    await attachment.save(CONTENT if kind == "bytes" else path, "image/png")
    assert canned.requests[0].headers["content-length"] == str(len(CONTENT))
    assert "transfer-encoding" not in canned.requests[0].headers


async def test_empty_content_is_content(canned: CannedServer, attachment: Attachment) -> None:
    canned.handler = saved
    await attachment.save(b"", "text/plain")
    assert canned.requests[0].headers["content-length"] == "0"
    assert canned.requests[0].headers["content-type"] == "text/plain"


async def test_json_content_stays_bytes(canned: CannedServer, attachment: Attachment) -> None:
    canned.handler = saved
    await attachment.save(b'{ "a" : 1 }', "application/json")
    assert canned.requests[0].body == b'{ "a" : 1 }'


async def test_refused_save_leaves_the_document_as_it_was(
    canned: CannedServer, attachment: Attachment
) -> None:
    canned.handler = lambda request: json_answer({"error": "conflict", "reason": "…"}, 409)
    with pytest.raises(aiocouch.ConflictError):
        await attachment.save(b"x", "text/plain")
    doc: Any = attachment.document
    assert dict(doc) == {"_id": "x", "_rev": "1-a", "n": 1}
    assert len(canned.requests) == 1


@pytest.mark.parametrize("call", ["save", "delete"])
async def test_dirty_document_is_refused_before_anything_is_sent(
    canned: CannedServer, attachment: Attachment, call: str
) -> None:
    doc: Any = attachment.document
    doc["n"] = 2
    with pytest.raises(aiocouch.ConflictError, match="unsaved"):
        await (attachment.save(b"x", "text/plain") if call == "save" else attachment.delete())
    assert canned.requests == []
    assert doc["n"] == 2


async def test_change_during_the_upload_is_kept(canned: CannedServer, base: Database) -> None:
    canned.say_json({"_id": "x", "_rev": "1-a", "n": 1})
    doc = await base["x"]

    async def slow() -> AsyncIterator[bytes]:
        doc["n"] = "changed meanwhile"
        yield b"x"

    canned.handler = saved
    await doc.attachment("a").save(slow(), "text/plain")
    assert doc["n"] == "changed meanwhile"
    canned.requests.clear()
    await doc.save()
    sent = canned.requests[0].json()
    assert (sent["_rev"], sent["n"]) == ("2-b", "changed meanwhile")
    assert "a" in sent["_attachments"], "saving would drop the attachment"


async def test_document_that_is_only_known_by_its_revision(
    canned: CannedServer, base: Database
) -> None:
    doc = Document(base, "x")
    doc.rev = "1-a"
    canned.handler = saved
    with pytest.raises(aiocouch.ConflictError):
        await doc.attachment("a").save(b"x", "text/plain")
    assert canned.requests == [], "the document was never fetched: it counts as changed"
