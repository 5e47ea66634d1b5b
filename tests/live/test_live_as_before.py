"""What aiocouch 3 and 4 did, where programs depend on it."""

import copy
import datetime
import json
import pickle
from collections.abc import AsyncGenerator
from unittest.mock import AsyncMock, patch

import pytest

from aiocouch import Database, Document
from aiocouch.bulk import BulkOperation
from aiocouch.document import SecurityDocument
from aiocouch.event import ChangedEvent
from aiocouch.testing import CouchDBServer


async def stored(db: Database, id: str, **data: object) -> Document:
    doc = Document(db, id, data=data)
    await doc.save()
    return doc


# -- a document is entered


async def test_a_new_document_with_data_is_entered_and_saved(db: Database) -> None:
    async with Document(db, "x", data={"a": 1}) as doc:
        assert dict(doc) == {"_id": "x", "a": 1}
        doc["b"] = 2
    assert (await db["x"]).json == {"a": 1, "b": 2}


async def test_what_is_stored_takes_the_place_of_the_data(db: Database) -> None:
    await stored(db, "x", old=1)
    async with Document(db, "x", data={"a": 1}) as doc:
        assert doc.json == {"old": 1}
        doc["b"] = 2
    assert (await db["x"]).json == {"old": 1, "b": 2}


async def test_a_created_document_is_entered(db: Database) -> None:
    async with await db.create("x", data={"a": 1}) as doc:
        doc["b"] = 2
    assert (await db["x"]).json == {"a": 1, "b": 2}


async def test_a_changed_document_is_entered_as_it_is_stored(db: Database) -> None:
    doc = await stored(db, "x", a=1)
    doc["changed"] = True
    async with doc as entered:
        assert entered is doc
        assert doc.json == {"a": 1}
        doc["b"] = 2
    assert (await db["x"]).json == {"a": 1, "b": 2}


async def test_a_changed_security_document_is_entered_as_it_is_stored(db: Database) -> None:
    security = SecurityDocument(db)
    security.add_member("nobody")
    async with security:
        assert "nobody" not in (security.members or [])
        security.add_member("somebody")
    assert (await db.security()).members == ["somebody"]


# -- bulk operations


async def test_of_an_id_that_is_created_twice_one_is_stored(db: Database) -> None:
    async with db.create_docs(["x", "x", "y"]) as bulk:
        for n, doc in enumerate(bulk):
            doc["n"] = n
    assert [doc.id for doc in bulk.ok or []] == ["x", "y"]
    assert [doc.id for doc in bulk.error or []] == ["x"]
    assert [row.get("error") for row in bulk.response or []] == [None, "conflict", None]
    assert (await db["x"])["n"] == 0


async def test_of_an_id_that_is_updated_twice_one_is_stored(db: Database) -> None:
    await stored(db, "x", n=-1)
    async with db.update_docs(["x", "x"]) as bulk:
        assert len(bulk) == 2
        n = 0
        async for doc in bulk:
            doc["n"] = n = n + 1
    assert len(bulk.ok or []) == len(bulk.error or []) == 1
    assert bulk.ok is not None
    assert (await db["x"])["n"] == bulk.ok[0]["n"]


@pytest.mark.parametrize("name", ["x", "_design/x"])
async def test_an_id_cannot_be_added_to_those_that_are_there(db: Database, name: str) -> None:
    async with BulkOperation(db) as bulk:
        bulk.append(Document(db, name))
        with pytest.raises(ValueError, match="already"):
            bulk.create(name)


async def test_a_design_document_is_the_same_under_both_its_names(db: Database) -> None:
    async with db.create_docs(["_design/x"]) as bulk:
        with pytest.raises(ValueError, match="already"):
            bulk.append(await db.design_doc("x"))


async def both_ways(bulk: BulkOperation, way: str) -> AsyncGenerator[Document, None]:
    if way == "for":
        for doc in bulk:
            yield doc
    else:
        async for doc in bulk:
            yield doc


@pytest.mark.parametrize("way", ["for", "async for"])
async def test_a_loop_sees_what_is_added_in_it(db: Database, way: str) -> None:
    seen = []
    async with db.create_docs(["0"]) as bulk:
        async for doc in both_ways(bulk, way):
            seen.append(doc.id)
            if len(seen) < 4:
                bulk.create(str(len(seen)))
    assert seen == ["0", "1", "2", "3"]
    assert [doc.id for doc in bulk.ok or []] == seen


# -- names


async def test_a_design_document_has_the_id_that_it_was_given(db: Database) -> None:
    ddoc = await db.design_doc("x")
    assert (ddoc.id, ddoc.full_id, ddoc["_id"]) == ("x", "_design/x", "_design/x")
    await ddoc.create_view("v", map_function="function (doc) { emit(doc._id); }")
    assert ddoc.id == "x"
    again = await db.design_doc("x", exists_ok=True)
    assert (again.id, again["_id"], again.rev) == ("x", "_design/x", ddoc.rev)
    assert (await ddoc.info())["id"] == "_design/x"
    assert (await db["_design/x"]).id == "_design/x"
    assert (await db.design_doc("_design/x", exists_ok=True)).id == "_design/x"
    await ddoc.delete()


