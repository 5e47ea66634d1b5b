"""Bad input gets a clear error before anything is sent, and leaves the document as it was."""

import datetime
import decimal
import math
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

import aiocouch
from aiocouch import CouchDB, Database, Document
from aiocouch._tracked import of_text
from aiocouch.exception import CouchDBError
from tests.wire.canned import CannedServer, json_answer

BAD_VALUES: dict[str, Any] = {
    "nan": math.nan,
    "infinity": math.inf,
    "minus_infinity": -math.inf,
    "nested_nan": [{"a": [None, math.nan]}],
    "nan_among_nulls": [None, None, {"a": None, "b": math.nan}],
    "surrogate": "a\ud800b",
    "surrogate_key": {"\udfff": 1},
    "object": object(),
    "function": print,
    "complex": 1j,
    "exception": ValueError("x"),
}


def same(one: Any, other: Any) -> bool:
    return repr(one) == repr(other)


async def fetched(canned: CannedServer, base: Database) -> Document:
    canned.say_json({"_id": "x", "_rev": "1-a", "n": 1})
    doc = await base["x"]
    canned.requests.clear()
    return doc


@pytest.mark.parametrize("kind", BAD_VALUES)
async def test_save_refuses_what_is_no_json(
    canned: CannedServer, base: Database, kind: str
) -> None:
    doc = await fetched(canned, base)
    doc["n"] = BAD_VALUES[kind]
    before = dict(doc)
    with pytest.raises((ValueError, TypeError)) as caught:
        await doc.save()
    assert str(caught.value)
    assert canned.requests == []
    assert same(dict(doc), before)
    canned.say_json({"ok": True, "id": "x", "rev": "2-b"}, 201)
    doc["n"] = 2
    await doc.save()
    assert doc.rev == "2-b"


@pytest.mark.parametrize("kind", BAD_VALUES)
async def test_bulk_refuses_what_is_no_json(
    canned: CannedServer, base: Database, kind: str
) -> None:
    async def write() -> None:
        async with base.create_docs(["a", "b"]) as bulk:
            for doc in bulk:
                doc["n"] = BAD_VALUES[kind] if doc.id == "b" else 1

    with pytest.raises((ValueError, TypeError)):
        await write()
    assert canned.requests == []


@pytest.mark.parametrize("kind", BAD_VALUES)
@pytest.mark.parametrize("call", ["find", "index", "bulk_docs", "view_post", "view_key", "default"])
async def test_other_writers_refuse_what_is_no_json(
    canned: CannedServer, base: Database, kind: str, call: str
) -> None:
    value = BAD_VALUES[kind]
    canned.handler = lambda request: json_answer({"error": "not_found"}, 404)
    calls: dict[str, Callable[[], Awaitable[Any]]] = {
        "find": lambda: anext(base.find({"a": value})),
        "index": lambda: base.index({"fields": [value]}),
        "bulk_docs": lambda: base.bulk_docs([{"_id": "x", "a": value}]),
        "view_post": lambda: base.view("d", "v").post([value]),
        "view_key": lambda: base.view("d", "v").get(key=[value]),
        "default": lambda: save_default(base, value),
    }
    with pytest.raises((ValueError, TypeError)):
        await calls[call]()
    assert [request for request in canned.requests if request.method != "GET"] == []


async def save_default(db: Database, value: Any) -> None:
    await (await db.get("x", {"a": value})).save()


async def test_not_a_number_is_a_value_error(base: Database) -> None:
    with pytest.raises(ValueError, match=r"(?i)nan|infinit|number"):
        await Document(base, "x", data={"n": math.nan}).save()


async def test_null_is_no_nan(canned: CannedServer, base: Database) -> None:
    canned.say_json({"ok": True, "id": "x", "rev": "1-a"}, 201)
    await Document(base, "x", data={"n": None, "text": "null NaN", "f": 1.5}).save()
    assert canned.only().json() == {"_id": "x", "n": None, "text": "null NaN", "f": 1.5}


@pytest.mark.parametrize(
    "value",
    [datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC), decimal.Decimal("1.5"), b"bytes", {1, 2}],
)
async def test_values_that_json_module_refused_are_refused(
    canned: CannedServer, base: Database, value: Any
) -> None:
    # msgspec would write them as text or lists, and they would come back as something else.
    doc = await fetched(canned, base)
    doc["n"] = value
    with pytest.raises(TypeError):
        await doc.save()
    assert canned.requests == []


async def test_data_that_holds_itself_is_refused(canned: CannedServer, base: Database) -> None:
    doc = await fetched(canned, base)
    loop: list[Any] = []
    loop.append(loop)
    doc["n"] = loop
    with pytest.raises((ValueError, TypeError, RecursionError)):
        await doc.save()
    assert canned.requests == []


