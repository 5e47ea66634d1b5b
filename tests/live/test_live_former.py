"""The private names of aiocouch 3 and 4 that programs use: they work, and warn with the public way."""
# ruff: noqa: SLF001 - private names are what this is about

import importlib
import inspect
import json
import warnings
from collections.abc import AsyncGenerator, Iterator
from contextlib import contextmanager
from typing import Any
from unittest.mock import MagicMock, create_autospec

import aiohttp
import pytest

import aiocouch
from aiocouch import CouchDB, Database, Document, HTTPResponse, NotFoundError, View, ViewResponse
from aiocouch.exception import CouchDBError, RemoteResponseError


@contextmanager
def warned(public: str) -> Iterator[None]:
    """Expect one warning, which names the public way and whoever uses the private one."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        yield
    assert [one.category for one in caught] == [DeprecationWarning] * len(caught)
    assert caught
    for one in caught:
        assert public in str(one.message)
        assert one.filename == __file__


@pytest.fixture
async def doc(db: Database) -> Document:
    doc = Document(db, "x", data={"a": 1})
    await doc.save()
    return doc


# -- the server


async def test_server_get_put_post_delete(couchdb: CouchDB, db: Database) -> None:
    server: Any
    with warned("remote"):
        server = couchdb._server
    with warned("remote"):
        assert db._remote is server
    path = f"/{db.id}/x"
    with warned("remote.request()"):
        response, answer = await server._put(path, data={"a": 1})
    assert isinstance(response, HTTPResponse)
    assert (response.status, answer["id"]) == (201, "x")
    with warned("remote.request()"):
        response, found = await server._get(path)
    assert found == {"_id": "x", "_rev": answer["rev"], "a": 1}
    with warned("remote.request()"):
        response, nothing = await server._head(path)
    assert (response.status, nothing) == (200, None)
    with warned("remote.request()"):
        _, found = await server._post(
            f"/{db.id}/_all_docs", {"keys": ["x"]}, {"include_docs": True, "limit": None}
        )
    assert found["rows"][0]["doc"]["a"] == 1
    with warned("remote.request()"):
        _, found = await server._get("/_all_dbs", params={"limit": 1, "descending": True})
    assert len(found) == 1
    with warned("remote.request()"):
        _, gone = await server._delete(path, params={"rev": answer["rev"]})
    assert gone["ok"]


async def test_server_refuses_as_aiohttp_does(couchdb: CouchDB, db: Database) -> None:
    server: Any = couchdb.remote
    for path, status in ((f"/{db.id}/none", 404), (f"/{db.id}/_all_docs?limit=x", 400)):
        with warned("remote.request()"), pytest.raises(aiohttp.ClientResponseError) as caught:
            await server._get(path)
        assert caught.value.status == status
        assert isinstance(caught.value, RemoteResponseError)
        assert not isinstance(caught.value, KeyError)


@pytest.mark.socket
async def test_server_requests_of_other_kinds(couchdb: CouchDB, db: Database) -> None:
    server: Any = couchdb.remote
    with warned("CouchDB.info()"):
        assert (await server._info())["couchdb"] == "Welcome"
    with warned("CouchDB.keys()"):
        assert len(await server._all_dbs(limit=1)) == 1
    with warned("CouchDB.check_credentials()"):
        response, session = await server._check_session()
    assert (response.status, session["ok"]) == (200, True)
    with warned("Attachment.save()"):
        await server._put_bytes(f"/{db.id}/ä b/c d.txt", data=b"text", content_type="text/plain")
    with warned("Attachment.fetch()"):
        _, content = await server._get_bytes(f"/{db.id}/ä b/c%20d.txt")
    assert content == b"text"
    with warned("remote.request()"):
        response, _ = await server._request("POST", f"/{db.id}", json={"_id": "y"})
    assert response.status == 201
    with warned("remote.request()"):
        _, text = await server._request("GET", f"/{db.id}/y", return_json=False)
    assert json.loads(text)["_id"] == "y"
    with warned("remote.request()"), pytest.raises(TypeError, match="colour"):
        await server._request("GET", "/", colour="red")
    with warned("Database.changes()"):
        feed = server._streamed_request(
            "GET", f"/{db.id}/_changes", params={"feed": "continuous", "timeout": 10}
        )
        lines = [line async for line in feed]
    assert len(lines) == 3
    assert "last_seq" in lines[-1]
    with warned("session()"):
        assert isinstance(server._http_session, aiohttp.ClientSession)


async def test_a_server_of_its_own(couchdb: CouchDB) -> None:
    from aiocouch.remote import RemoteServer

    remote = couchdb.remote
    assert isinstance(remote, RemoteServer)
    own: Any = RemoteServer(remote.url)
    with warned("CouchDB.info()"):
        assert (await own._info())["couchdb"] == "Welcome"
    await own.close()


async def test_programs_that_mend_the_old_server_do_no_harm(
    couchdb: CouchDB, monkeypatch: pytest.MonkeyPatch
) -> None:
    from aiocouch.remote import RemoteServer

    def mended(self: Any, server: str, **kwargs: Any) -> None:
        raise AssertionError("aiocouch has no need of it")

    monkeypatch.setattr(RemoteServer, "__init__", mended)
    async with CouchDB(couchdb.remote.url) as session:
        assert (await session.info())["couchdb"] == "Welcome"


# -- a database


async def test_database(couchdb: CouchDB, db: Database, doc: Document, missing: Database) -> None:
    old: Any = db
    with warned("couchdb"):
        assert old._couchdb is db.couchdb
    with warned("couchdb[id]"):
        assert await old._exists()
    with warned("info()"):
        assert (await old._get())["doc_count"] == 1
    with warned("security()"):
        assert await old._put_security({"admins": {"names": ["a"]}, "members": {}})
    with warned("security()"):
        assert (await old._get_security())["admins"]["names"] == ["a"]
    with warned("find()"):
        assert (await old._find({"a": 1}, limit=1))["docs"][0]["_id"] == "x"
    with warned("index()"):
        assert (await old._index({"fields": ["a"]}, name="n"))["result"] == "created"
    with warned("changes()"):
        assert [row["id"] async for row in old._changes(limit=1)] == ["x"]
    with warned("changes()"):
        rows = [row async for row in old._changes(feed="continuous", timeout=10)]
    assert "last_seq" in rows[-1]
    assert "docs" in (await old._bulk_get([{"id": "x"}]))["results"][0]
    assert (await old._bulk_docs([{"_id": "y"}]))[0]["ok"]
    other: Any = Database(couchdb, f"{db.id}-other")
    with warned("create()"):
        assert await other._put(q=1) == {"ok": True}
    with warned("delete()"):
        assert await other._delete() is None
    never: Any = missing
    with warned("couchdb[id]"):
        assert not await never._exists()


# -- a document


async def test_document(db: Database, doc: Document) -> None:
    old: Any = doc
    with warned("database"):
        assert old._database is db
    with warned("info()"):
        assert await old._head() is None
    with warned("info()"):
        assert await old._exists()
    with warned("info()"):
        assert await old._info() == {"ok": True, "id": "x", "rev": doc.rev}
    with warned("conflicts()"):
        assert await old._conflicts() == []
    with warned("revs()"):
        assert await old._revs() == [doc.rev]
    with warned("fetch()"):
        assert "_revisions" in await old._get(revs=True)
    with warned("save()"):
        response, answer = await old._put({**doc, "b": 2})
    assert (response.status, answer["id"]) == (201, "x")
    await doc.fetch()
    assert doc["b"] == 2
    with warned("copy()"):
        response, answer = await old._copy("a+b")
    assert answer["id"] == "a+b"
    assert response.etag == (await db["a+b"]).rev
    with warned("delete()"):
        _, answer = await old._delete(doc.rev)
    assert answer["ok"]
    with warned("info()"):
        assert not await old._exists()
    with warned("info()"), pytest.raises(NotFoundError):
        await old._head()
    missing: Any = Document(db, "none")
    with warned("info()"):
        assert not await missing._exists()


async def test_document_data_is_the_content_itself(db: Database, doc: Document) -> None:
    old: Any = await db["x"]
    with warned("data"):
        data = old._data
    assert isinstance(data, dict)
    assert (
        json.loads(json.dumps(data)) == dict(old) == data == {"_id": "x", "_rev": doc.rev, "a": 1}
    )
    data["b"] = 2
    assert old["b"] == 2
    with warned("data"):
        assert old._data() is data
    with warned("is_dirty()"):
        assert old._dirty_cache
    await old.save()
    assert (await db["x"]).json == {"a": 1, "b": 2}
    assert await old.save() is None
    del data["b"]
    await old.save()
    assert (await db["x"]).json == {"a": 1}
    with warned("update()"):
        old._data = {**data, "c": 3}
    await old.save()
    assert (await db["x"]).json == {"a": 1, "c": 3}


async def test_new_content_of_a_document_that_was_not_looked_at(
    db: Database, doc: Document
) -> None:
    old: Any = await db["x"]
    with warned("update()"):
        old._data = {"_id": "x", "_rev": doc.rev, "n": 1}
    await old.save()
    assert (await db["x"]).json == {"n": 1}
    new: Any = Document(db, "new")
    with warned("update()"):
        new._data = {"_id": "new", "n": 1}
    await new.save()
    assert (await db["new"]).json == {"n": 1}


# -- attachments, views, bulk operations


async def test_attachment(doc: Document) -> None:
    old: Any = doc.attachment("a b.txt")
    with warned("document"):
        assert old._document is doc
    with warned("save()"):
        answer = await old._put(doc.rev, b"text", "text/plain")
    assert answer["ok"]
    with warned("fetch()"):
        assert await old._get() == b"text"
    with warned("exists()"):
        assert await old._exists()
    with warned("delete()"):
        assert (await old._delete(rev=answer["rev"]))["ok"]
    with warned("exists()"):
        assert not await old._exists()


async def test_view(db: Database, doc: Document) -> None:
    ddoc = await db.design_doc("d")
    old: Any = await ddoc.create_view("v", map_function="function (doc) { emit(doc.a); }")
    with warned("database"):
        assert old._database is db
    with warned("get()"):
        assert (await old._get(limit=1))["rows"][0]["id"] == "x"
    with warned("post()"):
        assert (await old._post([1, 2], include_docs=True))["rows"][0]["doc"]["a"] == 1
    with warned("design_doc"):
        assert db.view("d", "v").ddoc == "d"
    with warned("design_doc"):
        assert db.all_docs.ddoc is None
    response: Any = await db.all_docs.get()
    with warned("database"):
        assert response._database is db
    bulk: Any = db.create_docs()
    with warned("database"):
        assert bulk._database is db


async def test_find_request(db: Database, doc: Document) -> None:
    from aiocouch.request import FindRequest

    with warned("Database.find()"):
        request = FindRequest(db, {"a": 1}, limit=1)
    assert (request.database, request.selector, request.limit) == (db, {"a": 1}, 1)
    assert [doc.id async for doc in request] == ["x"]


# -- names of modules


@pytest.mark.parametrize(
    "module", ["bulk", "couchdb", "database", "document", "event", "remote", "view"]
)
def test_json_dict(module: str) -> None:
    import aiocouch.typing

    assert importlib.import_module(f"aiocouch.{module}").JsonDict is aiocouch.typing.JsonDict


def test_names_of_types() -> None:
    from aiocouch.typing import Json, JsonDict, JsonList

    assert JsonDict | JsonList == Json


def test_remote_classes(couchdb: CouchDB, db: Database) -> None:
    import aiocouch.remote as module

    old: Any = module
    doc = Document(db, "x")
    things: list[tuple[str, object]] = [
        ("Database", db),
        ("Document", doc),
        ("Attachment", doc.attachment("a")),
        ("View", db.all_docs),
    ]
    for name, thing in things:
        with warned(f"aiocouch.{name}"):
            kind = getattr(old, f"Remote{name}")
        assert isinstance(thing, kind)
    with warned("HTTPResponse"):
        assert old.RequestResult
    with pytest.raises(AttributeError, match="RemoteNothing"):
        _ = old.RemoteNothing


async def test_remote_classes_by_themselves(db: Database, doc: Document) -> None:
    import aiocouch.remote as module

    old: Any = module
    ddoc = await db.design_doc("d")
    await ddoc.create_view("v", map_function="function (doc) { emit(doc.a); }")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        database = old.RemoteDatabase(db.remote, db.id)
        assert database.endpoint == db.endpoint
        assert await database._exists()
        document = old.RemoteDocument(db, "x")
        assert document.endpoint == doc.endpoint
        assert (await document._get())["a"] == 1
        attachment = old.RemoteAttachment(document, "a")
        assert attachment.endpoint == doc.attachment("a").endpoint
        assert not await attachment._exists()
        view = old.RemoteView(db, "d", "v")
        assert view.endpoint == db.view("d", "v").endpoint
        assert len((await view._get())["rows"]) == 1


async def test_a_remote_database_by_itself_in_bulk(db: Database, doc: Document) -> None:
    old: Any = importlib.import_module("aiocouch.remote")
    with warned("aiocouch.Database"):
        database = old.RemoteDatabase(db.remote, db.id)
    with warned("Database.bulk_docs()"):
        rows = await database._bulk_docs([{"_id": "y"}], new_edits=True)
    assert [row["id"] for row in rows] == ["y"]
    with warned("Database.bulk_get()"):
        found = await database._bulk_get([{"id": "x"}], revs=True)
    assert found["results"][0]["docs"][0]["ok"]["_revisions"]["start"] == 1
    with warned("Database.purge()"):
        purged = await database._purge({"x": [doc.rev]})
    assert purged["purged"] == {"x": [doc.rev]}


def test_params_as_text() -> None:
    with warned("options"):
        from aiocouch.remote import _stringify_params  # type: ignore[attr-defined]
    given = {"a": True, "b": False, "c": None, "d": 1, "e": "x", "f": ["x"]}
    assert _stringify_params(given) == {"a": "true", "b": "false", "d": 1, "e": "x", "f": ["x"]}
    assert _stringify_params(None) is None
    assert _stringify_params({}) == {}
    with warned("quote"):
        from aiocouch.remote import _quote_id  # type: ignore[attr-defined]
    assert _quote_id("_design/a b+ü") == "_design%2Fa%20b%2B%C3%BC"


def test_mocks_and_debuggers_are_not_warned(couchdb: CouchDB, db: Database) -> None:
    doc = Document(db, "x")
    every: list[object] = [couchdb, couchdb.remote, db, doc, doc.attachment("a"), db.view("d", "v")]
    for thing in (*every, db.create_docs(), ViewResponse()):
        assert not {"_data", "_database", "_remote", "_server", "ddoc"} & set(dir(thing))
        MagicMock(spec=thing)
        create_autospec(thing)
        assert inspect.getmembers(thing)
    for kind in (CouchDB, Database, Document, View):
        create_autospec(kind, instance=True)
    mocked = create_autospec(Document, spec_set=True, data={"a": 1})
    assert mocked.data == {"a": 1}
    assert {"save", "id", "full_id"} <= set(dir(doc))


# -- words of errors


def test_decorators_warn() -> None:
    with warned("except"):
        from aiocouch.exception import generator_raises, raise_for_endpoint, raises
    assert callable(raises)
    assert callable(generator_raises)
    assert callable(raise_for_endpoint)


class Thing:
    """What a program of its own decorates."""

    id, endpoint = "it", "/it"

    def __init__(self, db: Database) -> None:
        self.remote: Any = db.remote
        self.path = f"/{db.id}"

    async def get(self, path: str) -> Any:
        return (await self.remote._get(self.path + path))[1]


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
async def test_raises(db: Database, doc: Document) -> None:
    from aiocouch.exception import generator_raises, raises

    class Decorated(Thing):
        @raises(404, "no {id} at {endpoint}: {reason}, {unknown}")
        @raises(400, "bad")
        async def found(self, path: str) -> Any:
            return await self.get(path)

        @raises(404, "own words", LookupError)
        async def own(self) -> Any:
            return await self.get("/none")

        @generator_raises(404, "generated {id}")
        async def each(self) -> AsyncGenerator[Any, None]:
            yield 1
            yield await self.get("/none")

    thing = Decorated(db)
    assert (await thing.found("/x"))["a"] == 1
    with pytest.raises(NotFoundError, match=r"^no it at /it: missing, \{unknown\}$") as caught:
        await thing.found("/none")
    assert isinstance(caught.value.__cause__, RemoteResponseError)
    with pytest.raises(aiocouch.BadRequestError, match=r"^bad$"):
        await thing.found("/_all_docs?limit=x")
    with pytest.raises(LookupError, match="own words") as other:
        await thing.own()
    assert not isinstance(other.value, CouchDBError)
    each = thing.each()
    assert await anext(each) == 1
    with pytest.raises(NotFoundError, match=r"^generated it$"):
        await anext(each)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
async def test_other_errors_keep_their_words(db: Database) -> None:
    from aiocouch.exception import raises

    class Decorated(Thing):
        @raises(409, "not this")
        async def found(self) -> Any:
            return await self.get("/none")

    with pytest.raises(RemoteResponseError, match="404"):
        await Decorated(db).found()
