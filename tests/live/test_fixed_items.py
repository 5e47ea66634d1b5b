"""What aiocouch 3 and 4 did wrong and this package does right, item by item.

The numbers are those of the list of known behaviour of aiocouch 4.0.1 (C.4), and C.3 for errors.
"""

import asyncio
import json
import subprocess
import sys
import time
import uuid
import warnings
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Any

import aiohttp
import pytest

import aiocouch
from aiocouch import CouchDB, Database, Document
from aiocouch.design_document import DesignDocument
from aiocouch.document import SecurityDocument
from aiocouch.event import ChangedEvent
from aiocouch.exception import CouchDBError, RemoteResponseError
from aiocouch.testing import CouchDBServer

if TYPE_CHECKING:
    from aiocouch.typing import Feed

MAP = "function (doc) { emit(doc.kind, 1); }"


async def stored(db: Database, name: str, **data: Any) -> Document:
    doc = Document(db, name, data=data)
    await doc.save()
    return doc


async def collect(rows: AsyncIterator[Any]) -> list[Any]:
    return [row async for row in rows]


async def test_item_3_nothing_of_the_answer_is_stored_after_a_delete(db: Database) -> None:
    doc = await stored(db, "x", n=1)
    await doc.delete()
    assert doc.json == {}
    assert await doc.save() is None
    doc["m"] = 2
    await doc.save()
    read = await db["x"]
    assert dict(read) == {"_id": "x", "_rev": doc.rev, "m": 2}
    assert not {"ok", "id", "rev"} & read.keys()


async def test_item_4_deleted_false_exists(db: Database) -> None:
    doc = Document(db, "x", data={"_rev": "1-a", "_deleted": False})
    assert doc.exists
    assert doc.data is not None
    assert not Document(db, "x", data={"_rev": "1-a", "_deleted": True}).exists


async def test_item_5_the_callers_dict_is_left_alone(db: Database) -> None:
    mine: dict[str, Any] = {"n": 1, "list": [1]}
    await (await db.create("a", data=mine)).save()
    await (await db.get("b", mine)).save()
    async with db.create_docs() as bulk:
        bulk.create("c", mine)
    assert mine == {"n": 1, "list": [1]}
    assert [doc["n"] async for doc in db.docs()] == [1, 1, 1]


@pytest.mark.parametrize("target", ["a+b", "p%41q", "q?z", "x/y", "ü 1", "#", "..", "_design/d"])
async def test_item_7_copy_reaches_exactly_its_target(db: Database, target: str) -> None:
    doc = await stored(db, "source", language="x")
    await doc.copy(target)
    assert set(await collect(db.akeys())) == {"source", target}
    assert (await db[target])["language"] == "x"


async def test_item_7_copy_can_overwrite(db: Database) -> None:
    doc = await stored(db, "source", n=1)
    target = await stored(db, "target", n=0)
    await doc.copy("target", rev=target.rev)
    assert (await db["target"])["n"] == 1


PURE_PYTHON = """
import asyncio, os, sys
os.environ["AIOHTTP_NO_EXTENSIONS"] = "1"
from aiocouch import CouchDB, Database, Document
import aiohttp.http_parser as parser
assert parser.HttpResponseParser is parser.HttpResponseParserPy

async def main(url, user, password, name):
    async with CouchDB(url, user, password) as couchdb:
        doc = Document(Database(couchdb, name), "x", data={"n": 1})
        answer = await doc.save()
        assert answer.etag == doc.rev, answer.headers
        assert (await doc.info())["rev"] == doc.rev
        assert answer.headers["etag"] == answer.headers["ETAG"]

asyncio.run(main(*sys.argv[1:]))
"""