@pytest.mark.parametrize("rev", [5, None, b"1-a", ["1-a"]])
def test_revision_must_be_text(base: Database, rev: Any) -> None:
    doc = Document(base, "x", data={"n": 1})
    with pytest.raises(TypeError):
        doc.rev = rev
    assert doc.rev is None
    assert dict(doc) == {"_id": "x", "n": 1}


@pytest.mark.parametrize("data", [[1], "text", 5, b"x", {1, 2}, [("a", 1)]])
def test_data_must_be_a_dict(base: Database, data: Any) -> None:
    with pytest.raises(TypeError):
        Document(base, "x", data=data)


@pytest.mark.parametrize(
    "call",
    [
        lambda db: db.create("x", data=[1]),
        lambda db: db.get("x", [1]),
        lambda db: db.get("x", "text"),
    ],
)
async def test_wrong_type_of_data_is_refused_before_sending(
    canned: CannedServer, base: Database, call: Callable[[Database], Awaitable[Any]]
) -> None:
    canned.handler = lambda request: json_answer({"error": "not_found"}, 404)
    with pytest.raises(TypeError):
        await call(base)
    assert canned.requests == []


async def test_find_with_fields_is_refused(canned: CannedServer, base: Database) -> None:
    with pytest.raises(ValueError, match="fields"):
        await anext(base.find({}, fields=["a"]))  # type: ignore[call-arg]
    assert canned.requests == []


async def test_option_of_a_wrong_type_is_refused(canned: CannedServer, base: Database) -> None:
    with pytest.raises((TypeError, ValueError)):
        await base.view("d", "v").get(limit=object())  # type: ignore[call-overload]
    assert canned.requests == []


@pytest.mark.parametrize("content", [None, 5, {"a": 1}, "text"])
async def test_attachment_content_of_a_wrong_type_is_refused(
    canned: CannedServer, base: Database, content: Any
) -> None:
    doc = await fetched(canned, base)
    if content == "text":  # text was accepted by aiohttp; either way, not half of it
        written = {"ok": True, "id": "x", "rev": "2-b", "_id": "x", "_rev": "2-b"}
        canned.handler = lambda request: json_answer(written, 201)
        await doc.attachment("a").save(content, "text/plain")
        assert canned.requests[0].body == b"text"
        return
    with pytest.raises((TypeError, ValueError)):
        await doc.attachment("a").save(content, "text/plain")
    assert canned.requests == []


async def test_line_break_in_a_content_type_is_refused(
    canned: CannedServer, base: Database
) -> None:
    doc = await fetched(canned, base)
    with pytest.raises((ValueError, TypeError, CouchDBError)):
        await doc.attachment("a").save(b"x", "text/plain\r\nX-Evil: 1")
    assert canned.requests == []


async def test_fetch_of_a_dirty_document_is_refused(canned: CannedServer, base: Database) -> None:
    doc = await fetched(canned, base)
    doc["n"] = 2
    with pytest.raises(aiocouch.ConflictError):
        await doc.fetch()
    with pytest.raises(aiocouch.ConflictError):
        await doc.delete()
    assert canned.requests == []
    assert dict(doc) == {"_id": "x", "_rev": "1-a", "n": 2}
    canned.say_json({"_id": "x", "_rev": "2-b", "n": 5})
    await doc.fetch(discard_changes=True)
    assert dict(doc) == {"_id": "x", "_rev": "2-b", "n": 5}


async def test_delete_of_an_unsaved_document_is_refused(
    canned: CannedServer, base: Database
) -> None:
    with pytest.raises(KeyError):
        await Document(base, "x").delete(discard_changes=True)
    assert canned.requests == []


async def test_bulk_refuses_one_id_twice(canned: CannedServer, base: Database) -> None:
    bulk = base.create_docs(["a"])
    doc = bulk.create("b")
    with pytest.raises(ValueError, match="b"):
        bulk.append(doc)
    with pytest.raises(ValueError, match="a"):
        bulk.create("a")
    assert [doc.id for doc in bulk] == ["a", "b"]
    # As ever: of ids that are given twice the server takes one, and tells.
    assert [doc.id for doc in base.create_docs(["a", "a"])] == ["a", "a"]
    assert canned.requests == []


async def test_unknown_session_option_is_refused(canned: CannedServer) -> None:
    with pytest.raises(TypeError):
        await use(CouchDB(canned.url, no_such_option=1))
    assert canned.requests == []


async def use(couchdb: CouchDB) -> None:
    async with couchdb:
        await couchdb.info()


async def test_selector_that_is_no_dict_is_refused(canned: CannedServer, base: Database) -> None:
    wrong: Any = "name"
    with pytest.raises((TypeError, ValueError)):
        await anext(base.find(wrong))
    assert canned.requests == []


async def test_changed_id_is_refused(canned: CannedServer, base: Database) -> None:
    doc = of_text(Document, base, "a", b'{"_id":"a","_rev":"1-a","n":1}')
    doc["_id"] = "b"
    with pytest.raises(ValueError, match="_id was changed to 'b'"):
        await doc.save()
    assert canned.requests == []


