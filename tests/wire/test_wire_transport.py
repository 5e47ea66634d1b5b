"""No answer, half an answer, somebody else's answer: each raises, and says what happened."""

import asyncio
import socket
from collections.abc import AsyncGenerator, Awaitable, Callable
from typing import Any

import aiohttp
import pytest

import aiocouch
from aiocouch import CouchDB, Database, Document
from aiocouch.exception import CouchDBError, RemoteResponseError
from tests.wire.canned import (
    Answer,
    CannedServer,
    canned_server,
    cut_up,
    doc_row,
    json_answer,
    row,
    rows_answer,
    rows_text,
)
from tests.wire.test_wire_errors import GETS, HEADS, WRITES, Call

CALLS: dict[str, Call] = GETS | WRITES
HTML = Answer(200, b"<html><body>Please log in</body></html>", {"Content-Type": "text/html"})
BODIES = {name: call for name, call in CALLS.items() if name != "attachment"}


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


@pytest.mark.parametrize("name", [*CALLS, *HEADS])
async def test_refused_connection(name: str) -> None:
    async with CouchDB(f"http://127.0.0.1:{free_port()}") as couchdb:
        with pytest.raises(CouchDBError) as caught:
            await (CALLS | HEADS)[name](Database(couchdb, "db"))
        assert isinstance(caught.value, aiohttp.ClientConnectionError)
        assert "127.0.0.1" in str(caught.value)


@pytest.mark.parametrize("name", [*CALLS, *HEADS])
async def test_connection_closed_without_an_answer(
    canned: CannedServer, base: Database, name: str
) -> None:
    canned.handler = lambda request: Answer(silent=True)
    with pytest.raises(CouchDBError) as caught:
        await (CALLS | HEADS)[name](base)
    assert isinstance(caught.value, aiohttp.ClientError)
    assert str(caught.value)


async def test_unknown_host_is_an_error_of_ours() -> None:
    async with CouchDB("http://no-such-host.invalid:5984") as couchdb:
        with pytest.raises(CouchDBError, match=r"no-such-host\.invalid") as caught:
            await couchdb.info()
        assert isinstance(caught.value, aiohttp.ClientConnectionError)


async def test_time_out_is_caught_as_before(canned: CannedServer) -> None:
    forever = asyncio.Event()

    async def silence() -> AsyncGenerator[bytes, None]:
        await forever.wait()
        yield b""

    canned.handler = lambda request: Answer(raw=b"", pieces=silence())
    async with CouchDB(canned.url, timeout=aiohttp.ClientTimeout(total=0.05)) as couchdb:
        with pytest.raises(CouchDBError) as caught:
            await couchdb.info()
    assert isinstance(caught.value, asyncio.TimeoutError)
    assert "time" in str(caught.value).lower()


@pytest.mark.parametrize("name", BODIES)
async def test_body_cut_in_the_middle_raises(
    canned: CannedServer, base: Database, name: str
) -> None:
    canned.handler = lambda request: Answer(pieces=[b'{"'], cut=True)
    with pytest.raises(CouchDBError) as caught:
        await BODIES[name](base)
    assert isinstance(caught.value, aiohttp.ClientError)


@pytest.mark.parametrize("name", BODIES)
async def test_body_shorter_than_its_length_raises(
    canned: CannedServer, base: Database, name: str
) -> None:
    canned.handler = lambda request: Answer(body=b'{"', length=100, cut=True)
    with pytest.raises(CouchDBError):
        await BODIES[name](base)


@pytest.mark.parametrize("name", BODIES)
async def test_html_instead_of_json_raises(canned: CannedServer, base: Database, name: str) -> None:
    canned.handler = lambda request: HTML
    with pytest.raises(CouchDBError) as caught:
        await BODIES[name](base)
    assert "html" in str(caught.value).lower()


async def test_html_leaves_the_document_as_it_was(canned: CannedServer, base: Database) -> None:
    canned.say_json({"_id": "x", "_rev": "1-a", "n": 1})
    doc = await base["x"]
    canned.handler = lambda request: HTML
    with pytest.raises(CouchDBError):
        await doc.fetch()
    doc["n"] = 2
    with pytest.raises(CouchDBError):
        await doc.save()
    assert dict(doc) == {"_id": "x", "_rev": "1-a", "n": 2}


@pytest.mark.parametrize("media", ["text/plain", "application/json", "text/plain;charset=utf-8"])
async def test_json_is_json_whatever_it_is_called(
    canned: CannedServer, base: Database, media: str
) -> None:
    # pouchdb-server answers text/plain.
    canned.say(Answer(200, b'{"_id":"x","_rev":"1-a","n":1}', {"Content-Type": media}))
    assert (await base["x"])["n"] == 1


@pytest.mark.parametrize("body", [b"", b"null", b"[]", b"7", b'"x"', b'{"_id":"x"'])
async def test_document_that_is_none_raises(
    canned: CannedServer, base: Database, body: bytes
) -> None:
    canned.handler = lambda request: Answer(body=body)
    with pytest.raises(CouchDBError):
        dict(await base["x"])


