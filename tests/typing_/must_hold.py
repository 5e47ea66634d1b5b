"""What the type checkers must know about the public names. Checked, never run."""

import io
from pathlib import Path
from typing import Any, assert_type

import aiohttp

import aiocouch
from aiocouch import CouchDB, Database, Document, HTTPResponse, View
from aiocouch.attachment import Attachment
from aiocouch.bulk import BulkCreateOperation, BulkOperation, BulkUpdateOperation
from aiocouch.design_document import DesignDocument
from aiocouch.document import SecurityDocument
from aiocouch.event import BaseChangeEvent, ChangedEvent, DeletedEvent
from aiocouch.exception import CouchDBError, RemoteResponseError
from aiocouch.view import AllDocsView, ViewResponse, ViewRow


async def session() -> None:
    async with CouchDB("http://h", user="u", password="p") as couchdb:
        assert_type(couchdb, CouchDB)
        assert_type(await couchdb["db"], Database)
        assert_type(await couchdb.create("db", True, q=2, partitioned=True), Database)
        assert_type(await couchdb.keys(limit=1), list[str])
        assert_type(await couchdb.info(), dict[str, Any])
        await couchdb.check_credentials()
    CouchDB("http://h", "u", "p", "cookie", headers={"X": "1"}, timeout=aiohttp.ClientTimeout(1))


async def database(db: Database) -> None:
    assert_type(db.id, str)
    assert_type(await db["x"], Document)
    assert_type(await db.get("x", {"a": 1}, rev="1-a"), Document)
    assert_type(await db.create("x", True, {"a": 1}), Document)
    assert_type(await db.info(), dict[str, Any])
    assert_type(await db.security(), SecurityDocument)
    assert_type(await db.design_doc("d", exists_ok=True), DesignDocument)
    assert_type(await db.index({"fields": ["a"]}, name="n"), dict[str, Any])
    assert_type(db.all_docs, AllDocsView)
    assert_type(db.view("d", "v"), View)
    assert_type(db.update_docs(["a"], create=True), BulkUpdateOperation)
    assert_type(db.create_docs(["a"]), BulkCreateOperation)
    async for key in db.akeys():
        assert_type(key, str)
    async for doc in db.docs(["a"], create=True, descending=True):
        assert_type(doc, Document)
    async for doc in db.values(limit=1):
        assert_type(doc, Document)
    async for doc in db.find({"a": 1}, 5, sort=[{"a": "asc"}]):
        assert_type(doc, Document)
    assert_type([doc.id async for doc in db.docs()], list[str])
    assert_type(await anext(db.docs()), Document)


async def document(db: Database) -> None:
    async with Document(db, "x", {"a": 1}) as doc:
        assert_type(doc, Document)
        doc["b"] = [None, 1, {"c": 2.5}]
    assert_type(doc.id, str)
    assert_type(doc.rev, str | None)
    doc.rev = "1-a"
    assert_type(doc.exists, bool)
    assert_type(doc.data, dict[str, Any] | None)
    assert_type(doc.json, dict[str, Any])
    assert_type(await doc.save(), HTTPResponse | None)
    assert_type(await doc.delete(True), HTTPResponse)
    copied = await doc.copy("y")
    assert_type(copied, HTTPResponse)
    assert_type(copied.status, int)
    assert_type(copied.etag, str | None)
    assert_type(copied.headers["X-Couch-Request-ID"], str)
    assert_type(await doc.conflicts(), list[str])
    assert_type(await doc.revs(), list[str])
    assert_type(await doc.info(), dict[str, Any])
    assert_type(dict(doc), dict[str, Any])
    assert_type(len(doc), int)
    assert_type(list(doc), list[str])
    for item in doc.items():
        assert_type(item, tuple[str, Any])
    await doc.fetch(True, rev="1-a")


async def attachment(doc: Document) -> None:
    found = doc.attachment("a")
    assert_type(found, Attachment)
    assert_type(found.content_type, str | None)
    assert_type(await found.exists(), bool)
    assert_type(await found.fetch(), bytes)
    await found.save(b"x", "text/plain")
    await found.save(Path("x"), "text/plain")
    await found.save(io.BytesIO(b"x"), "text/plain")
    await found.save(aiter(found), "text/plain")
    async for chunk in found:
        assert_type(chunk, bytes)


async def security(db: Database) -> None:
    async with SecurityDocument(db) as doc:
        assert_type(doc, SecurityDocument)
        assert_type(doc.members, list[str] | None)
        assert_type(doc.admin_roles, list[str] | None)
        assert_type(doc.add_member("bond"), None)


async def design(db: Database) -> None:
    async with DesignDocument(db, "d") as ddoc:
        assert_type(ddoc, DesignDocument)
        assert_type(await ddoc.create_view("v", "function (doc) {}", "_count"), View)
        assert_type(ddoc.view("v"), View)


async def view(found: View) -> None:
    response = await found.get(key=["a", 1], descending=True)
    assert_type(response, ViewResponse)
    assert_type(response.rows, list[dict[str, Any]])
    assert_type(response.total_rows, int | None)
    assert_type(list(response.keys()), list[str])
    assert_type(list(response.docs()), list[Document])
    assert_type(await found.post(["a"], include_docs=True), ViewResponse)
    async for id in found.ids(["a"]):
        assert_type(id, str)
    async for doc in found.docs(prefix="a"):
        assert_type(doc, Document)
    async for row in found.rows(startkey=["a"], group=True):
        assert_type(row, ViewRow)
        assert_type(row.id, str | None)
    async for key, value in found.aitems():
        assert_type((key, value), tuple[Any, Any])


async def bulk(db: Database) -> None:
    async with db.create_docs(["a"]) as operation:
        assert_type(operation, BulkCreateOperation)
        for doc in operation:
            assert_type(doc, Document)
        async for doc in operation:
            assert_type(doc, Document)
        assert_type(operation.append(Document(db, "b")), Document)
        assert_type(operation.create("c", {"a": 1}), Document)
    assert_type(operation.ok, list[Document] | None)
    assert_type(operation.error, list[Document] | None)
    for row in operation.response or []:
        assert_type(row["id"], str)
    async with BulkOperation(db) as other:
        assert_type(other, BulkOperation)


async def changes(db: Database) -> None:
    async for event in db.changes("1-a", feed="continuous", include_docs=True, since="now"):
        assert_type(event.id, str)
        assert_type(event.rev, str)
        assert_type(event.sequence, str)
        assert_type(event.json, dict[str, Any])
        base: BaseChangeEvent = event
        if isinstance(event, DeletedEvent):
            continue
        assert_type(event, ChangedEvent)
        assert_type(await event.doc(), Document)
        assert_type(event.database, Database)
        assert_type(base.id, str)


async def errors(db: Database) -> None:
    try:
        await db["x"]
    except aiocouch.NotFoundError as error:
        assert_type(error.status, int | None)
        assert_type(error.reason, str | None)
        assert_type(error.request_id, str | None)
        as_key_error: KeyError = error
        as_ours: CouchDBError = error
        raise RuntimeError(as_key_error, as_ours) from error
    except RemoteResponseError as error:
        as_aiohttp: aiohttp.ClientResponseError = error
        raise as_aiohttp from error
