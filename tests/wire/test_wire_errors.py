"""One table of statuses for every route, HEAD and streams included (behaviour C.3)."""

import copy
import pickle
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import aiohttp
import pytest

import aiocouch
from aiocouch import CouchDB, Database, Document
from aiocouch.document import SecurityDocument
from aiocouch.exception import CouchDBError, RemoteResponseError
from tests.wire.canned import Answer, CannedServer, error_answer, json_answer

CLASSES: dict[int, type[Exception]] = {
    400: aiocouch.BadRequestError,
    401: aiocouch.UnauthorizedError,
    403: aiocouch.ForbiddenError,
    404: aiocouch.NotFoundError,
    409: aiocouch.ConflictError,
    412: aiocouch.PreconditionFailedError,
    415: aiocouch.UnsupportedMediaTypeError,
    417: aiocouch.ExpectationFailedError,
    405: RemoteResponseError,
    406: RemoteResponseError,
    413: RemoteResponseError,
    416: RemoteResponseError,
    429: RemoteResponseError,
    500: RemoteResponseError,
    501: RemoteResponseError,
    502: RemoteResponseError,
    503: RemoteResponseError,
    504: RemoteResponseError,
}

BUILTINS: dict[int, type[Exception]] = {
    400: ValueError,
    401: PermissionError,
    403: PermissionError,
    404: KeyError,
    409: KeyError,
    412: ValueError,
    415: ValueError,
    417: ValueError,
}


async def drain(rows: AsyncIterator[Any]) -> None:
    async for _ in rows:
        pass


async def bulk_write(db: Database) -> None:
    async with db.create_docs(["x"]):
        pass


async def bulk_read(db: Database) -> None:
    async with db.update_docs(["x"]):
        pass


async def save_security(db: Database) -> None:
    security = SecurityDocument(db)
    security.add_member("a")
    await security.save()


def known(db: Database) -> Document:
    """A document with a revision, as after a fetch, though nothing was fetched."""
    return Document(db, "x", data={"_rev": "1-a"})


Call = Callable[[Database], Awaitable[object]]

GETS: dict[str, Call] = {
    "get": lambda db: db["x"],
    "fetch": lambda db: Document(db, "x").fetch(),
    "info": lambda db: db.info(),
    "security": lambda db: db.security(),
    "conflicts": lambda db: Document(db, "x").conflicts(),
    "revs": lambda db: Document(db, "x").revs(),
    "attachment": lambda db: Document(db, "x").attachment("a").fetch(),
    "view": lambda db: db.view("d", "v").get(),
    "view_ids": lambda db: drain(db.view("d", "v").ids()),
    "view_docs": lambda db: drain(db.view("d", "v").docs()),
    "akeys": lambda db: drain(db.akeys()),
    "docs": lambda db: drain(db.docs()),
    "values": lambda db: drain(db.values()),
    "changes": lambda db: drain(db.changes()),
    "continuous": lambda db: drain(db.changes(feed="continuous")),
}

WRITES: dict[str, Call] = {
    "save": lambda db: Document(db, "x").save(),
    "delete_document": lambda db: known(db).delete(discard_changes=True),
    "copy": lambda db: Document(db, "x").copy("y"),
    "delete_database": lambda db: db.delete(),
    "find": lambda db: drain(db.find({})),
    "index": lambda db: db.index({"fields": ["a"]}),
    "purge": lambda db: db.purge({"x": ["1-a"]}),
    "bulk_get": lambda db: db.bulk_get([{"id": "x"}]),
    "bulk_docs": lambda db: db.bulk_docs([{"_id": "x"}]),
    "bulk_write": bulk_write,
    "bulk_read": bulk_read,
    "save_security": save_security,
    "docs_ids": lambda db: drain(db.docs(["x"])),
    "view_post": lambda db: db.view("d", "v").post(["x"]),
}

HEADS: dict[str, Call] = {
    "document_info": lambda db: Document(db, "x").info(),
    "create": lambda db: db.create("x"),
    "attachment_exists": lambda db: Document(db, "x").attachment("a").exists(),
}

# 404 means "no" there, and is the answer.
NO_ERROR = {("create", 404), ("attachment_exists", 404)}


def expect_facts(error: Exception, status: int, method: str, path: str) -> None:
    assert isinstance(error, CouchDBError)
    assert isinstance(error, CLASSES[status])
    assert (error.status, error.method) == (status, method)
    assert str(error.path).startswith(path)