ALL = rows_text([doc_row(f"d{i}", n=i) for i in range(20)], 20)
TAIL = len(b"\r\n]}\n")


@pytest.mark.parametrize("end", [1, 30, 200, len(ALL) // 2, len(ALL) - TAIL - 1, len(ALL) - TAIL])
@pytest.mark.parametrize("honest", [True, False])
async def test_rows_that_stop_early_raise(
    canned: CannedServer, base: Database, end: int, honest: bool
) -> None:
    """Cut by the network (`honest` False) or ended properly by a proxy that lost the rest."""
    canned.handler = lambda request: Answer(pieces=cut_up(ALL[:end], 50), cut=not honest)
    seen = []

    async def read() -> None:
        async for doc in base.docs():
            seen.append(doc["n"])  # noqa: PERF401 - keeps what came before the error

    with pytest.raises(CouchDBError):
        await read()
    assert seen == list(range(len(seen))), "rows before the cut are right"


@pytest.mark.parametrize("end", [10, len(ALL) // 2, len(ALL) - TAIL])
async def test_other_row_readers_notice_the_cut(
    canned: CannedServer, base: Database, end: int
) -> None:
    canned.handler = lambda request: Answer(pieces=cut_up(ALL[:end], 50))
    for read in (
        lambda: base.view("d", "v").get(),
        lambda: collect(base.akeys()),
        lambda: collect(base.values()),
        lambda: collect(base.docs(["a"])),
        lambda: collect(base.view("d", "v").aitems()),
        lambda: collect(base.view("d", "v").avalues()),
        lambda: collect(base.view("d", "v").ids()),
    ):
        with pytest.raises(CouchDBError):
            await read()


async def test_find_that_stops_early_raises(canned: CannedServer, base: Database) -> None:
    body = b'{"docs":[\n{"_id":"a","_rev":"1-a"},\n{"_id":"b","_rev":"1-a"}'
    canned.handler = lambda request: Answer(pieces=[body])
    with pytest.raises(CouchDBError):
        await collect(base.find({}, limit=5))


async def collect(rows: Any) -> list[Any]:
    return [row async for row in rows]


async def test_breaking_out_of_a_stream_lets_the_session_go_on(
    canned: CannedServer, base: Database
) -> None:
    canned.say(Answer(pieces=cut_up(ALL, 100)))
    async for doc in base.docs():
        assert doc["n"] == 0
        break
    canned.say_json({"_id": "x", "_rev": "1-a"})
    assert (await base["x"]).rev == "1-a"


async def test_error_inside_the_loop_reaches_the_program(
    canned: CannedServer, base: Database
) -> None:
    canned.say(Answer(pieces=cut_up(ALL, 100)))

    async def read() -> None:
        async for doc in base.docs():
            raise ZeroDivisionError(doc.id)

    with pytest.raises(ZeroDivisionError):
        await read()


async def test_cancelled_read_can_be_repeated(canned: CannedServer, base: Database) -> None:
    asked, forever = asyncio.Event(), asyncio.Event()

    async def half() -> AsyncGenerator[bytes, None]:
        yield ALL[:100]
        asked.set()
        await forever.wait()

    canned.say(Answer(pieces=half()))
    task = asyncio.create_task(collect(base.docs()))
    await asked.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    canned.say(rows_answer(doc_row("a")))
    assert len(await collect(base.docs())) == 1


# -- redirects


async def test_redirect_of_a_get_is_followed(canned: CannedServer, base: Database) -> None:
    canned.say(Answer(302, headers={"Location": f"{canned.url}/elsewhere/x"}))
    canned.say_json({"_id": "x", "_rev": "1-a", "n": 1})
    assert (await base["x"])["n"] == 1
    assert canned.lines == ["GET /db/x", "GET /elsewhere/x"]


async def test_redirect_of_a_write_does_not_become_a_read(
    canned: CannedServer, base: Database
) -> None:
    # A 302 after a POST turns into a GET in HTTP clients: that would pass as success.
    canned.handler = lambda request: (
        Answer(302, headers={"Location": f"{canned.url}/login"})
        if request.method != "GET"
        else json_answer({"ok": True})
    )
    with pytest.raises(CouchDBError):
        await Document(base, "x").save()
    with pytest.raises(CouchDBError):
        await base.index({"fields": ["a"]})
    assert all(request.method != "GET" for request in canned.requests)


REDIRECTED: dict[str, Callable[[Database], Awaitable[Any]]] = {
    "GET": lambda db: db["x"],
    "HEAD": lambda db: Document(db, "x").info(),
    "PUT": lambda db: Document(db, "x").save(),
    "POST": lambda db: db.bulk_docs([{}]),
    "DELETE": lambda db: db.delete(),
    "COPY": lambda db: Document(db, "x").copy("y"),
    "GET of rows": lambda db: anext(db.docs()),
    "POST of rows": lambda db: anext(db.docs(["x"])),
    "GET of an attachment": lambda db: Document(db, "x").attachment("a").fetch(),
    "GET of a feed": lambda db: anext(db.changes(feed="continuous")),
}


@pytest.mark.parametrize("name", REDIRECTED)
@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.parametrize("host", ["localhost", "127.0.0.1"])
async def test_nothing_is_sent_to_another_server(
    canned: CannedServer, name: str, status: int, host: str
) -> None:
    """Neither credentials nor headers, cookies and bodies; another port is another server."""
    async with canned_server() as other:
        where = other.url.replace("127.0.0.1", host)
        headers = {"Location": f"{where.replace('//', '//me:top-secret@')}/db/x?token=secret"}
        canned.handler = lambda request: Answer(status, headers=headers)
        own = {"X-Auth-CouchDB-Token": "secret"}
        async with CouchDB(canned.url, "u", "top-secret", headers=own) as couchdb:
            with pytest.raises(RemoteResponseError) as caught:
                await REDIRECTED[name](Database(couchdb, "db"))
        assert f"leads to {where}/db/x, another server, where nothing was sent" in str(caught.value)
        assert "secret" not in repr(caught.value)
        assert caught.value.status == status
        assert other.connections == 0


@pytest.mark.parametrize("name", ["GET of rows", "GET of an attachment"])
async def test_redirect_of_a_stream_is_followed(
    canned: CannedServer, base: Database, name: str
) -> None:
    canned.say(Answer(302, headers={"Location": "/elsewhere?a=%2F"}))
    canned.say(rows_answer(doc_row("x")))
    assert await REDIRECTED[name](base)
    assert canned.lines[1] == "GET /elsewhere?a=%2F"


async def test_redirects_in_a_circle_end(canned: CannedServer, base: Database) -> None:
    canned.handler = lambda request: Answer(302, headers={"Location": request.target})
    with pytest.raises(RemoteResponseError, match="leads to"):
        await base.info()
    assert len(canned.requests) == 11


async def test_a_redirect_to_nowhere_is_an_error(canned: CannedServer, base: Database) -> None:
    canned.say(Answer(302), Answer(302, headers={"Location": "mailto:me"}))
    for words in ("302 Found", "not an address of a server"):
        with pytest.raises(RemoteResponseError, match=words):
            await base.info()


# -- closed sessions


@pytest.mark.parametrize("name", [*CALLS, *HEADS])
async def test_closed_session_says_so(canned: CannedServer, name: str) -> None:
    async with CouchDB(canned.url) as couchdb:
        db = Database(couchdb, "db")
    with pytest.raises((CouchDBError, RuntimeError), match=r"(?i)clos"):
        await (CALLS | HEADS)[name](db)
    assert canned.requests == []


async def test_closed_session_error_is_ours_and_the_one_of_before(canned: CannedServer) -> None:
    couchdb = CouchDB(canned.url)
    await couchdb.close()
    with pytest.raises(CouchDBError, match=r"(?i)clos") as caught:
        await couchdb.info()
    assert isinstance(caught.value, RuntimeError), "aiohttp raised RuntimeError"


async def test_closing_twice_is_fine(canned: CannedServer) -> None:
    couchdb = CouchDB(canned.url)
    canned.say_json({"couchdb": "Welcome"})
    await couchdb.info()
    await couchdb.close()
    await couchdb.close()


async def test_session_built_outside_of_the_loop_works_inside(canned: CannedServer) -> None:
    couchdb = await asyncio.to_thread(CouchDB, canned.url, user="u", password="p")
    canned.say_json({"couchdb": "Welcome"})
    async with couchdb:
        assert (await couchdb.info())["couchdb"] == "Welcome"


def test_session_of_another_loop_says_so() -> None:
    async def first() -> CouchDB:
        async with canned_server() as server:
            server.say_json({"couchdb": "Welcome"})
            couchdb = CouchDB(server.url)
            await couchdb.info()
            return couchdb

    with asyncio.Runner() as one, asyncio.Runner() as other:
        couchdb = one.run(first())
        with pytest.raises(CouchDBError, match="event loop") as caught:
            other.run(couchdb.info())
        assert isinstance(caught.value, RuntimeError)
        one.run(couchdb.close())


# -- status of writes


@pytest.mark.parametrize("status", [200, 201, 202])
async def test_every_success_is_one(canned: CannedServer, base: Database, status: int) -> None:
    canned.say_json({"ok": True, "id": "x", "rev": "1-a"}, status)
    answer = await Document(base, "x").save()
    assert answer is not None
    assert answer.status == status


async def test_rows_with_errors_are_skipped_or_raise(canned: CannedServer, base: Database) -> None:
    body = rows_text([row("a"), {"key": "b", "error": "not_found"}])
    canned.say(Answer(body=body), Answer(body=body))
    response = await base.all_docs.post(["a", "b"])
    assert list(response.keys()) == ["a"]
    with pytest.raises(aiocouch.NotFoundError, match="b"):
        await collect(base.docs(["a", "b"]))