async def test_a_deleted_attachment_has_no_content_type(db: Database) -> None:
    attachment = (await stored(db, "x")).attachment("a.txt")
    await attachment.save(b"text", "text/plain")
    assert attachment.content_type == "text/plain"
    await attachment.delete()
    assert attachment.content_type is None


# -- documents are objects as others


async def test_a_document_keeps_attributes_and_can_be_patched(db: Database) -> None:
    doc = await stored(db, "x", a=1)
    doc.note = "mine"  # type: ignore[attr-defined]
    assert doc.note == "mine"  # type: ignore[attr-defined]
    assert "note" not in doc
    doc["b"] = 2
    with patch.object(doc, "save") as save:
        assert isinstance(save, AsyncMock)
        await doc.save()
    save.assert_awaited_once_with()
    assert "b" not in await db["x"]
    fetch = doc.fetch = AsyncMock()  # type: ignore[method-assign]
    await doc.fetch(discard_changes=True)
    fetch.assert_awaited_once_with(discard_changes=True)
    await doc.save()
    assert (await db["x"]).json == {"a": 1, "b": 2}


async def test_a_document_is_printed_with_its_content(db: Database) -> None:
    doc = await stored(db, "x", name="Grüße", list=[1])
    assert str(doc).splitlines() == [
        "{",
        '  "_id": "x",',
        '  "name": "Grüße",',
        '  "list": [',
        "    1",
        "  ],",
        f'  "_rev": "{doc.rev}"',
        "}",
    ]
    assert "Grüße" in str(await db["x"])
    assert "roles" in str(await db.security())


async def test_an_event_can_be_changed(db: Database) -> None:
    await stored(db, "x", a=1)
    (event,) = [event async for event in db.changes()]
    assert isinstance(event, ChangedEvent)
    event.database = Database(db.couchdb, db.id)
    event.json = {**event.json, "id": "y"}
    event.note = "mine"  # type: ignore[attr-defined]
    assert (event.id, event.note) == ("y", "mine")  # type: ignore[attr-defined]
    assert event == ChangedEvent(event.json, event.database)


# -- answers


async def test_headers_are_a_dict_without_case(db: Database) -> None:
    response = await Document(db, "x").save()
    assert response is not None
    headers = response.headers
    assert isinstance(headers, dict)
    written = json.loads(json.dumps(headers))
    assert written == dict(headers)
    for name in ("Content-Type", "content-type", "CONTENT-TYPE"):
        assert headers[name].startswith("application/json")
        assert headers.get(name) == headers[name]
        assert name in headers
        assert headers.getall(name) == [headers[name]]
    assert headers.get("x-none") is None
    assert headers.get("x-none", "d") == "d"
    assert "x-none" not in headers
    with pytest.raises(KeyError):
        headers["x-none"]
    assert pickle.loads(pickle.dumps(headers))["etag"] == headers["ETag"] == f'"{response.etag}"'
    assert copy.copy(headers) == headers


# -- the JSON of the program


def written(value: object) -> str:
    return json.dumps(value, default=str, indent=1)


async def test_json_serialize_writes_what_is_sent(
    db: Database, couchdb_server: CouchDBServer
) -> None:
    day = datetime.date(2026, 11, 28)
    given: list[object] = []

    def serialize(value: object) -> str:
        given.append(value)
        return written(value)

    async with couchdb_server.connect(json_serialize=serialize) as couchdb:
        own = await couchdb[db.id]
        doc = await own.create("x", data={"day": day})
        await doc.save()
        assert given
        assert await doc.save() is None
        doc["n"] = 1
        await doc.save()
        async with own.create_docs() as bulk:
            bulk.create("y", {"day": day})
        assert bulk.error == []
        assert await own.bulk_docs([{"_id": "z", "day": day}])
        assert sorted([doc.id async for doc in own.find({"day": day})]) == ["x", "y", "z"]
        events = own.changes(selector={"day": day})
        assert sorted([event.id async for event in events]) == ["x", "y", "z"]
        view = await (await own.design_doc("d")).create_view(
            "v", "function (doc) { emit(doc.day); }"
        )
        assert len((await view.post([day])).rows) == 3
        assert [doc.id async for doc in view.docs([day])] == ["x", "y", "z"]
    assert (await db["x"]).json == {"day": "2026-11-28", "n": 1}


async def test_json_serialize_must_write_json(db: Database, couchdb_server: CouchDBServer) -> None:
    async with couchdb_server.connect(json_serialize=lambda _: "{NaN}") as couchdb:
        doc = Document(Database(couchdb, db.id), "x", data={"a": 1})
        with pytest.raises(ValueError, match="json_serialize"):
            await doc.save()
    assert not [id async for id in db.akeys()]
