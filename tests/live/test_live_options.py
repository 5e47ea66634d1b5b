"""Every option that CouchDB knows is taken where a program could give it to aiocouch 3 and 4."""

from collections.abc import AsyncIterator
from typing import Any, get_type_hints

import pytest

from aiocouch import CouchDB, Database, Document, View
from aiocouch.typing import (
    DatabaseOptions,
    DocumentOptions,
    FindOptions,
    IndexOptions,
    ListOptions,
    ViewOptions,
)

OF_DOCUMENTS: dict[str, Any] = {
    "attachments": True,
    "att_encoding_info": True,
    "conflicts": True,
    "deleted": True,
    "deleted_conflicts": True,
    "latest": True,
    "local_seq": True,
    "meta": True,
    "r": 1,
    "revs": True,
    "revs_info": True,
    "w": 1,
    "extra": {"tomorrow": 1},
}
OF_VIEWS: dict[str, Any] = {
    **OF_DOCUMENTS,
    "atts_since": ["1-967a00dff5e02add41819138abb3284d"],
    "descending": False,
    "end_key": '"zz"',
    "end_key_doc_id": "zz",
    "endkey": '"zz"',
    "endkey_docid": "zz",
    "group": False,
    "group_level": 0,
    "include_docs": True,
    "inclusive_end": True,
    "key": '"x"',
    "keys": '["x"]',
    "limit": 5,
    "reduce": False,
    "skip": 0,
    "sorted": True,
    "stable": True,
    "stale": "update_after",
    "start_key": '"a"',
    "start_key_doc_id": "a",
    "startkey": '"a"',
    "startkey_docid": "a",
    "update": "true",
    "update_seq": True,
}
OF_FIND: dict[str, Any] = {
    "allow_fallback": True,
    "bookmark": None,
    "conflicts": True,
    "execution_stats": True,
    "extra": {},
    "r": 1,
    "skip": 0,
    "sort": ["a"],
    "stable": True,
    "stale": "ok",
    "update": True,
    "use_index": "d",
}
ELSEWHERE = {"partition"}  # only a partitioned database takes it


@pytest.fixture
async def view(db: Database) -> View:
    await Document(db, "x", data={"a": 1}).save()
    ddoc = await db.design_doc("d")
    return await ddoc.create_view("v", "function (doc) { emit(doc._id, 1); }", "_count")


async def ids(found: AsyncIterator[Document]) -> list[str]:
    return [doc.id async for doc in found]


def test_no_option_is_left_out() -> None:
    assert get_type_hints(ViewOptions).keys() == OF_VIEWS.keys() | ELSEWHERE
    assert get_type_hints(ListOptions).keys() == OF_VIEWS.keys() | ELSEWHERE
    assert get_type_hints(DocumentOptions).keys() == OF_DOCUMENTS.keys() | {"atts_since"}
    assert get_type_hints(FindOptions).keys() == OF_FIND.keys() | ELSEWHERE


async def test_options_of_documents_and_views(db: Database, view: View) -> None:
    for name, value in OF_VIEWS.items():
        options: Any = {name: value}
        assert await ids(db.docs(**options)) == ["x"], name
        assert await ids(db.values(**options)) == ["x"], name
        assert await ids(view.docs(**options)) == ["x"], name
        assert [id async for id in view.ids(**options)] == ["x"], name


async def test_options_of_a_view_as_a_whole(view: View) -> None:
    for name, value in OF_VIEWS.items():
        options: Any = {"reduce": False, name: value}
        assert list((await view.get(**options)).keys()) == ["x"], name
    assert len((await view.post(["x"], reduce=False, revs_info=True, w=1)).rows) == 1


async def test_options_of_the_list_of_databases(couchdb: CouchDB, db: Database) -> None:
    known: Any = {**OF_VIEWS, "startkey": f'"{db.id}"', "start_key": f'"{db.id}"', "limit": 1}
    for name, value in known.items():
        assert isinstance(await couchdb.keys(**{name: value}), list), name


async def test_options_of_one_document(db: Database) -> None:
    doc = Document(db, "x")
    await doc.save()
    for name, value in {**OF_DOCUMENTS, "atts_since": [doc.rev]}.items():
        options: Any = {name: value}
        await doc.fetch(discard_changes=True, **options)
        assert doc.exists, name


async def test_options_of_find_and_of_an_index(db: Database, view: View) -> None:
    made = await db.index(
        {"fields": ["a"]}, ddoc="d2", name="n", type="json", partitioned=False, w=1
    )
    assert made["result"] == "created"
    assert get_type_hints(IndexOptions).keys() >= {"ddoc", "name", "type", "partitioned", "w"}
    for name, value in OF_FIND.items():
        options: Any = {name: "d2" if name == "use_index" else value}
        assert len(await ids(db.find({"a": 1}, **options))) <= 1, name


async def test_options_of_a_new_database(couchdb: CouchDB, fresh_name: str) -> None:
    # of a name that was just deleted CouchDB says for a moment that it is there
    options: DatabaseOptions = {"q": 1, "n": 1, "partitioned": False, "w": 1, "engine": "couch"}
    made = await couchdb.create(fresh_name, exists_ok=True, **options)
    assert (await made.info())["db_name"] == fresh_name
    assert get_type_hints(DatabaseOptions).keys() == options.keys() | {"placement", "extra"}


async def test_a_live_feed_is_a_continuous_one(db: Database) -> None:
    await Document(db, "x").save()
    assert [event.id async for event in db.changes(feed="live", timeout=10)] == ["x"]
