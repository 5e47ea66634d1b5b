"""A document and its attachments in one request: what is sent, and that nothing broken is taken."""

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from aiocouch import CouchDB, Database, Document, RetryPolicy
from aiocouch.exception import (
    CouchDBError,
    DigestError,
    InvalidTypeError,
    TruncatedError,
    UnexpectedAnswerError,
)
from tests.multipart_bodies import multipart_body
from tests.wire.canned import Answer, CannedServer, cut_up, json_answer
from tests.wire.test_wire_attachments import md5

CONTENT = bytes(range(256)) * 40
STUB = {"content_type": "image/png", "revpos": 1, "length": len(CONTENT), "stub": True}
SAVED = {"_id": "x", "_rev": "2-b", "n": 1, "_attachments": {"a": STUB}}
JSON = [("Content-Type", "application/json")]


@pytest.fixture
async def session(canned: CannedServer) -> AsyncIterator[CouchDB]:
    """A session that tries again."""
    policy = RetryPolicy(first_wait=0.001, longest_wait=0.01)
    async with CouchDB(canned.url, retry=policy, resume=False) as couchdb:
        yield couchdb


@pytest.fixture
async def doc(canned: CannedServer, base: Database) -> Document:
    """A document that has been fetched, with an attachment."""
    canned.say_json({"_id": "x", "_rev": "1-a", "n": 1, "_attachments": {"old": STUB}})
    doc = await base["x"]
    canned.requests.clear()
    return doc


def sent(boundary: str, *, content: bytes = CONTENT) -> bytes:
    """The body that must have been sent."""
    follows = {"follows": True, "content_type": "image/png", "length": len(content)}
    text = {"_id": "x", "_rev": "1-a", "n": 1, "_attachments": {"old": STUB, "a": follows}}
    head = [
        ("Content-Disposition", 'attachment; filename="a"'),
        ("Content-Type", "image/png"),
        ("Content-Length", str(len(content))),
    ]
    whole = json.dumps(text, separators=(",", ":")).encode()
    return multipart_body(boundary, [(JSON, whole), (head, content)])


async def test_the_request(canned: CannedServer, doc: Document) -> None:
    canned.say(json_answer({"ok": True, "id": "x", "rev": "2-b"}, 201), json_answer(SAVED))
    await doc.save_with({"a": (CONTENT, "image/png")}, w=2)
    put, get = canned.requests
    assert put.line.endswith("/x?w=2")
    assert get.line.endswith("/x?rev=2-b")
    kind, _, boundary = put.headers["content-type"].partition("; boundary=")
    assert kind == "multipart/related"
    assert put.body == sent(boundary.strip('"'))
    assert int(put.headers["content-length"]) == len(put.body)
    assert doc.rev == "2-b"


async def test_a_lost_answer_is_looked_for(canned: CannedServer, doc: Document) -> None:
    there = {**SAVED, "_revisions": {"start": 2, "ids": ["b", "a"]}}
    there["_attachments"] = {
        "old": STUB,
        "a": {**STUB, "revpos": 2, "digest": f"md5-{md5(CONTENT)}"},
    }
    canned.say(Answer(silent=True), json_answer([{"ok": there}]), json_answer(SAVED))
    response = await doc.save_with({"a": (CONTENT, "image/png")})
    assert response.status == 201
    assert [request.method for request in canned.requests] == ["PUT", "GET", "GET"]
    assert doc.rev == "2-b"


async def test_another_content_is_not_taken_for_ours(canned: CannedServer, doc: Document) -> None:
    there = {**SAVED, "_revisions": {"start": 2, "ids": ["b", "a"]}}
    there["_attachments"] = {"old": STUB, "a": {**STUB, "digest": f"md5-{md5(b'another')}"}}
    refused = json_answer({"error": "conflict", "reason": "Document update conflict."}, 409)
    leaves = json_answer([{"ok": there}])
    canned.say(Answer(silent=True), leaves, refused, leaves)
    with pytest.raises(CouchDBError):
        await doc.save_with({"a": (CONTENT, "image/png")})
    assert [request.method for request in canned.requests] == ["PUT", "GET", "PUT", "GET"]
    assert doc.rev == "1-a"
    first, _, again, _ = canned.requests
    assert first.body == again.body  # the whole content, once more


