"""Views: map, reduce, groups, keys, documents; design documents."""

from typing import Any

import pytest

import aiocouch
from aiocouch import Database, View
from aiocouch.design_document import DesignDocument
from aiocouch.view import AllDocsView, ViewResponse

BY_KIND = "function (doc) { if (doc.kind) { emit(doc.kind, doc.size); } }"
BY_PAIR = "function (doc) { if (doc.kind) { emit([doc.kind, doc.size], null); } }"
ANIMALS = {
    "ant": ("insect", 1),
    "bee": ("insect", 2),
    "cat": ("mammal", 40),
    "dog": ("mammal", 60),
    "eel": ("fish", 90),
}


@pytest.fixture
async def zoo(db: Database) -> Database:
    """Five animals, and a design document with three views."""
    async with db.create_docs(list(ANIMALS)) as bulk:
        for doc in bulk:
            doc["kind"], doc["size"] = ANIMALS[doc.id]
    ddoc = await db.design_doc("animals")
    await ddoc.create_view("by_kind", BY_KIND)
    await ddoc.create_view("by_pair", BY_PAIR)
    await ddoc.create_view("sizes", BY_KIND, "_sum")
    return db


async def collect(rows: Any) -> list[Any]:
    return [row async for row in rows]


# -- design documents


async def test_create_view_saves_at_once(db: Database) -> None:
    ddoc = await db.design_doc("d")
    view = await ddoc.create_view("v", BY_KIND, "_count")
    assert isinstance(view, View)
    stored = await db["_design/d"]
    assert stored["language"] == "javascript"
    assert stored["views"] == {"v": {"map": BY_KIND, "reduce": "_count"}}
    assert stored["_id"] == "_design/d"


async def test_create_view_twice(db: Database) -> None:
    ddoc = await db.design_doc("d")
    await ddoc.create_view("v", BY_KIND)
    with pytest.raises(aiocouch.ConflictError):
        await ddoc.create_view("v", BY_PAIR)
    await ddoc.create_view("v", BY_PAIR, exists_ok=True)
    assert (await db["_design/d"])["views"]["v"] == {"map": BY_PAIR}


async def test_create_view_in_a_stored_design_document(db: Database) -> None:
    await (await db.design_doc("d")).create_view("v", BY_KIND)
    ddoc = await db.design_doc("d", exists_ok=True)
    assert isinstance(ddoc, DesignDocument)
    await ddoc.create_view(view="w", map_function=BY_PAIR)
    assert sorted((await db["_design/d"])["views"]) == ["v", "w"]


async def test_design_doc_that_exists(db: Database) -> None:
    await (await db.design_doc("d")).create_view("v", BY_KIND)
    with pytest.raises(aiocouch.ConflictError):
        await db.design_doc("d")
    assert (await db.design_doc("d", True)).exists


async def test_design_doc_by_hand(db: Database) -> None:
    ddoc = DesignDocument(db, "d", data={"language": "javascript", "views": {}})
    ddoc["filters"] = {"f": "function (doc, req) { return true; }"}
    await ddoc.save()
    await ddoc.fetch()
    assert ddoc.exists
    assert await ddoc.save() is None
    await ddoc.delete()
    with pytest.raises(aiocouch.NotFoundError):
        await db["_design/d"]


async def test_design_documents_hide_from_docs(zoo: Database) -> None:
    assert await names(zoo.docs()) == list(ANIMALS)
    assert await names(zoo.docs(include_ddocs=True)) == ["_design/animals", *ANIMALS]
    assert await collect(zoo.akeys()) == ["_design/animals", *ANIMALS]


async def names(docs: Any) -> list[str]:
    return [doc.id async for doc in docs]


async def test_view_of_a_design_document(zoo: Database) -> None:
    ddoc = await zoo.design_doc("animals", exists_ok=True)
    assert await collect(ddoc.view("by_kind").ids()) == ["eel", "ant", "bee", "cat", "dog"]


# -- views


async def test_get(zoo: Database) -> None:
    response = await zoo.view("animals", "by_kind").get()
    assert isinstance(response, ViewResponse)
    assert (response.total_rows, response.offset) == (5, 0)
    assert response.rows[0] == {"id": "eel", "key": "fish", "value": 90}
    assert list(response.keys()) == ["eel", "ant", "bee", "cat", "dog"]
    assert list(response.values()) == [90, 1, 2, 40, 60]


async def test_get_with_options(zoo: Database) -> None:
    view = zoo.view("animals", "by_kind")
    assert list((await view.get(key='"fish"')).keys()) == ["eel"]
    assert list((await view.get(startkey='"insect"', endkey='"insect"')).keys()) == ["ant", "bee"]
    assert list((await view.get(limit=1, skip=1)).keys()) == ["ant"]
    assert list((await view.get(descending=True, limit=1)).keys()) == ["dog"]
    response = await view.get(startkey='"mammal"', limit=1)
    assert (response.offset, response.total_rows) == (3, 5)


