"""Many documents in one request."""

import warnings
from typing import Any

import pytest

import aiocouch
from aiocouch import Database, Document
from aiocouch.bulk import BulkCreateOperation, BulkOperation, BulkUpdateOperation


async def fill(db: Database, *names: str) -> None:
    async with db.create_docs(list(names)) as bulk:
        for doc in bulk:
            doc["n"] = 0
    assert bulk.error == []


def ids(docs: list[Document] | None) -> list[str]:
    assert docs is not None
    return [doc.id for doc in docs]


async def numbers(db: Database) -> dict[str, int]:
    return {doc.id: doc["n"] async for doc in db.docs()}


async def test_create(db: Database) -> None:
    async with db.create_docs(["a", "b"]) as bulk:
        assert (bulk.ok, bulk.error, bulk.response) == (None, None, None)
        for doc in bulk:
            doc["n"] = 1
    assert ids(bulk.ok) == ["a", "b"]
    assert ids(bulk.error) == []
    assert bulk.response is not None
    assert [row["id"] for row in bulk.response] == ["a", "b"]
    assert await numbers(db) == {"a": 1, "b": 1}


async def test_create_iterates_both_ways(db: Database) -> None:
    async with db.create_docs(["a", "b"]) as bulk:
        assert [doc.id for doc in bulk] == [doc.id async for doc in bulk] == ["a", "b"]


async def test_create_inside(db: Database) -> None:
    async with db.create_docs() as bulk:
        doc = bulk.create("a", {"n": 1})
        assert isinstance(doc, Document)
        bulk.create(id="b", data={"n": 2})
        bulk.create("c")["n"] = 3
    assert await numbers(db) == {"a": 1, "b": 2, "c": 3}


async def test_documents_know_their_revision_afterwards(db: Database) -> None:
    async with db.create_docs(["a"]) as bulk:
        (doc,) = bulk
        doc["n"] = 1
    assert doc.exists
    assert doc.rev == (await db["a"]).rev
    assert await doc.save() is None
    doc["n"] = 2
    await doc.save()
    assert (await db["a"])["n"] == 2


async def test_create_what_exists_is_an_error_of_its_row(db: Database) -> None:
    await fill(db, "a")
    async with db.create_docs(["a", "b"]) as bulk:
        for doc in bulk:
            doc["n"] = 7
    assert ids(bulk.ok) == ["b"]
    assert ids(bulk.error) == ["a"]
    assert bulk.response is not None
    errors = {row["id"]: row.get("error") for row in bulk.response}
    assert errors == {"a": "conflict", "b": None}
    assert await numbers(db) == {"a": 0, "b": 7}


async def test_document_with_an_error_can_be_tried_again(db: Database) -> None:
    await fill(db, "a")
    async with db.create_docs(["a"]) as bulk:
        for doc in bulk:
            doc["n"] = 7
    (doc,) = bulk.error or []
    assert doc["n"] == 7
    doc.rev = (await doc.info())["rev"]
    await doc.save()
    assert await numbers(db) == {"a": 7}


async def test_update(db: Database) -> None:
    await fill(db, "a", "b", "c")
    async with db.update_docs(["a", "b"]) as bulk:
        async for doc in bulk:
            doc["n"] += 1
    assert ids(bulk.ok) == ["a", "b"]
    assert await numbers(db) == {"a": 1, "b": 1, "c": 0}


async def test_update_writes_only_what_changed(db: Database) -> None:
    await fill(db, "a", "b")
    async with db.update_docs(["a", "b"]) as bulk:
        for doc in bulk:
            if doc.id == "b":
                doc["n"] = 5
    assert bulk.response is not None
    assert [row["id"] for row in bulk.response] == ["b"]
    assert (await db["a"]).rev.startswith("1-")  # type: ignore[union-attr]


async def test_update_and_create(db: Database) -> None:
    await fill(db, "foo")
    async with db.update_docs(["foo", "baz"], create=True) as bulk:
        async for doc in bulk:
            doc["llama"] = "awesome"
    assert ids(bulk.ok) == ["foo", "baz"]
    assert [doc["llama"] async for doc in db.docs()] == ["awesome", "awesome"]


