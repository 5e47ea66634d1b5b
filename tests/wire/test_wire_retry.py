"""What is sent again and what is not, when, and what the caller gets; request for request."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from typing import TYPE_CHECKING, Any

import aiohttp
import pytest

from aiocouch import (
    ConflictError,
    CouchDB,
    Database,
    Document,
    InvalidTypeError,
    NotFoundError,
    RemoteResponseError,
    RetryPolicy,
    TransportError,
)
from aiocouch._transport.request import Request
from tests.wire.canned import Answer, CannedServer, error_answer, json_answer

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from aiocouch import CouchDBError
    from aiocouch._transport.policy import Failure

QUICK = RetryPolicy(first_wait=0.001, longest_wait=0.01)
INFO = json_answer({"db_name": "db"})
HTML = Answer(502, b"<html>Bad Gateway</html>", {"Content-Type": "text/html"})
BUSY = error_answer(429, "too_many_requests", "Too many requests.")
SAVED = json_answer({"ok": True, "id": "a", "rev": "1-x"}, 201)
MISSING = error_answer(404, "not_found", "missing")
CONFLICT = error_answer(409, "conflict", "Document update conflict.")
SILENT = Answer(silent=True)
PASSING = {
    "silent": SILENT,
    "cut": Answer(body=b'{"db', cut=True, length=100),
    "reset": Answer(body=b'{"db', reset=True, length=100),
    "429": BUSY,
    "502": HTML,
    "503": error_answer(503),
    "maintenance": error_answer(
        503,
        "service unavailable",
        "Nodes are unable to service this request due to overloading or maintenance mode.",
    ),
    "search is away": error_answer(503, "service unavailable", "Search service unavailable."),
    "504": error_answer(504),
    "no shard": error_answer(500, "internal_server_error", "No DB shards could be opened."),
    "node down": error_answer(500, "nodedown", "progress not possible"),
    "worker gone": error_answer(500, "error", "internal_server_error"),
}


@contextlib.asynccontextmanager
async def trying(
    canned: CannedServer, policy: RetryPolicy | None = QUICK
) -> AsyncIterator[Database]:
    async with CouchDB(canned.url, retry=policy) as couchdb:
        yield Database(couchdb, "db")


# -- what may be sent again -----------------------------------------------------------------------


@pytest.mark.parametrize("name", PASSING)
async def test_reads_are_sent_again(canned: CannedServer, name: str) -> None:
    canned.say(PASSING[name], PASSING[name], INFO)
    async with trying(canned) as db:
        assert (await db.info())["db_name"] == "db"
    # aiohttp sends a GET a second time by itself, if the connection is not fresh.
    assert set(canned.lines) == {"GET /db"}


@pytest.mark.parametrize("status", [400, 401, 403, 404, 409, 412, 413, 415, 417, 500, 501, 505])
async def test_what_does_not_pass_is_not_sent_again(canned: CannedServer, status: int) -> None:
    canned.say(error_answer(status))
    async with trying(canned) as db:
        with pytest.raises(Exception, match=str(status)):
            await db.info()
    assert len(canned.requests) == 1


@pytest.mark.parametrize(
    "error", [("internal_server_error", "No account secret"), ("error", "badmatch"), ("x", "error")]
)
async def test_a_fault_of_the_server_is_final(canned: CannedServer, error: tuple[str, str]) -> None:
    canned.say(error_answer(500, *error))
    async with trying(canned) as db:
        with pytest.raises(RemoteResponseError, match=error[1]):
            await db.info()
    assert len(canned.requests) == 1


@pytest.mark.parametrize(
    "error",
    [
        ("service unavailable", "Search is not available"),
        ("required index service unavailable", "text"),
        ("required index service unavailable", "nouveau"),
    ],
)
async def test_no_search_service_is_final(canned: CannedServer, error: tuple[str, str]) -> None:
    canned.say(error_answer(503, *error))
    async with trying(canned) as db:
        with pytest.raises(RemoteResponseError, match=error[1]) as caught:
            await db.search("d", "i").page("x")
    assert caught.value.status == 503
    assert len(canned.requests) == 1


@pytest.mark.parametrize("name", PASSING)
async def test_without_a_policy_nothing_is_sent_again(canned: CannedServer, name: str) -> None:
    canned.say(PASSING[name])
    async with trying(canned, None) as db:
        with pytest.raises((TransportError, RemoteResponseError)):
            await db.index({"fields": ["a"]})
    assert len(canned.requests) == 1


@pytest.mark.parametrize("name", [name for name in PASSING if name != "429"])
@pytest.mark.parametrize("method", ["PUT", "POST", "DELETE"])
async def test_a_write_that_nobody_can_settle_is_sent_once(
    canned: CannedServer, method: str, name: str
) -> None:
    canned.say(INFO, PASSING[name])
    async with trying(canned) as db:
        await db.info()  # so that the connection is not fresh
        with pytest.raises((TransportError, RemoteResponseError)):
            await db.remote.request(method, "/db/_something", body=b"{}")
    assert len(canned.requests) == 2


@pytest.mark.parametrize("method", ["PUT", "POST", "DELETE"])
async def test_what_was_not_done_for_sure_is_sent_again(canned: CannedServer, method: str) -> None:
    canned.say(BUSY, json_answer({"ok": True}))
    async with trying(canned) as db:
        await db.remote.request(method, "/db/_something", body=b"{}")
    assert [request.body for request in canned.requests] == [b"{}", b"{}"]


async def test_nobody_listens_yet(unused_tcp_port: int) -> None:
    """A server that starts a little later than its client."""
    tries = 0

    class Starting(RetryPolicy):
        def failure(self, error: CouchDBError) -> Failure:
            nonlocal tries
            tries += 1
            assert isinstance(error, aiohttp.ClientConnectorError)
            return super().failure(error)

    policy = Starting(first_wait=0.001, longest_wait=0.01, tries=4)
    async with CouchDB(f"http://127.0.0.1:{unused_tcp_port}", retry=policy) as couchdb:
        with pytest.raises(aiohttp.ClientConnectorError) as caught:
            await Document(Database(couchdb, "db"), "a", {}).save()
    assert tries == 4
    assert "4 tries" in caught.value.__notes__[0]


# -- settling -------------------------------------------------------------------------------------


def leaf(rev: str, *before: str, **members: Any) -> dict[str, Any]:
    ids = [each.partition("-")[2] for each in (rev, *before)]
    start = int(rev.partition("-")[0])
    return {"ok": {"_id": "a", "_rev": rev, **members, "_revisions": {"start": start, "ids": ids}}}


N1 = "1-6a1adde9be9cd8e7d5ef76edc6836391"
"""The revision that CouchDB gives to the new document `{"n": 0}`."""


async def test_a_save_that_was_done(canned: CannedServer) -> None:
    canned.say(SILENT, json_answer([leaf(N1, n=0)]))
    async with trying(canned) as db:
        doc = Document(db, "a", {"n": 0})
        answer = await doc.save()
    assert answer is not None
    assert answer.json() == {"ok": True, "id": "a", "rev": N1}
    assert (answer.status, answer.etag, doc.rev) == (201, N1, N1)
    query = "open_revs=all&revs=true&att_encoding_info=true"
    assert canned.lines == ["PUT /db/a", f"GET /db/a?{query}"]


async def test_a_save_that_was_not_done(canned: CannedServer) -> None:
    canned.say(SILENT, MISSING, SAVED)
    async with trying(canned) as db:
        doc = Document(db, "a", {"n": 0})
        await doc.save()
    assert doc.rev == "1-x"
    assert [request.method for request in canned.requests] == ["PUT", "GET", "PUT"]


async def test_a_save_that_arrives_late(canned: CannedServer) -> None:
    """While it is asked what became of it, it is still on its way, and overtakes the second try."""
    canned.say(SILENT, MISSING, CONFLICT, json_answer([leaf(N1, n=0)]))
    async with trying(canned) as db:
        doc = Document(db, "a", {"n": 0})
        await doc.save()
    assert doc.rev == N1


async def test_a_true_conflict(canned: CannedServer) -> None:
    theirs = json_answer([leaf("1-theirs", n=7)])
    canned.say(SILENT, theirs, CONFLICT, theirs)
    async with trying(canned) as db:
        with pytest.raises(ConflictError):
            await Document(db, "a", {"n": 0}).save()


@pytest.mark.parametrize(
    "refused",
    [
        error_answer(403),
        error_answer(500),
        Answer(body=b"{"),
        json_answer({}),
        json_answer([1]),
        json_answer([{"ok": {}}]),
        json_answer([{"ok": {"_rev": "1-a", "_revisions": {"start": "x"}}}]),
    ],
)
async def test_what_cannot_be_settled_is_unclear(canned: CannedServer, refused: Answer) -> None:
    """Neither done nor a conflict is claimed: it is the error of the answer that was lost."""
    canned.say(SILENT, refused)
    async with trying(canned) as db:
        doc = Document(db, "a", {"n": 0})
        with pytest.raises(TransportError) as caught:
            await doc.save()
        assert isinstance(caught.value.__cause__, aiohttp.ServerDisconnectedError)
        assert doc.is_dirty()
    assert len(canned.requests) == 2


async def test_a_question_that_fails_is_asked_again(canned: CannedServer) -> None:
    canned.say(SILENT, HTML, SILENT, BUSY, json_answer([leaf(N1, n=0)]))
    async with trying(canned) as db:
        doc = Document(db, "a", {"n": 0})
        await doc.save()
    assert doc.rev == N1
    assert [request.method for request in canned.requests] == ["PUT", *["GET"] * 4]


async def test_when_all_tries_fail_the_one_that_leaves_it_open_is_raised(
    canned: CannedServer,
) -> None:
    canned.say(SILENT, *[BUSY] * 15)  # each try asks three times
    async with trying(canned) as db:
        with pytest.raises(TransportError) as caught:
            await Document(db, "a", {"n": 0}).save()
    assert len(canned.requests) == 16
    assert caught.value.status is None
    assert "6 tries, the last of which: GET /db/a: 429" in caught.value.__notes__[0]


async def test_a_question_that_is_lost_comes_again(canned: CannedServer) -> None:
    """It is no try of the write, of which only some are left."""
    stored = json_answer({"ok": True, "id": "a", "rev": N1}, 201)
    canned.say(SILENT, BUSY, SILENT, MISSING, BUSY, BUSY, MISSING, stored)
    async with trying(canned, RetryPolicy(tries=3, first_wait=0, longest_wait=0)) as db:
        await Document(db, "a", {"n": 0}).save()
    assert [request.method for request in canned.requests] == [
        *("PUT", "GET", "GET", "GET"),
        *("PUT", "GET", "GET", "PUT"),
    ]


@pytest.mark.parametrize(
    "answers",
    [
        [json_answer([])],
        [json_answer({"a": 1})],
        [json_answer({}), json_answer([])],
        [json_answer({}), json_answer({"rows": []})],
        [json_answer({}), json_answer({"rows": [{}]}), json_answer({})],
        [json_answer({}), json_answer({"rows": [{}]}), json_answer({"results": []})],
        [json_answer({"a": {"missing": [N1]}}), json_answer({"a": 1}, 201)],
        [json_answer({"a": {"missing": [N1]}}), json_answer([], 201)],
    ],
)
async def test_a_bulk_that_cannot_be_settled_is_unclear(
    canned: CannedServer, answers: list[Answer]
) -> None:
    canned.say(SILENT, *answers)
    async with trying(canned) as db:
        with pytest.raises(TransportError) as caught:
            await db.bulk_docs([{"_id": "a", "n": 0}])
    assert "not CouchDB's" in caught.value.__notes__[0]


async def test_a_bulk_that_was_done_in_part(canned: CannedServer) -> None:
    """One request asks for all, and only what is missing is sent again."""

    def some_missing(request: Any) -> Answer:
        asked: dict[str, list[str]] = request.json()
        return json_answer({id: {"missing": revs} for id, revs in asked.items() if id != "b"})

    row = {"id": "b", "key": "b", "value": {"rev": N1}}
    rest = [{"ok": True, "id": id, "rev": "1-x"} for id in "ac"]
    canned.say(SILENT, some_missing, json_answer({"rows": [row]}), json_answer(rest, 201))
    async with trying(canned) as db:
        rows = await db.bulk_docs([{"_id": id, "n": 0} for id in "abc"])
    assert [row.get("rev") for row in rows] == ["1-x", N1, "1-x"]
    asked = [request.path.rpartition("/")[2] for request in canned.requests]
    assert asked == ["_bulk_docs", "_revs_diff", "_all_docs", "_bulk_docs"]
    assert canned.requests[3].json() == {"docs": [{"_id": "a", "n": 0}, {"_id": "c", "n": 0}]}


# -- when -----------------------------------------------------------------------------------------


async def test_retry_after_is_waited_for(canned: CannedServer) -> None:
    waits: list[float] = []

    class Noted(RetryPolicy):
        def wait(self, tries: int, error: CouchDBError, *args: Any, **kwargs: Any) -> float | None:
            wait = super().wait(tries, error, *args, **kwargs)
            waits.append(wait or 0)
            return 0.0

    busy = error_answer(503)
    busy.headers["Retry-After"] = "7"
    canned.say(busy, INFO)
    async with trying(canned, Noted(first_wait=0)) as db:
        await db.info()
    assert waits == [7]


async def test_a_wait_that_ends_too_late_is_not_begun(canned: CannedServer) -> None:
    busy = error_answer(503)
    busy.headers["Retry-After"] = "50"
    canned.say(busy)
    async with asyncio.timeout(30), trying(canned, RetryPolicy(deadline=40)) as db:
        with pytest.raises(RemoteResponseError, match="503"):
            await db.info()


@pytest.mark.parametrize("before", [(), (SILENT,), (BUSY,)])
async def test_no_call_is_longer_than_its_deadline(
    canned: CannedServer, before: tuple[Answer, ...]
) -> None:
    """The first try and later ones end with it, here by a server that says nothing."""
    gate = asyncio.Event()

    async def never() -> AsyncIterator[bytes]:
        yield b"{"
        await gate.wait()

    canned.say(*before, Answer(pieces=never()))  # type: ignore[arg-type]
    policy = RetryPolicy(first_wait=0, deadline=0.2)
    async with asyncio.timeout(30), trying(canned, policy) as db:
        start = asyncio.get_running_loop().time()
        with pytest.raises((TransportError, RemoteResponseError)):
            await db.info()
        assert asyncio.get_running_loop().time() - start < 10
    gate.set()


async def test_a_deadline_of_one_call(canned: CannedServer) -> None:
    gate = asyncio.Event()

    async def never() -> AsyncIterator[bytes]:
        yield b"{"
        await gate.wait()

    canned.say(Answer(pieces=never()))  # type: ignore[arg-type]
    async with asyncio.timeout(30), CouchDB(canned.url) as couchdb:
        deadline = asyncio.get_running_loop().time() + 0.1
        ask = couchdb.remote._ask  # noqa: SLF001 - nothing public takes a deadline yet
        with pytest.raises(TimeoutError, match="deadline"):
            await ask(Request("GET", "/db", deadline=deadline))
    gate.set()


async def test_an_outage_is_not_amplified(canned: CannedServer) -> None:
    canned.handler = lambda _: error_answer(503)
    policy = RetryPolicy(first_wait=0, longest_wait=0, budget=20)
    async with trying(canned, policy) as db:
        for _ in range(100):
            with pytest.raises(RemoteResponseError):
                await db.info()
        assert len(canned.requests) == 120
        canned.handler = lambda _: INFO
        for _ in range(10):
            await db.info()
        canned.requests.clear()
        canned.handler = lambda _: error_answer(503)
        for _ in range(3):
            with pytest.raises(RemoteResponseError):
                await db.info()
        assert len(canned.requests) == 13


async def test_closing_the_session_ends_a_wait(canned: CannedServer) -> None:
    canned.say(BUSY)
    warned = asyncio.Event()

    class Waiting(RetryPolicy):
        def wait(self, *_: Any, **__: Any) -> float | None:
            warned.set()
            return 3600

    async with asyncio.timeout(30), trying(canned, Waiting(deadline=None)) as db:
        running = asyncio.ensure_future(db.info())
        await warned.wait()
        await asyncio.sleep(0)
        await db.couchdb.close()
        with pytest.raises(RemoteResponseError, match="429"):
            await running


async def test_a_caller_that_is_cancelled_is_cancelled(canned: CannedServer) -> None:
    canned.say(BUSY)
    async with trying(canned, RetryPolicy(first_wait=3600, longest_wait=3600, deadline=None)) as db:
        running = asyncio.ensure_future(db.info())
        await canned.requested(1)
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running


# -- what is seen of it ---------------------------------------------------------------------------


async def test_each_further_try_is_a_warning_without_secrets(
    canned: CannedServer, caplog: pytest.LogCaptureFixture
) -> None:
    canned.say(HTML, BUSY, MISSING)
    url = canned.url.replace("//", "//admin:secret@")
    with caplog.at_level(logging.WARNING, "aiocouch"):
        async with CouchDB(url, retry=QUICK) as couchdb:
            with pytest.raises(NotFoundError):
                await Database(couchdb, "db").get("a", rev="1-a")
    first, second = (record.getMessage() for record in caplog.records)
    assert first.startswith("GET /db/a: 502 ")
    assert "try 2" in first
    assert second.startswith("GET /db/a: 429 too_many_requests")
    assert "secret" not in caplog.text
    assert "rev=" not in caplog.text


@pytest.mark.parametrize("given", ["yes", 3, RetryPolicy])
def test_what_is_no_policy_is_named(given: Any) -> None:
    with pytest.raises(InvalidTypeError, match="RetryPolicy"):
        CouchDB("http://127.0.0.1", retry=given)