NAMES = {
    "functions": lambda db, bad: db.functions(bad),
    "search": lambda db, bad: db.search(bad, "i"),
    "view": lambda db, bad: db.view(bad, "v"),
    "list": lambda db, bad: db.functions("d").list("f", "v", bad),
    "rewrite": lambda db, bad: db.functions("d").rewrite("GET", bad),
    "compact_views": lambda db, bad: db.maintenance.compact_views(bad),
    "delete an index": lambda db, bad: db.indexes.delete(bad, "n"),
    "local": lambda db, bad: db.local.document(bad),
    "a local document": lambda db, bad: db.local[bad],
    "request": lambda db, bad: db.couchdb.request("GET", bad),
    "document": lambda db, bad: db.document(bad),
    "attachment": lambda db, bad: db.document("a").attachment(bad),
}
LISTS = {
    "dbs_info": lambda db, bad: db.couchdb.dbs_info(bad),
    "bulk_docs": lambda db, bad: db.bulk_docs(bad),
    "bulk_get": lambda db, bad: db.bulk_get(bad),
    "delete_many": lambda db, bad: db.indexes.delete_many(bad),
    "create an index": lambda db, bad: db.indexes.create(bad),
    "missing": lambda db, bad: db.revisions.missing({"a": bad}),
    "open_revs": lambda db, bad: db.document("a").open_revs(bad),
    "purge": lambda db, bad: db.purge({"a": bad}),
    "roles": lambda db, bad: db.couchdb.users.create("a", "b", bad),
    "states": lambda db, bad: db.couchdb.replications.docs(states=bad),
    "doc_ids": lambda db, bad: db.couchdb.replications.run("a", "b", doc_ids=bad),
    "ensure_dbs_exist": lambda db, bad: db.couchdb.cluster.finish(ensure_dbs_exist=bad),
}
DICTS = {
    "add": lambda db, bad: db.add(bad),
    "diff": lambda db, bad: db.revisions.diff(bad),
    "bulk_docs": lambda db, bad: db.bulk_docs([bad]),
    "save_with": lambda db, bad: db.document("a").save_with(bad),
    "purge": lambda db, bad: db.purge(bad),
    "index": lambda db, bad: db.index(bad),
    "queries": lambda db, bad: db.all_docs.queries([bad]),
}
OPTIONS = {
    "extra": lambda db, bad: db.all_docs.get(extra=bad),
    "extra of a query": lambda db, bad: db.find({}, extra=bad),
    "streams": lambda db, bad: db.docs(streams=bad),
    "fields": lambda db, bad: db.explain({}, fields=bad),
    "partial_filter_selector": lambda db, bad: db.index({}, partial_filter_selector=bad),
    "delay of a stream": lambda db, bad: db.write([], delay=bad),
    "attempts": lambda db, bad: db.update("a", len, attempts=bad),
    "attempts to resolve": lambda db, bad: db.resolve("a", len, attempts=bad),
    "headers": lambda db, bad: db.couchdb.request("GET", "/", headers=bad),
    "params": lambda db, bad: db.couchdb.request("GET", "/", params=bad),
    "checkpoint_interval": lambda db, bad: db.replicate_to(db, checkpoint_interval=bad),
}
WRONG = [
    *((OPTIONS, name, bad) for name in OPTIONS for bad in ("x", object(), [5])),
    *((NAMES, name, bad) for name in NAMES for bad in (5, b"x", ["x"], {"x": 1}, object())),
    *((LISTS, name, bad) for name in LISTS for bad in (5, "x", b"x", object())),
    *((DICTS, name, bad) for name in DICTS for bad in (5, "x", b"x", ["x"], object())),
    ({"size": lambda db, bad: db.batched(bad)}, "size", "5"),
    ({"delay": lambda db, bad: db.batched(5, bad)}, "delay", "5"),
    ({"target": lambda db, bad: db.replicate_to(bad)}, "target", "http://localhost/db"),
    ({"source": lambda db, bad: db.couchdb.replications.run(bad, "b")}, "source", 5),
    ({"feed": lambda db, bad: db.changes(feed=bad)}, "feed", "continous"),
    ({"feed": lambda db, bad: db.changes(feed=bad)}, "feed", ["normal"]),
]


@pytest.mark.parametrize(
    ("call", "bad"),
    [
        pytest.param(calls[name], bad, id=f"{name}-{type(bad).__name__}")
        for calls, name, bad in WRONG
    ],
)
async def test_a_value_of_a_wrong_type_is_refused_before_sending(
    canned: CannedServer, base: Database, call: Callable[[Database, Any], Any], bad: Any
) -> None:
    with pytest.raises((aiocouch.InvalidTypeError, aiocouch.InvalidInputError)):
        await call(base, bad)
    assert canned.requests == []
