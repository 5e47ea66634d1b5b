"""A connection that breaks under a PUT or a DELETE: what was done is asked; nothing is sent in part."""

import io
import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from aiohttp import ClientHandlerType, ClientRequest, ClientResponse

from aiocouch import (
    ConflictError,
    CouchDB,
    Database,
    Document,
    ForbiddenError,
    NotFoundError,
    RetryPolicy,
    TransportError,
)
from aiocouch._tracked import of_text
from aiocouch.attachment import Content
from tests.wire.canned import Answer, CannedServer, error_answer, json_answer

QUICK = RetryPolicy(first_wait=0.001, longest_wait=0.01)


@pytest.fixture
async def session(canned: CannedServer) -> AsyncIterator[CouchDB]:
    """A session that tries again."""
    async with CouchDB(canned.url, retry=QUICK) as couchdb:
        yield couchdb


PIECES = [b"first ", b"second ", b"third"]
WHOLE = b"".join(PIECES)


async def _pieces() -> AsyncIterator[bytes]:
    for piece in PIECES:
        yield piece


async def _saved(canned: CannedServer, base: Database, content: Content) -> None:
    doc = of_text(Document, base, "a", b'{"_id":"a","_rev":"1-a"}')
    stored = json_answer({"ok": True, "id": "a", "rev": "2-b"}, 201)
    read = json_answer({"_id": "a", "_rev": "2-b"})
    as_before = {"_id": "a", "_rev": "1-a", "_revisions": {"start": 1, "ids": ["a"]}}
    leaves = json_answer([{"ok": as_before}])
    canned.say(json_answer({"db_name": "db"}), Answer(silent=True), leaves, stored, read)
    await base.info()  # so that the connection is one that was used before
    await doc.attachment("x").save(content, "text/plain")


async def test_bytes(canned: CannedServer, base: Database) -> None:
    await _saved(canned, base, WHOLE)
    assert [request.body for request in canned.requests[1:4]] == [WHOLE, b"", WHOLE]


async def test_path(canned: CannedServer, base: Database, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(WHOLE)
    await _saved(canned, base, tmp_path / "file")
    assert [request.body for request in canned.requests[1:4]] == [WHOLE, b"", WHOLE]


@pytest.mark.parametrize("make", [_pieces, lambda: io.BytesIO(WHOLE)])
async def test_what_can_be_read_once(
    canned: CannedServer, base: Database, make: type[io.BytesIO]
) -> None:
    with pytest.raises(TransportError):
        await _saved(canned, base, make())
    assert [request.body for request in canned.requests[1:]] == [WHOLE]
    canned.answers.clear()


async def test_large_document(canned: CannedServer, base: Database) -> None:
    stored = json_answer({"ok": True, "id": "a", "rev": "1-a"}, 201)
    canned.say(json_answer({"db_name": "db"}), Answer(silent=True), MISSING, stored)
    await base.info()
    await Document(base, "a", {"text": "x" * 3_000_000}).save()
    first, _, second = canned.requests[1:]
    for request in (first, second):
        assert request.headers["content-length"] == str(len(request.body))
        assert json.loads(request.body)["text"] == "x" * 3_000_000


MISSING = error_answer(404, "not_found", "missing")
NO_DATABASE = error_answer(404, "not_found", "Database does not exist.")
CONFLICT = error_answer(409, "conflict", "Document update conflict.")


async def test_a_save_without_a_database_is_clear(canned: CannedServer, base: Database) -> None:
    canned.say(json_answer({"db_name": "db"}), Answer(silent=True), *[NO_DATABASE] * 3)
    await base.info()
    with pytest.raises(NotFoundError):
        await Document(base, "a", {"n": 1}).save()


async def test_another_refusal_is_what_it_is(canned: CannedServer, base: Database) -> None:
    refused = error_answer(403)
    canned.say(json_answer({"db_name": "db"}), Answer(silent=True), MISSING, refused, MISSING)
    await base.info()
    with pytest.raises(ForbiddenError):
        await Document(base, "a", {"n": 1}).save()


async def test_a_conflict_at_once_is_a_conflict(canned: CannedServer, base: Database) -> None:
    canned.say(CONFLICT)
    with pytest.raises(ConflictError):
        await Document(base, "a", {"n": 1}).save()


async def test_who_sends_again_after_an_answer_meets_a_conflict(canned: CannedServer) -> None:
    """As digest authentication does: the first one was not carried out."""

    async def twice(request: ClientRequest, handler: ClientHandlerType) -> ClientResponse:
        await handler(request)
        return await handler(request)

    canned.say(error_answer(401), CONFLICT)
    async with CouchDB(canned.url, middlewares=(twice,)) as couchdb:
        with pytest.raises(ConflictError):
            await Document(Database(couchdb, "db"), "a", {"n": 1}).save()


@pytest.mark.parametrize(("count", "size"), [(3, 10), (250, 10), (250, 1000), (250, 10_000)])
async def test_large_bodies_are_sent_again_whole(
    canned: CannedServer, count: int, size: int
) -> None:
    canned.say(
        error_answer(503),
        json_answer(
            [{"ok": True, "id": f"{number}", "rev": "1-a"} for number in range(count)], 201
        ),
    )
    async with (
        CouchDB(canned.url, middlewares=(_until_it_works,)) as couchdb,
        Database(couchdb, "db").create_docs() as bulk,
    ):
        for number in range(count):
            bulk.create(f"{number}", {"text": "x" * size})
    first, second = canned.requests
    assert first.body == second.body
    assert [doc["text"] for doc in second.json()["docs"]] == ["x" * size] * count


async def test_a_large_document_is_sent_again_whole(canned: CannedServer) -> None:
    canned.say(error_answer(503), json_answer({"ok": True, "id": "a", "rev": "1-a"}, 201))
    async with CouchDB(canned.url, middlewares=[_until_it_works]) as couchdb:
        await Document(Database(couchdb, "db"), "a", {"text": "x" * 3_000_000}).save()
    assert canned.requests[0].body == canned.requests[1].body
    assert canned.requests[1].json()["text"] == "x" * 3_000_000


async def test_no_middlewares_are_none(canned: CannedServer) -> None:
    canned.say(json_answer({"ok": True, "id": "a", "rev": "1-a"}, 201))
    async with CouchDB(canned.url, middlewares=None) as couchdb:
        await Document(Database(couchdb, "db"), "a", {"n": 1}).save()


async def _until_it_works(request: ClientRequest, handler: ClientHandlerType) -> ClientResponse:
    while True:
        response = await handler(request)
        if response.status != 503:
            return response


async def test_middlewares_of_the_session_stay(canned: CannedServer) -> None:
    seen: list[str] = []

    async def note(request: ClientRequest, handler: ClientHandlerType) -> ClientResponse:
        seen.append(request.method)
        return await handler(request)

    stored = json_answer({"ok": True, "id": "a", "rev": "1-a"}, 201)
    canned.say(json_answer({"db_name": "db"}), stored)
    async with CouchDB(canned.url, middlewares=(note,)) as couchdb:
        base = Database(couchdb, "db")
        await base.info()
        await Document(base, "a", {"n": 1}).save()
    assert seen == ["GET", "PUT"]
