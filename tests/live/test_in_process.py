"""A database in the process of the program: who comes in, and how long it lives."""

from __future__ import annotations

import asyncio
import gc
import json
import subprocess
import sys
import threading
from typing import TYPE_CHECKING, Any

import aiohttp
import msgspec
import pytest
from yarl import URL

from aiocouch import (
    CouchDB,
    ForbiddenError,
    InvalidInputError,
    InvalidTypeError,
    NotFoundError,
    SessionClosedError,
    UnauthorizedError,
)
from aiocouch._tracked import text_of
from aiocouch._view_rows import DOCUMENT_ROWS, DocumentRow, rescued_document
from aiocouch._wire.options import with_query
from aiocouch._wire.ready_row import ReadyRow
from aiocouch.auth import Ask, Auth, LoginAuth
from aiocouch.embedded import EmbeddedCouchDB
from aiocouch.embedded.store.registry import FolderInUseError
from aiocouch.exception import TransportError, UnexpectedAnswerError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path

    from aiocouch import Database

SETTINGS = {"chttpd_auth": {"iterations": "10"}}


@pytest.fixture
def server() -> EmbeddedCouchDB:
    return EmbeddedCouchDB(settings=SETTINGS)


# -- who comes in ---------------------------------------------------------------------------------


async def test_the_admin_comes_in_without_credentials(server: EmbeddedCouchDB) -> None:
    async with server.connect() as couchdb:
        assert await couchdb.session.name() == "admin"
        assert await couchdb.session.roles() == ["_admin"]
        assert (await couchdb.info())["couchdb"] == "Welcome"


async def test_others_say_who_they_are(server: EmbeddedCouchDB) -> None:
    async with server.connect() as couchdb:
        await couchdb.users.create("anna", "secret", roles=["reader"])
        db = await couchdb.create("notes")
        security = await db.security()
        security.update({"members": {"names": [], "roles": ["reader"]}, "admins": {}})
        await security.save()
        async with server.connect("anna", "secret") as anna:
            assert await anna.session.roles() == ["reader"]
            await (await (await anna["notes"]).create("a")).save()
            with pytest.raises(UnauthorizedError):
                await anna.create("mine")
        async with server.connect(auth=LoginAuth("anna", "secret")) as anna:
            assert [name async for name in (await anna["notes"]).all_docs.akeys()]
        async with server.connect("_", "_") as nobody:
            assert await nobody.session.name() is None
            with pytest.raises(UnauthorizedError):
                await nobody["notes"]


async def test_a_wrong_password_is_refused(server: EmbeddedCouchDB) -> None:
    async with server.connect("admin", "of somebody else") as couchdb:
        with pytest.raises(UnauthorizedError) as caught:
            await couchdb.info()
    assert "of somebody else" not in f"{couchdb!r} {caught.value!r} {caught.value}"


@pytest.mark.parametrize(("user", "password"), [("", ""), ("", "secret"), (None, "secret")])
async def test_an_empty_name_is_nobody(
    server: EmbeddedCouchDB, user: str | None, password: str
) -> None:
    """As over HTTP: a form that was left empty is not the admin."""
    async with server.connect(user, password) as couchdb:
        assert (await couchdb.session.info())["userCtx"] == {"name": None, "roles": []}
        with pytest.raises(UnauthorizedError):
            await couchdb.create("notes")


async def test_a_server_without_an_admin_of_its_own_lets_the_process_in() -> None:
    async with EmbeddedCouchDB(admin=None).connect() as couchdb:
        await couchdb.create("notes")
        assert await couchdb.session.roles() == ["_admin"]


# -- addresses ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "url",
    [
        "embedded:folder",
        "embedded://folder",
        "embedded://host/folder",
        "embedded:///",
        "embedded:///folder?q=1",
        "embedded:///folder#a",
        "embedded://user:hidden@/folder",
    ],
)
def test_addresses_that_mean_nothing(url: str) -> None:
    with pytest.raises(InvalidInputError, match="embedded:///and/its/folder") as caught:
        CouchDB(url)
    assert "hidden" not in str(caught.value)