async def test_item_8_etag_is_found_however_it_is_written(
    couchdb_server: CouchDBServer, db: Database
) -> None:
    server = couchdb_server
    where = [server.url, server.user, server.password, db.id]
    command = [sys.executable, "-c", PURE_PYTHON, *where]
    done = await asyncio.to_thread(subprocess.run, command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


async def test_item_9_dirty_document_is_refused_before_the_attachment_is_sent(
    db: Database,
) -> None:
    doc = await stored(db, "x", n=1)
    await doc.attachment("a").save(b"kept", "text/plain")
    doc["n"] = 2
    with pytest.raises(aiocouch.ConflictError):
        await doc.attachment("b").save(b"x", "text/plain")
    with pytest.raises(aiocouch.ConflictError):
        await doc.attachment("a").delete()
    read = await db["x"]
    assert list(read["_attachments"]) == ["a"]
    assert doc["n"] == 2
    await doc.save()


@pytest.mark.parametrize("name", [".", ".."])
async def test_item_10_dots_are_ids(db: Database, name: str) -> None:
    with pytest.raises(aiocouch.NotFoundError):
        await db[name]
    doc = await stored(db, name, n=1)
    assert (await db[name])["n"] == 1
    await doc.delete()
    with pytest.raises(aiocouch.NotFoundError):
        await db[name]
    assert (await db.info())["db_name"] == db.id


async def test_item_10_empty_id_is_refused(db: Database) -> None:
    with pytest.raises(ValueError, match="empty"):
        await db[""]


async def test_item_10_design_and_local_keep_their_slash(db: Database) -> None:
    await stored(db, "_local/x", n=1)
    assert (await db["_local/x"])["n"] == 1
    await stored(db, "_design/x", language="x")
    assert (await db["_design/x"])["language"] == "x"
    doc = await db["_design/x"]
    doc["language"] = "y"
    await doc.save()
    await doc.delete()


async def test_item_11_database_with_a_slash(couchdb: CouchDB) -> None:
    db = await couchdb.create(f"test-{uuid.uuid4().hex}/b")
    try:
        await stored(db, "x", n=1)
        assert await collect(db.akeys()) == ["x"]
        assert [doc["n"] async for doc in db.docs()] == [1]
        assert [doc["n"] async for doc in db.values()] == [1]
        async with db.update_docs(["x"]) as bulk:
            async for doc in bulk:
                doc["n"] = 2
        assert (await db["x"])["n"] == 2
    finally:
        await db.delete()


@pytest.mark.parametrize("prefix", ['a"b', "a\\b", '"', "ü"])
async def test_item_15_prefix_is_encoded(db: Database, prefix: str) -> None:
    await stored(db, f"{prefix}1")
    await stored(db, "zzz")
    assert await collect(db.akeys(prefix=prefix)) == [f"{prefix}1"]


async def test_item_15_view_keys_of_any_type(db: Database) -> None:
    view = await (await db.design_doc("d")).create_view("v", MAP)
    for name, kind in (("a", "text"), ("b", 5), ("c", [1, {"x": None}]), ("d", None)):
        await stored(db, name, kind=kind)
    for key, name in (('"text"', "a"), (5, "b"), ([1, {"x": None}], "c")):
        assert await collect(view.ids(key=key)) == [name]
    assert await collect(view.ids(startkey=[], endkey=[{}])) == ["c"]


async def test_item_16_reduced_views(db: Database) -> None:
    view = await (await db.design_doc("d")).create_view("v", MAP, "_count")
    for name, kind in (("a", "x"), ("b", "x"), ("c", "y")):
        await stored(db, name, kind=kind)
    assert (await view.get()).rows == [{"key": None, "value": 3}]
    assert list((await view.get()).values()) == [3]
    assert await collect(view.avalues()) == [3]
    assert await collect(view.aitems(group=True)) == [("x", 2), ("y", 1)]
    assert [row["value"] for row in (await view.post(["y"], group=True)).rows] == [1]


async def test_item_17_a_method_gives_the_real_keys(db: Database) -> None:
    view = await (await db.design_doc("d")).create_view("v", MAP)
    await stored(db, "a", kind="x")
    await stored(db, "b", kind=["y", 1])
    assert await collect(view.akeys()) == ["a", "b"], "ids, as ever"
    assert await collect(view.row_keys()) == ["x", ["y", 1]]
    assert await collect(view.row_keys(key="x")) == ["x"], "text is a key, not JSON"


async def test_item_20_bulk_of_many_documents_is_linear(db: Database) -> None:
    async def seconds(count: int, prefix: str) -> float:
        began = time.process_time()
        bulk = db.create_docs([f"{prefix}{at}" for at in range(count)])
        for doc in bulk:
            doc["n"] = 1
        return time.process_time() - began

    await seconds(100, "warm")
    assert await seconds(20_000, "b") < 5, "quadratic would be minutes"


async def test_item_21_closing_line_is_no_event(db: Database) -> None:
    await stored(db, "x")
    feeds = [db.changes(), db.changes(feed="normal"), db.changes(feed="continuous", timeout=1)]
    for feed in feeds:
        assert [event.id async for event in feed] == ["x"]
        assert feed.last_sequence is not None
        assert feed.pending == 0


async def test_item_21_long_lines_pass(db: Database) -> None:
    text = "ü" * 400_000
    await stored(db, "x", text=text)
    kinds: list[Feed] = ["normal", "continuous"]
    for kind in kinds:
        (event,) = await collect(db.changes(feed=kind, include_docs=True, timeout=1))
        assert event.json["doc"]["text"] == text


async def test_item_22_included_document_is_clean(db: Database) -> None:
    await stored(db, "x", n=1)
    (event,) = await collect(db.changes(include_docs=True))
    doc = await event.doc()
    assert await doc.save() is None
    assert (await db["x"]).rev == doc.rev


async def test_item_22_null_document(db: Database) -> None:
    doc = await stored(db, "x", n=1)
    change = {"seq": "1-x", "id": "x", "changes": [{"rev": doc.rev}], "doc": None}
    assert (await ChangedEvent(change, db).doc())["n"] == 1


async def test_item_22_compacted_revision(db: Database) -> None:
    await stored(db, "x", n=1)
    gone = {"seq": "1-x", "id": "x", "changes": [{"rev": "1-" + "a" * 32}]}
    assert (await ChangedEvent(gone, db).doc())["n"] == 1


async def test_item_23_design_document_has_its_whole_id(db: Database) -> None:
    ddoc = DesignDocument(db, "d")
    assert ddoc["_id"] == "_design/d"
    for name in ("indexes", "nouveau", "autoupdate"):
        ddoc[name] = {} if name != "autoupdate" else True
    await ddoc.save()
    read = await db["_design/d"]
    assert read["_id"] == "_design/d"
    assert read["autoupdate"] is True


async def test_item_24_close_does_not_wait(couchdb_server: CouchDBServer) -> None:
    couchdb = couchdb_server.connect()
    await couchdb.info()
    loop = asyncio.get_running_loop()
    began = loop.time()
    await couchdb.close()
    assert loop.time() - began < 0.2


async def test_item_25_nothing_deprecated_of_aiohttp_is_used(
    couchdb_server: CouchDBServer, db: Database
) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        async with CouchDB(
            couchdb_server.url, user=couchdb_server.user, password=couchdb_server.password
        ) as couchdb:
            await couchdb.check_credentials()
            await stored(await couchdb[db.id], "x", n="x" * 2_000_000)


async def test_item_26_repr_shows_no_content(db: Database) -> None:
    doc = await stored(db, "x", secret="content")
    for thing in (doc, await db["x"], (await collect(db.docs()))[0]):
        assert "content" not in repr(thing)
        assert "'x'" in repr(thing)


# -- errors (C.3)


async def test_errors_are_mapped_on_every_route(couchdb: CouchDB, fresh_name: str) -> None:
    # One that never was: of one just deleted, CouchDB may say 500 for a moment.
    db = Database(couchdb, fresh_name)
    for call in (
        lambda: collect(db.find({})),
        lambda: collect(db.changes()),
        lambda: collect(db.docs()),
        lambda: collect(db.akeys()),
        lambda: db.bulk_docs([{"_id": "x"}]),
        lambda: db.purge({"x": ["1-a"]}),
        lambda: db.index({"fields": ["a"]}),
        db.info,
        db.delete,
        lambda: db["x"],
        lambda: db.view("d", "v").get(),
        lambda: Document(db, "x").save(),
        lambda: Document(db, "x").info(),
        db.security,
    ):
        with pytest.raises(aiocouch.NotFoundError) as caught:
            await call()
        assert (caught.value.status, caught.value.error) in [(404, "not_found"), (404, None)]
        assert isinstance(caught.value, KeyError)
        assert isinstance(caught.value, CouchDBError)


async def test_errors_have_readable_texts(db: Database) -> None:
    with pytest.raises(aiocouch.NotFoundError) as caught:
        await db["the-document"]
    text = str(caught.value)
    assert text[0] not in "'\""
    assert "the-document" in text
    assert "missing" in text
    assert "None" not in text


async def test_errors_of_a_head_have_a_text(db: Database) -> None:
    with pytest.raises(aiocouch.NotFoundError) as caught:
        await Document(db, "none").info()
    assert "None" not in str(caught.value)
    assert caught.value.method == "HEAD"


async def test_errors_carry_facts(db: Database) -> None:
    await stored(db, "x")
    with pytest.raises(aiocouch.ConflictError) as caught:
        await Document(db, "x", data={"n": 1}).save()
    error = caught.value
    assert (error.status, error.error) == (409, "conflict")
    assert (error.method, error.path) == ("PUT", f"/{db.id}/x")
    assert error.reason == "Document update conflict."
    assert error.request_id


async def test_errors_of_statuses_without_a_class(db: Database) -> None:
    with pytest.raises(RemoteResponseError) as caught:
        # CouchDB knows no such method here.
        await db.remote.request("PATCH", db.endpoint)
    assert caught.value.status == 405
    assert isinstance(caught.value, aiohttp.ClientResponseError)
    assert isinstance(caught.value, CouchDBError)


async def test_security_is_refused_as_forbidden(
    couchdb_server: CouchDBServer, couchdb: CouchDB
) -> None:
    users = await couchdb.create("_users", exists_ok=True)
    name = f"user-{uuid.uuid4().hex}"
    user = Document(users, f"org.couchdb.user:{name}")
    user.update({"name": name, "password": "pw", "roles": [], "type": "user"})
    await user.save()
    db = await couchdb.create(f"test-{uuid.uuid4().hex}")
    async with SecurityDocument(db) as security:
        security.add_member(name)
    try:
        async with CouchDB(couchdb_server.url, user=name, password="pw") as session:
            own = await (await session[db.id]).security()
            own.add_admin(name)
            with pytest.raises(aiocouch.ForbiddenError):
                await own.save()
            assert name not in ((await db.security()).admins or [])
    finally:
        await db.delete()
        await user.fetch(discard_changes=True)
        await user.delete()


async def test_integers_of_any_size_survive_a_change(db: Database) -> None:
    big = 12345678901234567890123
    await stored(db, "x", big=big)
    doc = await db["x"]
    doc["n"] = 1
    await doc.save()
    read = (await db["x"])["big"]
    assert read == big
    assert isinstance(read, int)
    assert json.dumps(read) == "12345678901234567890123"