async def test_keys_that_are_no_text_are_encoded(zoo: Database) -> None:
    view = zoo.view("animals", "by_pair")
    assert list((await view.get(key=["mammal", 40])).keys()) == ["cat"]
    found = await view.get(startkey=["insect"], endkey=["insect", {}])
    assert list(found.keys()) == ["ant", "bee"]
    assert list((await view.get(keys=[["fish", 90], ["insect", 2]])).keys()) == ["eel", "bee"]


async def test_post(zoo: Database) -> None:
    response = await zoo.view("animals", "by_kind").post(["fish", "insect", "none"])
    assert list(response.keys()) == ["eel", "ant", "bee"]
    positional = await zoo.view("animals", "by_kind").post(["fish"], include_docs=True)
    assert [doc["size"] for doc in positional.docs()] == [90]


async def test_generators(zoo: Database) -> None:
    view = zoo.view("animals", "by_kind")
    assert await collect(view.akeys(limit=2)) == ["eel", "ant"]
    assert await collect(view.aitems(limit=2)) == [("fish", 90), ("insect", 1)]
    assert await collect(view.avalues(limit=2)) == [90, 1]


async def test_ids(zoo: Database) -> None:
    view = zoo.view("animals", "by_kind")
    assert await collect(view.ids(["fish", "mammal"])) == ["eel", "cat", "dog"]
    assert await collect(view.ids(keys=["fish"])) == ["eel"]
    assert await collect(view.ids(ids=["fish"])) == ["eel"]
    assert await collect(view.ids(prefix="ins")) == ["ant", "bee"]
    assert await collect(view.ids(prefix="ins", limit=1)) == ["ant"]


async def test_docs(zoo: Database) -> None:
    view = zoo.view("animals", "by_kind")
    assert [doc["size"] async for doc in view.docs()] == [90, 1, 2, 40, 60]
    assert await names(view.docs(["mammal"])) == ["cat", "dog"]
    assert await names(view.docs(prefix="f")) == ["eel"]
    assert await names(view.docs(key='"fish"')) == ["eel"]
    async for doc in view.docs(["fish"]):
        doc["size"] = 91
        await doc.save()
    assert (await zoo["eel"])["size"] == 91


@pytest.mark.parametrize("prefix", ['"', "\\", 'a"b', "ü", "\U0001f980"])
async def test_prefix_with_signs_of_json(db: Database, prefix: str) -> None:
    ddoc = await db.design_doc("d")
    view = await ddoc.create_view("v", "function (doc) { emit(doc._id, null); }")
    async with db.create_docs([f"{prefix}1", "zzz"]):
        pass
    assert await collect(view.ids(prefix=prefix)) == [f"{prefix}1"]
    assert await names(db.docs(prefix=prefix)) == [f"{prefix}1"]
    assert await collect(db.akeys(prefix=prefix)) == [f"{prefix}1"]


async def test_reduce(zoo: Database) -> None:
    view = zoo.view("animals", "sizes")
    response = await view.get()
    assert response.rows == [{"key": None, "value": 193}]
    assert await collect(view.avalues()) == [193]
    assert await collect(view.aitems()) == [(None, 193)]


async def test_group(zoo: Database) -> None:
    view = zoo.view("animals", "sizes")
    expected = [("fish", 90), ("insect", 3), ("mammal", 100)]
    assert await collect(view.aitems(group=True)) == expected
    response = await view.get(group_level=1)
    assert [(row["key"], row["value"]) for row in response.rows] == expected
    assert await collect(view.avalues(group=True)) == [90, 3, 100]


async def test_reduce_false(zoo: Database) -> None:
    view = zoo.view("animals", "sizes")
    response = await view.get(reduce=False)
    assert response.total_rows == 5
    assert await collect(view.ids(reduce=False)) == ["eel", "ant", "bee", "cat", "dog"]


async def test_update_seq(zoo: Database) -> None:
    response = await zoo.view("animals", "by_kind").get(update_seq=True)
    assert response.update_seq is not None
    assert (await zoo.view("animals", "by_kind").get()).update_seq is None


async def test_view_follows_changes(zoo: Database) -> None:
    view = zoo.view("animals", "by_kind")
    await (await zoo["eel"]).delete()
    doc = await zoo["ant"]
    doc["kind"] = "fish"
    await doc.save()
    assert await collect(view.ids(["fish"])) == ["ant"]


@pytest.mark.parametrize(("design", "view"), [("none", "by_kind"), ("animals", "none")])
async def test_view_that_is_missing(zoo: Database, design: str, view: str) -> None:
    missing = zoo.view(design, view)
    with pytest.raises(aiocouch.NotFoundError):
        await missing.get()
    with pytest.raises(aiocouch.NotFoundError):
        await collect(missing.ids())
    with pytest.raises(aiocouch.NotFoundError):
        await collect(missing.docs())