def test_it_is_no_node_of_a_cluster() -> None:
    with pytest.raises(InvalidInputError, match="http or https"):
        CouchDB(["http://127.0.0.1:5984", "embedded:///folder"])


@pytest.mark.parametrize("name", ["connector", "middlewares", "trace_configs", "tls"])
def test_options_of_connections(server: EmbeddedCouchDB, name: str) -> None:
    options: dict[str, Any] = {name: [object()]}
    with pytest.raises((InvalidInputError, InvalidTypeError), match=r"is for connections|tls must"):
        server.connect(**options)


async def test_there_is_no_session_of_aiohttp(server: EmbeddedCouchDB) -> None:
    async with server.connect() as couchdb:
        with pytest.raises(InvalidInputError, match="no session of aiohttp"):
            couchdb.remote.session()


async def test_a_server_without_a_socket_has_no_url(server: EmbeddedCouchDB) -> None:
    async with server.connect() as couchdb:
        await couchdb.info()
        for name in ("url", "url_with_credentials"):
            with pytest.raises(RuntimeError, match="listen"):
                getattr(server, name)
        assert repr(couchdb) == "<CouchDB embedded:>"


# -- how long it lives ----------------------------------------------------------------------------


async def test_each_address_in_memory_is_a_server_of_its_own() -> None:
    async with CouchDB("embedded:") as one, CouchDB("embedded:") as other:
        await one.create("notes")
        assert "notes" not in await other.keys()


async def test_a_folder_keeps_what_was_saved(tmp_path: Path) -> None:
    folder = tmp_path / "with a space"
    for expected in ([], ["notes"]):
        async with CouchDB(f"embedded://{str(folder).replace(' ', '%20')}") as couchdb:
            assert [name for name in await couchdb.keys() if name[0] != "_"] == expected
            await couchdb.create("notes", exists_ok=True)
    async with EmbeddedCouchDB(folder).connect() as couchdb:
        assert "notes" in await couchdb.keys()


@pytest.mark.parametrize("name", ["a#b", "a?b", "100%25"])
async def test_a_folder_whose_name_is_odd_in_a_url(tmp_path: Path, name: str) -> None:
    async with EmbeddedCouchDB(tmp_path / name).connect() as couchdb:
        await couchdb.create("notes")
    quoted = name.replace("%", "%25").replace("#", "%23").replace("?", "%3F")
    async with CouchDB(f"embedded://{tmp_path}/{quoted}") as couchdb:
        assert "notes" in await couchdb.keys()


async def test_the_address_may_be_a_url_of_yarl(tmp_path: Path) -> None:
    async with CouchDB(URL(f"embedded://{tmp_path}")) as couchdb:
        await couchdb.create("notes")
    async with CouchDB(f"embedded://{tmp_path}") as couchdb:
        assert "notes" in await couchdb.keys()


async def test_sessions_share_the_server_of_a_folder(tmp_path: Path) -> None:
    url = f"embedded://{tmp_path}"
    async with CouchDB(url) as one:
        async with CouchDB(url) as other:
            await one.create("notes")
            assert "notes" in await other.keys()
        await one["notes"]
    async with EmbeddedCouchDB(tmp_path) as server, CouchDB(url) as one:
        async with CouchDB(server.url, "admin", "admin") as other:
            await other.create("more")
        assert "more" in await one.keys()


async def test_many_open_a_folder_at_once(tmp_path: Path) -> None:
    async def use() -> list[str]:
        async with CouchDB(f"embedded://{tmp_path}") as couchdb:
            return await couchdb.keys()

    assert await asyncio.gather(*(use() for _ in range(5))) == [["_replicator", "_users"]] * 5