@pytest.mark.parametrize("status", CLASSES)
@pytest.mark.parametrize("name", [*GETS, *WRITES])
async def test_every_route_maps_every_status(
    canned: CannedServer, base: Database, name: str, status: int
) -> None:
    canned.handler = lambda request: error_answer(status, "some_error", "because of things")
    call = (GETS | WRITES)[name]
    with pytest.raises(CouchDBError) as caught:
        await call(base)
    error = caught.value
    expect_facts(error, status, canned.requests[0].method, "/db")
    assert (error.error, error.reason) == ("some_error", "because of things")
    assert error.request_id == "abc123def0"
    assert "because of things" in str(error)


@pytest.mark.parametrize(
    ("name", "status"),
    [(name, status) for name in HEADS for status in CLASSES if (name, status) not in NO_ERROR],
)
async def test_head_maps_every_status(
    canned: CannedServer, base: Database, name: str, status: int
) -> None:
    canned.handler = lambda request: error_answer(status)
    with pytest.raises(CLASSES[status]) as caught:
        await HEADS[name](base)
    asked_again = status == 400  # with GET, for the reason
    expect_facts(caught.value, status, "GET" if asked_again else "HEAD", "/db/x")
    assert "None" not in str(caught.value)


@pytest.mark.parametrize("status", CLASSES)
async def test_database_head_maps_every_status(
    canned: CannedServer, session: CouchDB, status: int
) -> None:
    canned.handler = lambda request: error_answer(status)
    with pytest.raises(CLASSES[status]):
        await session["db"]


SESSION_CALLS: dict[str, Callable[[CouchDB], Awaitable[object]]] = {
    "keys": lambda couchdb: couchdb.keys(),
    "info": lambda couchdb: couchdb.info(),
    "create": lambda couchdb: couchdb.create("db"),
    "check_credentials": lambda couchdb: couchdb.check_credentials(),
}


@pytest.mark.parametrize("status", CLASSES)
@pytest.mark.parametrize("name", SESSION_CALLS)
async def test_session_maps_every_status(
    canned: CannedServer, session: CouchDB, name: str, status: int
) -> None:
    canned.handler = lambda request: error_answer(status, "some_error", "because of things")
    with pytest.raises(CLASSES[status], match="because of things"):
        await SESSION_CALLS[name](session)


@pytest.mark.parametrize("status", BUILTINS)
async def test_old_builtin_bases_go_on_catching(
    canned: CannedServer, base: Database, status: int
) -> None:
    canned.say(error_answer(status))
    with pytest.raises(BUILTINS[status]):
        await base["x"]


@pytest.mark.parametrize("status", sorted(CLASSES.keys() - BUILTINS.keys()))
async def test_the_rest_is_caught_as_aiohttps(
    canned: CannedServer, base: Database, status: int
) -> None:
    canned.handler = lambda request: error_answer(status, "e", "the reason")
    with pytest.raises(aiohttp.ClientResponseError) as caught:
        await base["x"]
    assert caught.value.status == status
    assert isinstance(caught.value, RemoteResponseError)
    assert caught.value.reason == "the reason"


async def test_text_of_not_found_has_no_quotes_around_it(
    canned: CannedServer, base: Database
) -> None:
    canned.say(error_answer(404, "not_found", "missing"))
    with pytest.raises(aiocouch.NotFoundError) as caught:
        await base["x"]
    assert str(caught.value)[0] not in "'\""
    assert str(caught.value)[-1] not in "'\""
    assert "missing" in str(caught.value)


async def test_text_names_what_was_asked(canned: CannedServer, base: Database) -> None:
    canned.say(error_answer(409, "conflict", "Document update conflict."))
    with pytest.raises(aiocouch.ConflictError) as caught:
        await Document(base, "my-document").save()
    assert "my-document" in str(caught.value)


@pytest.mark.parametrize("status", [404, 500])
@pytest.mark.parametrize(
    "body", [b"", b"<html>no</html>", b"[]", b'"text"', b"{}", b'{"error":1,"reason":[]}', b"\xff"]
)
async def test_error_with_any_body(
    canned: CannedServer, base: Database, status: int, body: bytes
) -> None:
    canned.handler = lambda request: Answer(status, body, {"Content-Type": "text/html"})
    with pytest.raises(CLASSES[status]) as caught:
        await base["x"]
    assert str(caught.value)