async def test_options_that_do_not_fit(zoo: Database) -> None:
    with pytest.raises(aiocouch.BadRequestError) as caught:
        await zoo.view("animals", "by_kind").get(group=True)
    assert caught.value.error == "query_parse_error"


async def test_invalid_key_text(zoo: Database) -> None:
    with pytest.raises(aiocouch.BadRequestError):
        await zoo.view("animals", "by_kind").get(key="no json")


async def test_broken_map_is_refused(db: Database) -> None:
    ddoc = await db.design_doc("d")
    with pytest.raises(aiocouch.CouchDBError):
        await ddoc.create_view("v", "this is no JavaScript")


# -- all documents


async def test_all_docs_view(zoo: Database) -> None:
    view = zoo.all_docs
    assert isinstance(view, AllDocsView)
    response = await view.get(limit=2, startkey='"ant"')
    assert list(response.keys()) == ["ant", "bee"]
    assert response.total_rows == 6
    found = await view.post(["cat", "none", "ant"], include_docs=True)
    assert list(found.keys()) == ["cat", "ant"]
    assert await collect(view.ids(["cat", "ant"])) == ["cat", "ant"]
    assert await names(view.docs(["cat"])) == ["cat"]


async def test_docs_by_ids(zoo: Database) -> None:
    assert await names(zoo.docs(["dog", "ant"])) == ["dog", "ant"]
    assert await names(zoo.docs(ids=["dog"])) == ["dog"]
    assert await names(zoo.docs([])) == []


async def test_docs_by_ids_with_missing(zoo: Database) -> None:
    seen = []
    with pytest.raises(aiocouch.NotFoundError, match="none"):
        seen = await names(zoo.docs(["dog", "none"]))
    assert seen == []
    docs = await collect(zoo.docs(["dog", "none"], create=True))
    assert [(doc.id, doc.exists) for doc in docs] == [("dog", True), ("none", False)]
    await docs[1].save()
    assert (await zoo["none"]).json == {}


async def test_docs_with_options(zoo: Database) -> None:
    assert await names(zoo.docs(descending=True, limit=2)) == ["eel", "dog"]
    assert await names(zoo.docs(startkey='"cat"', endkey='"dog"')) == ["cat", "dog"]
    assert await names(zoo.values(prefix="b")) == ["bee"]
    assert [doc["size"] async for doc in zoo.values()] == [1, 2, 40, 60, 90]
    assert await collect(zoo.akeys(ids=["dog"])) == ["dog"]


async def test_prefix_excludes_ids(zoo: Database) -> None:
    with pytest.raises(ValueError, match="prefix"):
        await names(zoo.docs(["a"], prefix="b"))
    with pytest.raises(ValueError, match="prefix"):
        await names(zoo.docs(create=True, prefix="b"))


async def test_documents_of_a_stream_can_be_saved(zoo: Database) -> None:
    async for doc in zoo.docs():
        doc["size"] = 0
        await doc.save()
    assert [doc["size"] async for doc in zoo.docs()] == [0] * 5


async def test_stream_of_many_rows(db: Database) -> None:
    wanted = [f"{at:05}" for at in range(3_000)]
    async with db.create_docs(wanted) as bulk:
        for doc in bulk:
            doc["text"] = "ü" * 100
    assert await names(db.docs()) == wanted
    assert await names(db.docs(wanted[::-3])) == wanted[::-3]
    count = 0
    async for _ in db.docs():
        count += 1
        if count == 10:
            break
    assert (await db["00000"])["text"] == "ü" * 100


# -- rows with their types


async def test_rows_have_everything(zoo: Database) -> None:
    rows = await collect(zoo.view("animals", "by_kind").rows(include_docs=True, limit=2))
    assert [(row.id, row.key, row.value, row.error) for row in rows] == [
        ("eel", "fish", 90, None),
        ("ant", "insect", 1, None),
    ]
    assert rows[0].doc["size"] == 90
    assert await rows[0].doc.save() is None


async def test_rows_without_documents_and_reduced_rows(zoo: Database) -> None:
    (row,) = await collect(zoo.view("animals", "by_kind").rows(key="fish"))
    assert row.doc is None
    (total,) = await collect(zoo.view("animals", "sizes").rows())
    assert (total.id, total.key, total.value) == (None, None, 193)


async def test_rows_tell_what_is_missing(zoo: Database) -> None:
    rows = await collect(zoo.all_docs.rows(keys=["ant", "none"]))
    assert [(row.key, row.error) for row in rows] == [("ant", None), ("none", "not_found")]


async def test_row_keys_are_the_keys(zoo: Database) -> None:
    assert await collect(zoo.view("animals", "by_pair").row_keys(startkey=["mammal"])) == [
        ["mammal", 40],
        ["mammal", 60],
    ]
    assert await collect(zoo.view("animals", "by_kind").row_keys(prefix="in")) == ["insect"] * 2
