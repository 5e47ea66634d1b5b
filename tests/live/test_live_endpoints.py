"""What the other live tests do not reach: queries together, partitions, copies of special documents."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from aiocouch import (
    BadRequestError,
    ConflictError,
    DesignDocument,
    Document,
    F,
    InvalidInputError,
    InvalidTypeError,
    NotFoundError,
)

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from aiocouch import CouchDB, Database

VIEW = {"views": {"n": {"map": "function (doc) { emit(doc.n, null); }", "reduce": "_count"}}}


@pytest.fixture
async def partitioned(couchdb: CouchDB, fresh_name: str) -> AsyncIterator[Database]:
    """A partitioned database with two partitions and a view."""
    db = await couchdb.create(fresh_name, partitioned=True)
    await db.bulk_docs([{"_id": "_design/d", **VIEW}])
    await db.bulk_docs([{"_id": f"{part}:{n}", "n": n} for part in ("a", "b/ü") for n in range(3)])
    yield db
    await db.delete()


async def test_an_id_is_made_for_a_document(db: Database) -> None:
    document = await db.add({"n": 2**70})
    assert document.exists
    assert (await db.get(document.id))["n"] == 2**70
    assert (await db.get(document.id)).rev == document.rev
    document["n"] = 1
    await document.save()
    with pytest.raises(InvalidInputError):
        await db.add({"_id": "x"})


async def test_queries_go_together(db: Database) -> None:
    await db.bulk_docs([{"_id": "_design/d", **VIEW}, *({"_id": f"{n}", "n": n} for n in range(4))])
    one, two, three = await db.view("d", "n").queries(
        [{"key": 2, "reduce": False}, {"startkey": 1, "reduce": False, "include_docs": True}, {}]
    )
    assert [row["id"] for row in one.rows] == ["2"]
    assert [doc.id for doc in two.docs()] == ["1", "2", "3"]
    assert three.rows == [{"key": None, "value": 4}]
    first, last = await db.all_docs.queries([{"limit": 1}, {"keys": ["3", "none"]}])
    assert [*first.keys()] == ["0"]
    assert [row.get("error") for row in last.rows] == [None, "not_found"]
    with pytest.raises(InvalidTypeError, match="include_docs"):
        await db.all_docs.queries([{"include_dcos": True}])
    wrong: Any = {"limit": 1}
    with pytest.raises(InvalidTypeError, match="queries must be a list of dicts"):
        await db.all_docs.queries(wrong)
    with pytest.raises(InvalidTypeError, match="a query must be a dict, not str"):
        await db.all_docs.queries([*wrong])


async def test_design_documents_by_themselves(db: Database) -> None:
    await db.bulk_docs([{"_id": "_design/d", **VIEW}, {"_id": "_design/e"}, {"_id": "a"}])
    view = db.design_docs
    assert [id async for id in view.ids()] == ["_design/d", "_design/e"]
    assert [doc.id async for doc in view.docs(["_design/e"])] == ["_design/e"]
    (answer,) = await view.queries([{"limit": 1}])
    assert [*answer.keys()] == ["_design/d"]


async def test_local_documents_by_themselves(db: Database) -> None:
    for id in ("x", "y"):
        document = await db.local.create(id)
        document["n"] = id
        await document.save()
    view = db.local.all_docs
    assert [doc["n"] async for doc in view.docs(["_local/y"])] == ["y"]
    (answer,) = await view.queries([{"limit": 1}])
    assert [*answer.keys()] == ["_local/x"]
    await (await db.local.get("x")).copy("_local/z")
    assert (await db.local.get("z"))["n"] == "x"


async def test_design_documents_are_copied_and_have_attachments(db: Database) -> None:
    design = DesignDocument(db, "d")
    await design.create_view("v", "function (doc) { emit(1, 1); }")
    attachment = design.attachment("page one.html")
    await attachment.save(b"<p>", "text/html")
    assert await attachment.exists()
    assert await design.attachment("page one.html").fetch() == b"<p>"
    await design.copy("_design/e")
    copied = await db.get("_design/e")
    assert copied["views"] == design["views"]
    await copied.attachment("page one.html").delete()
    assert not await copied.attachment("page one.html").exists()


async def test_a_partition(partitioned: Database) -> None:
    part = partitioned.partition("b/ü")
    assert (await part.info())["doc_count"] == 3
    assert [id async for id in part.all_docs.ids()] == ["b/ü:0", "b/ü:1", "b/ü:2"]
    assert [doc.id async for doc in part.docs()] == ["b/ü:0", "b/ü:1", "b/ü:2"]
    assert [doc.id async for doc in part.docs([part.full_id("1")])] == ["b/ü:1"]
    assert [id async for id in part.view("d", "n").ids(key="1")] == ["b/ü:1"]
    assert sorted([doc.id async for doc in part.find(F.n > 0)]) == ["b/ü:1", "b/ü:2"]
    assert (await part.explain({"n": 1}))["partitioned"] is True
    assert (await part.explain({"n": 1}))["opts"]["partition"] == "b/ü"


async def test_a_database_without_partitions_has_none(db: Database) -> None:
    with pytest.raises(BadRequestError):
        await db.partition("a").info()
    with pytest.raises(BadRequestError):
        async for _ in db.partition("a").docs():
            pass


async def test_add_meets_nobody(db: Database) -> None:
    first, second = await db.add({}), await db.add({})
    assert first.id != second.id
    with pytest.raises(ConflictError):
        await Document(db, first.id, {"n": 1}).save()
    with pytest.raises(NotFoundError):
        await db.get(first.id + "0")