async def test_error_whose_body_is_cut(canned: CannedServer, base: Database) -> None:
    canned.handler = lambda request: Answer(404, pieces=[b'{"error":"not_'], cut=True)
    with pytest.raises(CouchDBError):
        await base["x"]


async def test_cause_of_the_old_errors_is_kept(canned: CannedServer, base: Database) -> None:
    # 4.0.1 had the aiohttp error with status and headers on __cause__.
    canned.say(error_answer(404))
    with pytest.raises(aiocouch.NotFoundError) as caught:
        await base["x"]
    cause = caught.value.__cause__
    assert isinstance(cause, aiohttp.ClientResponseError)
    assert cause.status == 404


async def test_failed_save_leaves_the_document_as_it_was(
    canned: CannedServer, base: Database
) -> None:
    canned.say(json_answer({"_id": "x", "_rev": "1-a", "n": 1}), error_answer(409, "conflict"))
    canned.say_json({"ok": True, "id": "x", "rev": "2-b"}, 201)
    doc = await base["x"]
    doc["n"] = 2
    with pytest.raises(aiocouch.ConflictError):
        await doc.save()
    assert dict(doc) == {"_id": "x", "_rev": "1-a", "n": 2}
    assert await doc.save() is not None, "the change was forgotten"


async def test_failed_fetch_leaves_the_document_as_it_was(
    canned: CannedServer, base: Database
) -> None:
    canned.say(json_answer({"_id": "x", "_rev": "1-a", "n": 1}), error_answer(404, "not_found"))
    doc = await base["x"]
    with pytest.raises(aiocouch.NotFoundError):
        await doc.fetch()
    assert dict(doc) == {"_id": "x", "_rev": "1-a", "n": 1}


async def test_failed_delete_leaves_the_document_as_it_was(
    canned: CannedServer, base: Database
) -> None:
    canned.say(json_answer({"_id": "x", "_rev": "1-a", "n": 1}), error_answer(409, "conflict"))
    doc = await base["x"]
    with pytest.raises(aiocouch.ConflictError):
        await doc.delete()
    assert dict(doc) == {"_id": "x", "_rev": "1-a", "n": 1}
    assert doc.exists


KINDS: dict[str, Answer] = {
    "missing": error_answer(404, "not_found", "missing"),
    "conflict": error_answer(409, "conflict", "Document update conflict."),
    "server": error_answer(500, "oops", "the reason"),
    "silent": Answer(silent=True),
    "cut": Answer(pieces=[b"{"], cut=True),
    "html": Answer(200, b"<html>", {"Content-Type": "text/html"}),
    "garbage": Answer(raw=b"this is no HTTP\r\n\r\n"),
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    "again", [copy.copy, copy.deepcopy, lambda error: pickle.loads(pickle.dumps(error))]
)
async def test_error_can_be_pickled_and_copied(
    canned: CannedServer, base: Database, kind: str, again: Callable[[Any], Any]
) -> None:
    # They cross processes: pools of workers, test runners, task queues.
    canned.handler = lambda request: KINDS[kind]
    with pytest.raises(CouchDBError) as caught:
        await base["x"]
    error, other = caught.value, again(caught.value)
    assert type(other) is type(error)
    assert str(other) == str(error)
    for fact in ("status", "error", "reason", "method", "path", "request_id"):
        assert getattr(other, fact) == getattr(error, fact)
    assert repr(other)


async def test_the_reason_of_a_refused_head_is_asked_for(
    canned: CannedServer, base: Database
) -> None:
    canned.say(Answer(400), error_answer(400, "bad_request", "Doc id must be of form partition:id"))
    with pytest.raises(aiocouch.BadRequestError, match="partition:id") as caught:
        await base.create("x")
    assert [request.method for request in canned.requests] == ["HEAD", "GET"]
    assert caught.value.reason == "Doc id must be of form partition:id"


@pytest.mark.parametrize(
    "answer", [json_answer({"_id": "x"}), error_answer(404), Answer(silent=True), Answer(500)]
)
async def test_a_refused_head_stays_one_whatever_get_says(
    canned: CannedServer, base: Database, answer: Answer
) -> None:
    canned.say(Answer(400), answer)
    with pytest.raises(aiocouch.BadRequestError, match="HEAD /db/x"):
        await base.create("x")