def related(content: bytes = CONTENT) -> Answer:
    """A document and its attachment, as CouchDB sends them."""
    stub = {"content_type": "image/png", "revpos": 1, "length": len(CONTENT), "follows": True}
    stub["digest"] = f"md5-{md5(CONTENT)}"
    text = json.dumps({"_id": "x", "_rev": "1-a", "_attachments": {"a": stub}}).encode()
    head = [
        ("Content-Disposition", 'attachment; filename="a"'),
        ("Content-Length", str(len(CONTENT))),
    ]
    body = multipart_body("cut", [(JSON, text), (head, content)])
    headers = {"Content-Type": 'multipart/related; boundary="cut"'}
    return Answer(headers=headers, pieces=cut_up(body, 500))


async def read(doc: Document) -> list[bytes]:
    return [
        b"".join([piece async for piece in content])
        async for _, content in doc.fetch_with_attachments()
    ]


async def test_the_answer(canned: CannedServer, doc: Document) -> None:
    canned.say(related())
    assert await read(doc) == [CONTENT]
    request = canned.only()
    assert request.line.startswith("GET ")
    assert request.line.endswith("/x?attachments=true")
    assert request.headers["accept"].startswith("multipart/related")
    assert doc["_attachments"]["a"]["stub"] is True
    assert not doc.is_dirty()


async def test_a_damaged_content_raises(canned: CannedServer, doc: Document) -> None:
    canned.say(related(b"x" + CONTENT[1:]))
    with pytest.raises(DigestError):
        await read(doc)


@pytest.mark.parametrize("cut", [True, False])
@pytest.mark.parametrize("left_out", [1, 5, 15])
async def test_a_cut_raises(canned: CannedServer, doc: Document, cut: bool, left_out: int) -> None:
    whole = related()
    assert isinstance(whole.pieces, list)
    canned.say(Answer(headers=whole.headers, pieces=whole.pieces[:-left_out], cut=cut))
    with pytest.raises(TruncatedError):
        await read(doc)


@pytest.mark.parametrize("inline", [True, False])
async def test_a_document_that_is_too_large_is_not_said_to_be_cut(
    canned: CannedServer, inline: bool
) -> None:
    canned.say(json_answer({"_id": "x", "_rev": "1-a", "text": "x" * 100}) if inline else related())
    async with CouchDB(canned.url, max_size=50) as couchdb:
        with pytest.raises(UnexpectedAnswerError, match="the document has more than max_size=50"):
            await read(Document(Database(couchdb, "db"), "x"))


@pytest.mark.parametrize("given", [b"12", "12", (b"1",), None])
async def test_a_content_without_its_type_is_refused(
    canned: CannedServer, doc: Document, given: Any
) -> None:
    with pytest.raises(InvalidTypeError, match="'a'"):
        await doc.save_with({"a": given})
    assert canned.requests == []


async def test_a_file_that_shrinks_is_an_error(
    canned: CannedServer, doc: Document, tmp_path: Path
) -> None:
    path = tmp_path / "a"
    path.write_bytes(CONTENT)

    async def shrinks() -> AsyncIterator[bytes]:
        path.write_bytes(CONTENT[:-1])  # its length is known by now
        yield b""

    canned.handler = lambda request: json_answer([])
    with pytest.raises(CouchDBError):
        await doc.save_with({"a": (path, "image/png"), "b": (shrinks(), "image/png")})
    assert doc.rev == "1-a"
    assert not any(request.method == "PUT" for request in canned.requests)