async def test_update_and_create_of_untouched_documents(db: Database) -> None:
    # A new document is dirty even when it is empty.
    async with db.update_docs(["a"], create=True):
        pass
    assert [key async for key in db.akeys()] == ["a"]


async def test_update_of_a_missing_document(db: Database) -> None:
    await fill(db, "a")
    with pytest.raises(aiocouch.NotFoundError, match="none"):
        await db.update_docs(["a", "none"]).__aenter__()


async def test_update_sees_a_deleted_document_as_missing(db: Database) -> None:
    await fill(db, "a")
    await (await db["a"]).delete()
    with pytest.raises(aiocouch.NotFoundError):
        await db.update_docs(["a"]).__aenter__()
    async with db.update_docs(["a"], create=True) as bulk:
        for doc in bulk:
            doc["n"] = 9
    assert await numbers(db) == {"a": 9}


async def test_update_loses_to_another_writer(db: Database) -> None:
    await fill(db, "a", "b")
    async with db.update_docs(["a", "b"]) as bulk:
        for doc in bulk:
            doc["n"] = 5
        other = await db["a"]
        other["n"] = 6
        await other.save()
    assert (ids(bulk.ok), ids(bulk.error)) == (["b"], ["a"])
    assert await numbers(db) == {"a": 6, "b": 5}


async def test_append(db: Database) -> None:
    await fill(db, "a")
    mine = await db["a"]
    async with BulkOperation(database=db) as bulk:
        assert bulk.append(mine) is mine
        mine["n"] = 1
        bulk.append(Document(db, "b", data={"n": 2}))
        assert [doc.id for doc in bulk] == ["a", "b"]
    assert await numbers(db) == {"a": 1, "b": 2}
    assert ids(bulk.ok) == ["a", "b"]


async def test_append_is_mixed_with_ids(db: Database) -> None:
    await fill(db, "a", "b")
    async with db.update_docs(["a"]) as bulk:
        bulk.append(await db["b"])
        for doc in bulk:
            doc["n"] = 3
    assert await numbers(db) == {"a": 3, "b": 3}


async def test_appended_deletion(db: Database) -> None:
    await fill(db, "a", "b")
    async with db.update_docs(["a"]) as bulk:
        for doc in bulk:
            doc["_deleted"] = True
    assert ids(bulk.ok) == ["a"]
    assert await numbers(db) == {"b": 0}


@pytest.mark.parametrize("kind", [BulkOperation, BulkCreateOperation, BulkUpdateOperation])
async def test_classes_by_name(db: Database, kind: type[BulkOperation]) -> None:
    async with kind(db) as bulk:
        bulk.create("a", {"n": 1})
    assert await numbers(db) == {"a": 1}


async def test_one_id_twice(db: Database) -> None:
    async with db.create_docs(["a"]) as bulk:
        with pytest.raises(ValueError, match="a"):
            bulk.create("a")
        with pytest.raises(ValueError, match="a"):
            bulk.append(Document(db, "a"))


async def test_error_inside_sends_nothing(db: Database) -> None:
    bulk = db.create_docs(["a"])
    with pytest.raises(ZeroDivisionError):
        await fail_inside(bulk)
    assert [key async for key in db.akeys()] == []
    assert (bulk.ok, bulk.error, bulk.response) == (None, None, None)


async def fail_inside(bulk: BulkOperation) -> None:
    async with bulk:
        raise ZeroDivisionError


async def test_deprecated_names_work_and_warn(db: Database) -> None:
    async with db.create_docs() as bulk:
        with pytest.warns(DeprecationWarning, match="append"):
            doc = bulk.update(Document(db, "a", data={"n": 1}))
        assert doc.id == "a"
    with pytest.warns(DeprecationWarning, match="response"):
        assert bulk.status == bulk.response
    assert await numbers(db) == {"a": 1}


async def test_new_names_do_not_warn(db: Database) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        async with db.create_docs(["a"]) as bulk:
            pass
        assert bulk.response is not None


async def test_illegal_id_is_refused_as_a_whole(db: Database) -> None:
    with pytest.raises(aiocouch.BadRequestError):
        await write(db, "_private", "b")
    assert [key async for key in db.akeys()] == []


async def write(db: Database, *names: str) -> None:
    async with db.create_docs(list(names)):
        pass


