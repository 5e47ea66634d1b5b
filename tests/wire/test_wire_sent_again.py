"""A connection that breaks under a PUT or a DELETE. aiohttp may send it again; never in part."""

import contextlib
import io
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest
from aiohttp import ClientHandlerType, ClientRequest, ClientResponse

from aiocouch import (
    ConflictError,
    CouchDB,
    CouchDBError,
    Database,
    Document,
    ForbiddenError,
    NotFoundError,
    PreconditionFailedError,
    TransportError,
)
from aiocouch._tracked import of_text
from aiocouch.attachment import Content
from tests.wire.canned import Answer, CannedServer, error_answer, json_answer

PIECES = [b"first ", b"second ", b"third"]
WHOLE = b"".join(PIECES)


async def _pieces() -> AsyncIterator[bytes]:
    for piece in PIECES:
        yield piece


async def _saved(canned: CannedServer, base: Database, content: Content) -> None:
    doc = of_text(Document, base, "a", b'{"_id":"a","_rev":"1-a"}')
    stored = json_answer({"ok": True, "id": "a", "rev": "2-b"}, 201)
    read = json_answer({"_id": "a", "_rev": "2-b"})
    canned.say(json_answer({"db_name": "db"}), Answer(silent=True), stored, read)
    await base.info()  # so that the connection is one that was used before
    await doc.attachment("x").save(content, "text/plain")


async def test_bytes(canned: CannedServer, base: Database) -> None:
    await _saved(canned, base, WHOLE)
    assert [request.body for request in canned.requests[1:3]] == [WHOLE, WHOLE]


async def test_path(canned: CannedServer, base: Database, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(WHOLE)
    await _whole_or_not_at_all(canned, base, tmp_path / "file")


@pytest.mark.parametrize("make", [_pieces, lambda: io.BytesIO(WHOLE)])
async def test_what_can_be_read_once(
    canned: CannedServer, base: Database, make: type[io.BytesIO]
) -> None:
    await _whole_or_not_at_all(canned, base, make())
    assert len(canned.requests) == 2


async def _whole_or_not_at_all(canned: CannedServer, base: Database, content: Content) -> None:
    # Whether aiohttp tries again depends on its version.
    with contextlib.suppress(TransportError):
        await _saved(canned, base, content)
    assert {request.body for request in canned.requests if request.method == "PUT"} == {WHOLE}
    canned.answers.clear()


async def test_large_document(canned: CannedServer, base: Database) -> None:
    stored = json_answer({"ok": True, "id": "a", "rev": "1-a"}, 201)
    canned.say(json_answer({"db_name": "db"}), Answer(silent=True), stored)
    await base.info()
    with contextlib.suppress(TransportError):
        await Document(base, "a", {"text": "x" * 3_000_000}).save()
    for request in canned.requests[1:]:
        assert request.headers["content-length"] == str(len(request.body))
        assert json.loads(request.body)["text"] == "x" * 3_000_000
    canned.answers.clear()


CONFLICT = error_answer(409, "conflict", "Document update conflict.")


async def test_a_conflict_that_may_be_one_with_itself(canned: CannedServer, base: Database) -> None:
    """Who takes it for somebody else's, makes an edit again that was stored."""
    canned.say(json_answer({"db_name": "db"}), Answer(silent=True), CONFLICT)
    await base.info()
    doc = Document(base, "a", {"n": 1})
    with pytest.raises(TransportError, match=r"409 conflict: .*maybe with itself") as caught:
        await doc.save()
    assert not isinstance(caught.value, ConflictError)
    assert (caught.value.status, caught.value.reason) == (409, "Document update conflict.")
    assert [request.method for request in canned.requests] == ["GET", "PUT", "PUT"]
    assert doc.is_dirty()


async def test_the_same_of_a_deletion(canned: CannedServer, base: Database) -> None:
    canned.say(json_answer({"db_name": "db"}), Answer(silent=True), CONFLICT)
    await base.info()
    with pytest.raises(TransportError, match="maybe with itself"):
        await of_text(Document, base, "a", b'{"_id":"a","_rev":"1-a"}').delete()


DELETED = error_answer(404, "not_found", "deleted")
NO_DATABASE = error_answer(404, "not_found", "Database does not exist.")
EXISTS = error_answer(412, "file_exists", "The database could not be created.")


async def delete_document(base: Database) -> None:
    await of_text(Document, base, "a", b'{"_id":"a","_rev":"1-a"}').delete()


async def delete_attachment(base: Database) -> None:
    await of_text(Document, base, "a", b'{"_id":"a","_rev":"1-a"}').attachment("x").delete()


async def delete_database(base: Database) -> None:
    await base.delete()


async def create_database(base: Database) -> None:
    await base.couchdb.create("db")


UNCLEAR: dict[str, tuple[Callable[[Database], Awaitable[None]], Answer, type[CouchDBError]]] = {
    "document": (delete_document, DELETED, NotFoundError),
    "attachment": (delete_attachment, DELETED, NotFoundError),
    "database": (delete_database, NO_DATABASE, NotFoundError),
    "new database": (create_database, EXISTS, PreconditionFailedError),
}


@pytest.mark.parametrize("name", UNCLEAR)
async def test_what_the_first_try_may_have_done_is_unclear(
    canned: CannedServer, base: Database, name: str
) -> None:
    write, answer, kind = UNCLEAR[name]
    canned.say(json_answer({"db_name": "db"}), Answer(silent=True), answer, answer)
    await base.info()
    with pytest.raises(TransportError, match=r"maybe (deleted|created) by itself") as caught:
        await write(base)
    assert isinstance(caught.value.__cause__, kind)
    assert not isinstance(caught.value, kind)
    with pytest.raises(kind):  # at once it is clear
        await write(base)


async def test_a_database_that_may_exist_exists_whoever_made_it(
    canned: CannedServer, base: Database
) -> None:
    canned.say(json_answer({"db_name": "db"}), Answer(silent=True), EXISTS)
    await base.info()
    assert (await base.couchdb.create("db", exists_ok=True)).id == "db"


async def test_a_save_without_a_database_is_clear(canned: CannedServer, base: Database) -> None:
    canned.say(json_answer({"db_name": "db"}), Answer(silent=True), NO_DATABASE)
    await base.info()
    with pytest.raises(NotFoundError):
        await Document(base, "a", {"n": 1}).save()


async def test_another_refusal_is_what_it_is(canned: CannedServer, base: Database) -> None:
    canned.say(json_answer({"db_name": "db"}), Answer(silent=True), error_answer(403))
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
    canned.say(error_answer(503), json_answer([{"ok": True, "rev": "1-a"}] * count, 201))
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
