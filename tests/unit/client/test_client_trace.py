"""What stands in the log."""

from __future__ import annotations

import logging

import pytest

from aiocouch import CouchDB, Database, NotFoundError
from tests.wire.canned import canned_server, error_answer, json_answer


async def test_a_request_is_a_line_without_its_query(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, "aiocouch")
    async with canned_server() as canned, CouchDB(canned.url, "me", "secret") as couchdb:
        canned.say(
            json_answer({"_id": "a", "_rev": "1-a"}, X_Couch_Request_ID="abc"), error_answer(404)
        )
        await Database(couchdb, "db").get("a", rev="1-secret")
        with pytest.raises(NotFoundError):
            await Database(couchdb, "db").info()
    first, second = (record.getMessage() for record in caplog.records if record.name == "aiocouch")
    assert first.startswith("GET /db/a: 200, 28 bytes, request abc, 0.")
    assert first.endswith(" seconds, attempt 1")
    assert second.startswith("GET /db: NotFoundError, 404, request abc123def0, ")
    assert "secret" not in caplog.text


async def test_a_stream_is_told_when_it_begins(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, "aiocouch")
    async with canned_server() as canned, CouchDB(canned.url) as couchdb:
        canned.say(json_answer({"rows": []}))
        assert [id async for id in Database(couchdb, "db").akeys()] == []
    (record,) = (record for record in caplog.records if record.name == "aiocouch")
    assert record.getMessage().startswith("GET /db/_all_docs: 200, a stream, request None, ")


async def test_nothing_is_logged_by_default(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "aiocouch")
    async with canned_server() as canned, CouchDB(canned.url) as couchdb:
        canned.say(json_answer({"couchdb": "Welcome"}))
        await couchdb.info()
    assert not [record for record in caplog.records if record.name == "aiocouch"]