async def test_a_folder_is_closed_and_opened_at_the_same_time(tmp_path: Path) -> None:
    for turns in range(25):
        one = CouchDB(f"embedded://{tmp_path}")
        await one.info()
        closing = asyncio.ensure_future(one.close())
        for _ in range(turns):
            await asyncio.sleep(0)
        async with CouchDB(f"embedded://{tmp_path}") as other:
            await other.info()
        await closing


async def test_a_folder_of_another_process(tmp_path: Path) -> None:
    code = (
        "import asyncio, sys\nfrom aiocouch import CouchDB\n"
        "async def main():\n"
        f" async with CouchDB({f'embedded://{tmp_path}'!r}):\n"
        "  print('open', flush=True); sys.stdin.read()\n"
        "asyncio.run(main())"
    )
    other = await asyncio.create_subprocess_exec(
        sys.executable, "-c", code, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    try:
        assert other.stdout is not None
        assert await other.stdout.readline() == b"open\n"
        couchdb = CouchDB(f"embedded://{tmp_path}")
        with pytest.raises(FolderInUseError):
            await couchdb.info()
        await couchdb.close()
    finally:
        await other.communicate(b"")
    async with CouchDB(f"embedded://{tmp_path}") as couchdb:
        await couchdb.info()


async def test_a_way_that_has_nothing_to_say_is_nobody(server: EmbeddedCouchDB) -> None:
    """And not the admin, whom only those are who do not say who they are at all."""

    class Silent(Auth):
        async def headers(self, ask: Ask) -> dict[str, str]:
            return {}

    ways: list[dict[str, Any]] = [
        {"auth": Silent()},
        {"headers": {"Authorization": "Bearer a.b.c"}},
    ]
    for options in ways:
        async with server.connect(**options) as couchdb:
            assert (await couchdb.session.info())["userCtx"] == {"name": None, "roles": []}


async def test_a_folder_of_another_event_loop(tmp_path: Path) -> None:
    caught: list[BaseException] = []

    async def use() -> None:
        async with CouchDB(f"embedded://{tmp_path}"):
            raise AssertionError

    def run() -> None:
        try:
            asyncio.run(use())
        except FolderInUseError as error:
            caught.append(error)

    async with CouchDB(f"embedded://{tmp_path}") as couchdb:
        thread = threading.Thread(target=run)
        thread.start()
        await asyncio.to_thread(thread.join)
        assert "another event loop" in str(caught[0])
        await couchdb.info()


VIEW = {"_id": "_design/v", "views": {"v": {"map": "function (doc) { emit(doc._id) }"}}}


async def counted(couchdb: CouchDB) -> int:
    """Write a document, and return how many a view has."""
    db = await couchdb.create("notes", exists_ok=True)
    if "_design/v" not in [name async for name in db.all_docs.akeys()]:
        await db.bulk_docs([VIEW])
    await db.add({})
    return len([row async for row in db.view("v", "v").rows()])


@pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning")  # which is what Python says to that
@pytest.mark.parametrize("way", ["an address", "a server"])
def test_a_folder_that_a_closed_loop_has_left_open(tmp_path: Path, way: str) -> None:
    """A program that forgot to close its session can open the folder again."""
    server = EmbeddedCouchDB(tmp_path, settings=SETTINGS)
    left: list[CouchDB] = []

    def connect() -> CouchDB:
        return server.connect() if way == "a server" else CouchDB(f"embedded://{tmp_path}")

    async def use_and_leave() -> int:
        left.append(connect())
        return await counted(left[-1])

    async def use() -> int:
        async with connect() as couchdb:
            return await counted(couchdb)

    assert [asyncio.run(use_and_leave()) for _ in range(2)] == [1, 2]
    assert asyncio.run(use()) == 3
    asyncio.run(left[0].close())  # too late, and it ends nobody else's server
    assert asyncio.run(use()) == 4
    left.clear()
    gc.collect()


FORKING = """
import asyncio, os, sys
from aiocouch import CouchDB
from aiocouch.embedded import FolderInUseError

async def use():
    async with CouchDB(sys.argv[1]) as couchdb:
        return len(await couchdb.keys())

async def main():
    reader, writer = os.pipe()
    async with CouchDB(sys.argv[1]) as couchdb:
        await couchdb.info()
        if (child := os.fork()) == 0:
            asyncio.events._set_running_loop(None)
            try:
                asyncio.run(use())
            except FolderInUseError as error:
                assert "another process" in str(error), error
                os.read(reader, 1)
                os._exit(0)
            os._exit(1)
        await asyncio.sleep(0.3)
    try:
        print(await use())
    finally:
        os.write(writer, b"x")
    print(os.waitpid(child, 0)[1])

asyncio.run(main())
"""


async def test_a_folder_after_a_fork(tmp_path: Path) -> None:
    """The child does not have it, and does not keep it from its parent either."""
    forking = await asyncio.create_subprocess_exec(
        *(sys.executable, "-W", "ignore", "-c", FORKING, f"embedded://{tmp_path}"),
        stdout=subprocess.PIPE,
    )
    answer, _ = await forking.communicate()
    assert answer.split() == [b"2", b"0"]


async def test_a_session_outlives_no_server(server: EmbeddedCouchDB) -> None:
    async with server:
        couchdb = server.connect(retry=None)
        await couchdb.info()
    with pytest.raises(TransportError, match="has stopped"):
        await couchdb.info()
    with pytest.raises(TransportError, match="has stopped"):
        async with couchdb.remote.stream("GET", "/_all_dbs"):
            raise AssertionError
    async with server, server.connect() as again:
        await again.info()
        await couchdb.close()  # of what has ended: those who came later stay
        await again.info()


async def test_a_closed_session(server: EmbeddedCouchDB) -> None:
    async with server.connect() as couchdb:
        await couchdb.info()
    await couchdb.close()
    with pytest.raises(SessionClosedError):
        await couchdb.info()
    never_used = server.connect()
    await never_used.close()


def test_a_session_belongs_to_its_loop() -> None:
    server = EmbeddedCouchDB(settings=SETTINGS)
    couchdb = server.connect()

    async def use() -> None:
        await couchdb.info()

    async def use_again() -> None:
        with pytest.raises(SessionClosedError, match="another event loop"):
            await couchdb.info()

    async def end() -> None:
        await server.stop()

    with asyncio.Runner() as runner:
        runner.run(use())
        asyncio.run(use_again())
        runner.run(end())


# -- answers on their way -------------------------------------------------------------------------


def feed(db: Database) -> AsyncIterator[Any]:
    return aiter(db.changes(feed="continuous", since="now", heartbeat=60_000))


async def whole(db: Database) -> Any:
    path = f"{db.endpoint}/_changes?feed=longpoll&since=now&timeout=60000"
    return await db.couchdb.request("GET", path)


WAITING: dict[str, Callable[[Database], Any]] = {
    "a feed": lambda db: anext(feed(db)),
    "an answer that is read whole": whole,
}


async def waits_in(server: EmbeddedCouchDB) -> None:
    for _ in range(1000):
        if server.server.databases.traffic.requests:
            return
        await asyncio.sleep(0)
    raise AssertionError("nobody waits")


@pytest.mark.parametrize("what", WAITING)
async def test_closing_the_session_wakes_who_waits(server: EmbeddedCouchDB, what: str) -> None:
    async with server.connect() as keeper:
        db = await keeper.create("notes")
        session = server.connect()
        waiting = asyncio.ensure_future(WAITING[what](session.database(db.id)))
        await waits_in(server)
        await session.close()
        with pytest.raises(SessionClosedError):
            await waiting
        assert server.server.databases.traffic.requests == 0


@pytest.mark.parametrize("what", WAITING)
async def test_a_reader_that_is_cancelled_ends_the_route(
    server: EmbeddedCouchDB, what: str
) -> None:
    async with server.connect() as couchdb:
        db = await couchdb.create("notes")
        waiting = asyncio.ensure_future(WAITING[what](db))
        await waits_in(server)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        for _ in range(20):
            await asyncio.sleep(0)
        assert server.server.databases.traffic.requests == 0


async def test_deleting_a_database_ends_its_feeds(server: EmbeddedCouchDB) -> None:
    async with server.connect() as couchdb:
        db = await couchdb.create("notes")
        rows = feed(db)
        waiting = asyncio.ensure_future(anext(rows))
        await waits_in(server)
        await db.delete()
        with pytest.raises((TransportError, NotFoundError, StopAsyncIteration)):
            await waiting


async def test_others_run_while_answers_come_at_once(server: EmbeddedCouchDB) -> None:
    async with server.connect() as couchdb:
        db = await couchdb.create("notes")
        await (await db.create("a")).save()
        reading = asyncio.ensure_future(forever(db))
        await asyncio.sleep(0.01)
        reading.cancel()
        with pytest.raises(asyncio.CancelledError):
            await reading


async def forever(db: Database) -> None:
    while True:
        await db.get("a")


async def test_a_body_that_breaks_off_stores_nothing(server: EmbeddedCouchDB) -> None:
    async def pieces() -> AsyncIterator[bytes]:
        yield b"the beginning"
        raise ValueError("of the program")

    async with server.connect(retry=None) as couchdb:
        db = await couchdb.create("notes")
        doc = await db.create("a")
        await doc.save()
        with pytest.raises(TransportError, match="of the program") as caught:
            await doc.attachment("file").save(pieces(), "text/plain")
        assert isinstance(caught.value, aiohttp.ClientConnectionError)
        assert "_attachments" not in (await db.get("a")).json


async def test_attachments_come_and_go_in_pieces(server: EmbeddedCouchDB) -> None:
    content = b"0123456789abcdef" * 100_000

    async def pieces() -> AsyncIterator[bytes]:
        for start in range(0, len(content), 100_000):
            yield content[start : start + 100_000]

    async with server.connect() as couchdb:
        doc = await (await couchdb.create("notes")).create("a")
        await doc.save()
        for kind in ("application/octet-stream", "text/plain"):  # the latter is stored as gzip
            await doc.attachment(kind).save(pieces(), kind)
            assert await doc.attachment(kind).fetch() == content
            assert b"".join([piece async for piece in doc.attachment(kind)]) == content


@pytest.mark.parametrize("path", ["/notes/_all_docs?include_docs=true", "/notes/a"])
async def test_an_answer_that_is_larger_than_max_size(server: EmbeddedCouchDB, path: str) -> None:
    async with server.connect() as keeper, server.connect(max_size=1000) as couchdb:
        doc = await (await keeper.create("notes")).create("a", data={"text": "x" * 2000})
        await doc.save()
        with pytest.raises(UnexpectedAnswerError, match="max_size=1000"):
            await couchdb.request("GET", path)


class _Rows(msgspec.Struct):
    rows: list[DocumentRow]


ODD_IDS = ["", 'a "b"', "a/b", "ä\n", "_design/ours", "z" * 300]


async def _filled(couchdb: CouchDB) -> Database:
    """Make a database of all kinds of documents, more than one chunk of them."""
    db = await couchdb.create("many")
    ids = [*filter(None, ODD_IDS), *(f"d{number:04}" for number in range(700))]
    contents = [{"_id": id, "number": number} for number, id in enumerate(ids)]
    contents += [{"_id": "empty"}, {"_id": "deep", "in": json.loads("[" * 900 + "]" * 900)}]
    history = {"start": 1, "ids": ["b" * 32]}
    contents += [{"_id": "gone", "_deleted": True, "_revisions": history, "_rev": f"1-{'b' * 32}"}]
    for mark in "ab":  # a conflict
        revisions = {"start": 2, "ids": [mark * 32, "0" * 32]}
        contents.append({"_id": "two", "_revisions": revisions, "which": mark})
    answer = await db.remote.raw("POST", "/many/_bulk_docs", json={"docs": contents[:-3]})
    assert all("ok" in row for row in answer.json())
    given = {"docs": contents[-3:], "new_edits": False}
    assert (await db.remote.raw("POST", "/many/_bulk_docs", json=given)).json() == []
    await (await db.get("d0001")).attachment("text").save(b"content", "text/plain")
    return db


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"limit": 300, "skip": 3},
        {"descending": True, "limit": 650},
        {"startkey": '"d0100"', "endkey": '"d0699"', "inclusive_end": False},
        {"conflicts": True},
        {"attachments": True},
        {"att_encoding_info": True},
        {"key": '"two"'},
        {"keys": ["gone", "d0001", "empty", "d0001", "nobody"]},
        {"limit": 0},
        {"update_seq": True},
    ],
)
async def test_documents_that_come_as_they_are_have_the_text_of_an_answer(
    server: EmbeddedCouchDB, options: dict[str, Any]
) -> None:
    async with server.connect() as couchdb:
        db = await _filled(couchdb)
        found = [doc async for doc in db.docs(create=True, include_ddocs=True, **options)]
        keys = options.pop("keys", None)
        body = None if keys is None else couchdb.remote.encode({"keys": keys})
        path = with_query("/many/_all_docs", {"include_docs": True, **options})
        method = "GET" if keys is None else "POST"
        rows = (await couchdb.request(method, path, body=body)).json(_Rows).rows
    assert [doc.id for doc in found] == [row.id or row.key for row in rows]
    texts = [text_of(doc) for doc in found if doc.rev is not None]
    assert texts == [text for row in rows if (text := bytes(row.doc)) != b"null"]


