"""Hooks and the log: what they are told of each request."""

import asyncio
import logging
from collections.abc import AsyncGenerator
from typing import Any

import pytest

from aiocouch import CouchDB, Database, RetryPolicy
from aiocouch.exception import (
    CouchDBError,
    InvalidTypeError,
    NotFoundError,
    TransportError,
)
from aiocouch.hooks import Call, Hooks
from tests.wire.canned import Answer, CannedServer, error_answer, json_answer, row, rows_answer

ID = "abc123def0"


class Notes(Hooks):
    """Writes down what it is told."""

    def __init__(self) -> None:
        self.told: list[str] = []
        self.calls: list[Call] = []

    def started(self, call: Call) -> None:
        self.told.append("started")
        self.calls.append(call)
        assert call.status is None

    def ended(self, call: Call) -> None:
        self.told.append("ended")
        assert call is self.calls[-1]

    def failed(self, call: Call, error: BaseException) -> None:
        self.told.append(f"failed: {type(error).__name__}")
        assert call is self.calls[-1]

    def repeated(self, call: Call, error: CouchDBError, seconds: float) -> None:
        self.told.append("repeated")


async def test_a_request_that_succeeds(canned: CannedServer) -> None:
    notes = Notes()
    canned.say(json_answer({"_id": "x", "_rev": "1-a"}, X_Couch_Request_ID=ID))
    async with CouchDB(canned.url, hooks=notes) as couchdb:
        await Database(couchdb, "a/b").get("x", rev="1-a")
    (call,) = notes.calls
    assert notes.told == ["started", "ended"]
    assert (call.method, call.path, call.server) == ("GET", "/a%2Fb/x", canned.url)
    assert (call.operation, call.database) == ("GET /{db}/{docid}", "a/b")
    assert (call.status, call.request_id, call.attempts) == (200, "abc123def0", 1)
    assert not call.streamed
    assert call.size == len(b'{"_id": "x", "_rev": "1-a"}\n')
    assert call.seconds > 0


async def test_a_stream_is_told_when_it_begins(canned: CannedServer) -> None:
    notes = Notes()
    canned.say(rows_answer(row("a"), row("b")))
    async with CouchDB(canned.url, hooks=[notes]) as couchdb:
        keys = Database(couchdb, "db").akeys()
        assert await anext(keys) == "a"
        assert notes.told == ["started", "ended"]
        assert [key async for key in keys] == ["b"]
    (call,) = notes.calls
    assert notes.told == ["started", "ended"]
    assert (call.streamed, call.size, call.status) == (True, None, 200)
    assert call.operation == "GET /{db}/_all_docs"


async def test_an_error_has_status_and_id(canned: CannedServer) -> None:
    notes = Notes()
    canned.say(error_answer(404, "not_found", "missing"))
    async with CouchDB(canned.url, hooks=notes) as couchdb:
        with pytest.raises(NotFoundError) as caught:
            await Database(couchdb, "db").info()
    (call,) = notes.calls
    assert notes.told == ["started", "failed: NotFoundError"]
    assert (call.status, call.request_id) == (404, "abc123def0")
    assert caught.value.request_id == "abc123def0"


async def test_no_answer_at_all(canned: CannedServer) -> None:
    notes = Notes()
    canned.handler = lambda request: Answer(silent=True)
    async with CouchDB(canned.url, hooks=notes) as couchdb:
        with pytest.raises(TransportError):
            await couchdb.remote.request("POST", "/db/_ensure_full_commit")
    (call,) = notes.calls
    assert notes.told == ["started", "failed: ServerDisconnectedError"]
    assert (call.status, call.request_id) == (None, None)


async def test_a_call_that_is_cancelled(canned: CannedServer) -> None:
    notes = Notes()
    canned.handler = lambda request: Answer(pieces=never())
    async with CouchDB(canned.url, hooks=notes) as couchdb:
        task = asyncio.create_task(couchdb.info())
        await canned.requested(1)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    assert notes.told == ["started", "failed: CancelledError"]


async def never() -> AsyncGenerator[bytes, None]:
    yield b"{"
    await asyncio.Event().wait()


async def test_a_hook_that_fails_disturbs_nobody(
    canned: CannedServer, caplog: pytest.LogCaptureFixture
) -> None:
    class Broken(Hooks):
        def started(self, call: Call) -> None:
            raise LookupError("of the hook")

        def ended(self, call: Call) -> None:
            raise LookupError("of the hook")

    notes = Notes()
    canned.say_json({"couchdb": "Welcome"})
    async with CouchDB(canned.url, hooks=[Broken(), notes]) as couchdb:
        assert await couchdb.info() == {"couchdb": "Welcome"}
    assert notes.told == ["started", "ended"]
    assert caplog.text.count("a hook failed: Broken") == 2


async def test_a_hook_keeps_what_it_likes(canned: CannedServer) -> None:
    class Keeps(Hooks):
        found = None

        def started(self, call: Call) -> None:
            call.notes[self] = "kept"

        def ended(self, call: Call) -> None:
            self.found = call.notes[self]

    hook = Keeps()
    canned.say_json({"couchdb": "Welcome"})
    async with CouchDB(canned.url, hooks=hook) as couchdb:
        await couchdb.info()
    assert hook.found == "kept"


@pytest.mark.parametrize("hooks", [print, [print], 5, ["x"], Notes])
def test_what_is_no_hook(hooks: Any) -> None:
    with pytest.raises(InvalidTypeError, match="hook"):
        CouchDB("http://localhost", hooks=hooks)


async def test_the_log_hides_queries_and_credentials(
    canned: CannedServer, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, "aiocouch")
    canned.say(
        json_answer({"_id": "x", "_rev": "1-a"}, X_Couch_Request_ID=ID),
        error_answer(404, "not_found", "no"),
    )
    async with CouchDB(canned.url, "bond", "s3cr3t") as couchdb:
        db = Database(couchdb, "db")
        await db.get("x", rev="1-a")
        with pytest.raises(NotFoundError):
            await db.info()
    lines = [record.getMessage() for record in caplog.records if record.name == "aiocouch"]
    assert lines[0].startswith("GET /db/x: 200, ")
    assert "request abc123def0" in lines[0]
    assert lines[1].startswith("GET /db: NotFoundError, 404, request abc123def0")
    assert "1-a" not in caplog.text
    assert "s3cr3t" not in caplog.text


async def test_what_is_sent_again_is_told_and_logged(
    canned: CannedServer, caplog: pytest.LogCaptureFixture
) -> None:
    notes = Notes()
    canned.say(error_answer(503, "unavailable", "s0on"), json_answer({"couchdb": "Welcome"}))
    policy = RetryPolicy(first_wait=0)
    async with CouchDB(canned.url, hooks=notes, retry=policy) as couchdb:
        await couchdb.remote.request("GET", "/?secret=1")
    (call,) = notes.calls
    assert notes.told == ["started", "repeated", "ended"]
    assert (call.attempts, call.status) == (2, 200)
    (record,) = [record for record in caplog.records if record.levelno == logging.WARNING]
    assert record.name == "aiocouch"
    assert record.getMessage().startswith("GET /: 503 unavailable: s0on; it is tried again in ")
    assert "secret" not in caplog.text