async def test_many(db: Database) -> None:
    names = [f"{at:05}" for at in range(2_000)]
    await fill(db, *names)
    assert [key async for key in db.akeys()] == names
    async with db.update_docs(names) as bulk:
        for doc in bulk:
            doc["n"] = 1
    assert ids(bulk.ok) == names


# -- the plain requests


async def test_bulk_docs(db: Database) -> None:
    answer = await db.bulk_docs([{"_id": "a", "n": 1}, {"_id": "b", "n": 2}])
    assert [row["id"] for row in answer] == ["a", "b"]
    assert await numbers(db) == {"a": 1, "b": 2}


async def test_bulk_docs_does_not_write_into_its_argument(db: Database) -> None:
    docs = [{"_id": "a", "n": 1}]
    await db.bulk_docs(docs)
    assert docs == [{"_id": "a", "n": 1}]


async def test_bulk_docs_with_old_edits(db: Database) -> None:
    body = {"_id": "a", "_rev": "3-" + "a" * 32, "n": 1}
    await db.bulk_docs([body], new_edits=False)
    assert (await db["a"]).rev == body["_rev"]


async def test_bulk_docs_all_or_nothing_is_refused(db: Database) -> None:
    with pytest.raises(aiocouch.ExpectationFailedError) as caught:
        await db.bulk_docs([{"_id": "a"}], extra={"all_or_nothing": True})
    assert caught.value.status == 417


async def test_bulk_get(db: Database) -> None:
    await fill(db, "a")
    rev = (await db["a"]).rev
    answer = await db.bulk_get([{"id": "a", "rev": rev}, {"id": "none"}])
    results = {row["id"]: row["docs"][0] for row in answer["results"]}
    assert results["a"].get("ok", {})["n"] == 0
    assert "error" in results["none"]
    assert results["none"]["error"]["error"] == "not_found"


async def test_bulk_get_row_by_row(db: Database) -> None:
    await fill(db, *(f"{n:04}" for n in range(600)))
    asked = [f"{n:04}" for n in range(599, -1, -1)]
    rows = [row async for row in db.bulk_get_rows(asked, revs=True)]
    assert [row["id"] for row in rows] == asked
    assert all("_revisions" in row["docs"][0].get("ok", {}) for row in rows)


async def test_bulk_get_rows_of_revisions_that_are_not_there(db: Database) -> None:
    await fill(db, "a")
    rev = (await db["a"]).rev
    asked: list[Any] = [
        {"id": "a", "rev": rev},
        {"id": "none"},
        {"id": "a", "rev": "9-" + "a" * 32},
    ]
    rows = [row async for row in db.bulk_get_rows(asked)]
    assert sorted(str(row["id"]) for row in rows) == ["a", "a", "none"]
    assert sum("error" in row["docs"][0] for row in rows) == 2


@pytest.mark.parametrize("docs", ["a", {"id": "a"}, b"a"])
async def test_bulk_get_of_one_document(db: Database, docs: Any) -> None:
    with pytest.raises(aiocouch.InvalidTypeError, match="must be a list"):
        await db.bulk_get(docs)
    with pytest.raises(aiocouch.InvalidTypeError, match="must be a list"):
        await anext(db.bulk_get_rows(docs))


async def test_misspelt_options_in_bulk(db: Database) -> None:
    wrong: Any = {"new_edit": False}
    with pytest.raises(aiocouch.InvalidTypeError, match="new_edits"):
        await db.bulk_docs([], **wrong)
    wrong = {"lastest": True}
    with pytest.raises(aiocouch.InvalidTypeError, match="latest"):
        await db.bulk_get([], **wrong)
    wrong = {"quick": True}
    with pytest.raises(aiocouch.InvalidTypeError, match="extra="):
        await db.purge({}, **wrong)


async def test_purge(db: Database) -> None:
    await fill(db, "a", "b")
    rev = (await db["a"]).rev
    assert rev is not None
    answer = await db.purge({"a": [rev]})
    assert answer["purged"] == {"a": [rev]}
    assert [key async for key in db.akeys()] == ["b"]
    with pytest.raises(aiocouch.NotFoundError) as caught:
        await db["a"]
    assert caught.value.reason == "missing", "purged, not deleted"
    assert (await db.info())["doc_del_count"] == 0