async def test_documents_come_as_they_are_between_the_rest_of_the_answer(
    server: EmbeddedCouchDB,
) -> None:
    async with server.connect() as couchdb:
        db = await _filled(couchdb)
        path = "/many/_all_docs?include_docs=true&update_seq=true&startkey=%22d%22"
        found: list[Any] = []
        async with couchdb.remote.stream("GET", path, rows=True) as stream:
            while batch := await stream.batch(DOCUMENT_ROWS, rescued_document):
                found += batch
        assert {type(row) for row in found} == {ReadyRow}
        assert stream.meta["total_rows"] == (await db.info())["doc_count"]
        assert stream.meta["update_seq"] == (await db.info())["update_seq"]
        assert stream.meta["rows"] == []


async def test_a_database_that_is_deleted_breaks_its_documents_off(
    server: EmbeddedCouchDB,
) -> None:
    async with server.connect() as couchdb:
        db = await _filled(couchdb)
        documents = db.docs()
        assert (await anext(documents)).id == 'a "b"'
        await db.delete()
        # The route may notice it first.
        with pytest.raises(TransportError, match=r"deleted|does not exist"):
            assert len([doc async for doc in documents]) > 700


async def test_replication_by_the_server_needs_no_socket(server: EmbeddedCouchDB) -> None:
    async with server.connect() as couchdb:
        await (await (await couchdb.create("one")).create("a")).save()
        await couchdb.create("other")
        done = await couchdb.replications.run("one", "other")
        assert done["ok"]
        assert "a" in [key async for key in (await couchdb["other"]).all_docs.akeys()]


async def test_replication_by_the_server_has_the_rights_of_who_asks(
    server: EmbeddedCouchDB,
) -> None:
    async with server.connect() as couchdb:
        await couchdb.users.create("anna", "secret")
        await couchdb.create("one")
        await couchdb.create("other")
        async with server.connect("anna", "secret", retry=None) as anna:
            with pytest.raises((UnauthorizedError, ForbiddenError)):
                await anna.replications.run("one", "other")
