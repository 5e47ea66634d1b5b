"""What the type checkers must know about the public names. Checked, never run."""

import io
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypedDict, assert_type, cast

import aiohttp
import msgspec

import aiocouch
from aiocouch import (
    CouchDB,
    Database,
    Document,
    F,
    HTTPResponse,
    Selector,
    View,
    all_of,
    any_of,
    none_of,
)
from aiocouch.answers import (
    ActiveTask,
    BulkGetDoc,
    DatabaseInfo,
    IndexCreated,
    ReplicationDoc,
    ServerInfo,
    ServerStatus,
)
from aiocouch.attachment import Attachment
from aiocouch.bulk import BulkCreateOperation, BulkOperation, BulkUpdateOperation
from aiocouch.changes import FollowedDeletion
from aiocouch.conflicts import Leaves
from aiocouch.design_document import DesignDocument
from aiocouch.document import SecurityDocument
from aiocouch.edits import Edit
from aiocouch.event import BaseChangeEvent, ChangedEvent, DeletedEvent
from aiocouch.exception import CouchDBError, RemoteResponseError
from aiocouch.models import ChangedValue, Collection, FollowedValue, Stored
from aiocouch.queries import ExecutionStats, Found, IndexCandidate, Page, Pages, QueryPlan
from aiocouch.server import Node
from aiocouch.testing import assert_uses_index
from aiocouch.view import AllDocsView, ViewResponse, ViewRow
from aiocouch.writing import BulkWriter, WriteOutcome, WriteProgress


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
    writer = db.write(db.docs(), on_conflict="overwrite", window=8)
    assert_type(writer, BulkWriter)
    async for outcome in writer:
        assert_type(outcome, WriteOutcome)
        assert_type(outcome.rev, str | None)
    assert_type(await db.write([{"_id": "a"}, "{}", b"{}"]), WriteProgress)
    assert_type(writer.left, list[WriteOutcome])
    assert_type(await db.update("a", lambda doc: Edit.DELETE, attempts=3), Document)
    assert_type(await db.update("a", lambda doc: doc.update(n=1)), Document)
    assert_type(await db.upsert("a", {"n": 1}), Document)
    assert_type(await db.upsert("a", lambda doc: {"n": doc["n"] + 1}, {"n": 0}), Document)
    assert_type(db.update_many(["a"], lambda doc: Edit.LEAVE, window=2), BulkWriter)
    assert_type(db.upsert_many(db.akeys(), lambda doc: None, {"n": 0}), BulkWriter)
    assert_type(await db.leaves("a"), Leaves)
    assert_type(await (await db["a"]).leaves(), Leaves)
    assert_type(await db.resolve("a", lambda base, versions: versions[0]), Document)
    async for found in db.conflicts():
        assert_type(found.conflicts, list[str])
    db.write([{}], on_conflict=lambda mine, theirs: {**theirs, **mine})
    assert_type(await anext(db.docs()), Document)


async def queries(db: Database) -> None:
    found = db.find({"a": 1}, on_warning="warn", execution_stats=True)
    assert_type(found, Found[Document])
    assert_type(await anext(found), Document)
    assert_type((found.bookmark, found.warning), tuple[str | None, str | None])
    assert_type(found.execution_stats, ExecutionStats | None)
    async for values in db.find_values({"a": 1}, 5, fields=("a", "b"), skip=1):
        assert_type(values, dict[str, Any])
    async for book in db.find_values({"a": 1}, into=Book):
        assert_type(book, Book)
    async for typed in db.partition("p").find_values({"a": 1}, into=Film):
        assert_type(typed, Film)
    async for change in db.collection(Book).changes(feed="continuous", on_misfit="raise"):
        assert_type(change, ChangedValue[Book] | DeletedEvent)
        if isinstance(change, ChangedValue):
            assert_type(change.value.title, str)
    assert_type(db.collection(Film).changes().last_sequence, str | None)
    async with db.collection(Film).follow(checkpoint="c", include_docs=True) as follower:
        async for followed in follower:
            assert_type(followed, FollowedValue[Film] | FollowedDeletion)
            followed.ack()
    view = db.view("d", "v")
    async for page in view.pages(5, startkey=[1], secret=b"s"):
        assert_type(page, Page[ViewRow])
    assert_type(await view.page(5, "token"), Page[ViewRow])
    assert_type((await db.all_docs.page(5)).token, str | None)
    assert_type(db.find_pages({"a": 1}, 5, limit=9), Pages[Document])
    assert_type(db.find_pages({"a": 1}, 5, fields=["a"]), Pages[dict[str, Any]])
    assert_type(await db.find_pages({"a": 1}, 5, into=Book).page("t"), Page[Book])
    assert_type(
        [film async for page in db.find_pages({}, 5, into=Film) for film in page], list[Film]
    )
    plan = await db.explain({"a": 1}, fields=["a"])
    assert_type(plan, QueryPlan)
    assert_type(plan.candidates, list[IndexCandidate])
    assert_type(plan.uses(["d", "n"]), bool)
    assert_type(await assert_uses_index(db, {"a": 1}, "n", sort=["a"]), QueryPlan)


async def answers_of_a_server(couchdb: CouchDB, node: Node) -> None:
    for task in await couchdb.active_tasks():
        assert_type(task, ActiveTask)
        assert_type(task["started_on"], int)
        assert_type(task.get("progress"), int | None)
        if "progress" in task:
            assert_type(task["progress"], int)
        assert_type(cast("dict[str, Any]", task)["new to CouchDB"], Any)
    assert_type(await couchdb.up(), ServerStatus)
    for row in await couchdb.dbs_info(["a"]):
        if "info" in row:
            assert_type(row["info"]["sizes"]["active"], int)
    async for event in couchdb.db_updates():
        assert_type(event["type"], Literal["created", "updated", "deleted"])
    async for update in couchdb.follow_updates():
        assert_type(update.json["db_name"], str)
        assert_type(update.type, Literal["created", "updated", "deleted"])
    assert_type((await couchdb.cluster.membership())["all_nodes"], list[str])
    assert_type((await couchdb.session.info())["userCtx"]["name"], str | None)
    assert_type((await node.system())["memory"]["ets"], int)
    assert_type((await node.versions())["erlang"]["version"], str)
    assert_type((await node.smoosh())["channels"]["slack_dbs"]["waiting"]["size"], int)
    cast("ServerInfo", await couchdb.info())["features"].append("x")


async def answers_about_jobs(couchdb: CouchDB) -> None:
    replications, reshard = couchdb.replications, couchdb.reshard
    done = await replications.run("a", "b")
    assert_type(done["ok"], bool)
    for session in done.get("history", []):
        assert_type(session["docs_written"], int)
    assert_type((await replications.jobs())["jobs"][0]["history"][0]["timestamp"], str)
    assert_type((await replications.job("a"))["pid"], str | None)
    assert_type((await replications.docs())["docs"], list[ReplicationDoc])
    errors: list[int] = []
    doc = await replications.wait("a", progress=lambda state: errors.append(state["error_count"]))
    assert_type(doc, ReplicationDoc)
    if doc["state"] != "completed" and doc["info"]:
        assert_type(doc["info"].get("error"), str | None)
    assert_type((await reshard.summary())["total"], int)
    assert_type((await reshard.state())["reason"], str | None)
    assert_type((await reshard.jobs())[0]["target"], list[str])
    assert_type([row.get("id") for row in await reshard.split("a")], list[str | None])


async def answers_of_a_database(db: Database) -> None:
    for row in await db.bulk_docs([{"_id": "a"}]):
        assert_type(row["id"], str)
        assert_type(row.get("rev"), str | None)
        if "error" in row:
            assert_type(row["error"], str)
    for result in (await db.bulk_get(["a"]))["results"]:
        for doc in result["docs"]:
            if "ok" in doc:
                assert_type(doc["ok"], dict[str, Any])
    async for got in db.bulk_get_rows(["a"]):
        assert_type(got["docs"], list[BulkGetDoc])
    assert_type((await db.purge({"a": ["1-a"]}))["purged"], dict[str, list[str]])
    assert_type((await db.revisions.purged())[0]["revs"], list[str])
    assert_type((await db.functions("a").info())["view_index"]["sizes"]["file"], int)
    assert_type([index["ddoc"] for index in await db.indexes.list()], list[str | None])
    assert_type((await db.indexes.list())[0]["def"]["fields"], list[dict[str, str]])
    assert_type((await db.indexes.create(["a"]))["result"], Literal["created", "exists"])
    assert_type((await db.indexes.delete_many(["a"]))["fail"][0]["error"], str)
    assert_type((await db.maintenance.shard_of("a"))["range"], str)
    assert_type((await db.partition("a").info())["doc_count"], int)
    assert_type(cast("DatabaseInfo", await db.info())["cluster"]["q"], int)


class Book(msgspec.Struct, frozen=True):
    title: str


@dataclass
class Film:
    title: str


class Song(TypedDict):
    title: str


async def models(db: Database) -> None:
    books = db.collection(Book, type="book", type_field="kind")
    assert_type(books, Collection[Book])
    book = await books["a"]
    assert_type(book, Stored[Book])
    assert_type(book.id, str)
    assert_type(book.rev, str | None)
    assert_type(book.value, Book)
    assert_type(book.value.title, str)
    assert_type(book.document, Document)
    book.value = Book("new")
    assert_type(await books.save(book), Stored[Book])
    assert_type(await books.create(Book("Emma"), id="a"), Stored[Book])
    assert_type(await books.update("a", lambda book: Book(book.title.upper())), Stored[Book])
    assert_type(await books.update("a", lambda book: Edit.LEAVE), Stored[Book])
    assert_type(books.save_many([book, Book("new")], window=2), BulkWriter)
    async for one in books.all(on_misfit=print):
        assert_type(one.value.title, str)
    async for one in books.find({"title": "Emma"}, 5, on_misfit="raise"):
        assert_type(one, Stored[Book])
    async for one in books.view("d", "v", limit=1):
        assert_type(one, Stored[Book])
    assert_type(db.collection(Film), Collection[Film])
    assert_type(db.collection(Song), Collection[Song])
    assert_type((await db.collection(Song).get("a")).value["title"], str)
    assert_type(books.of(await db["a"]), Stored[Book])


async def topics(couchdb: CouchDB, db: Database) -> None:
    assert_type(await couchdb.users["ada"], Document)
    config = couchdb.node().config
    assert_type(await config["log"], dict[str, str])
    assert_type(await config["log", "level"], str)
    assert_type(await db.indexes.create(["a", {"b": "desc"}], name="n"), IndexCreated)
    assert_type(db.local.document("a", {"n": 1}), Document)
    assert_type(await db.local["a"], Document)
    assert_type(await db.get("a", revs=True, attachments=True), Document)
    assert_type(await db.document("a").open_revs("all", latest=True), list[Document])
    assert_type(all_of(F.a == 1, any_of(F.b == 2, none_of(F.c == 3))), Selector)
    assert_type((await couchdb.create("a")).accepted_only, bool)


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
    assert_type(response.total_rows, int | Any)
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
        assert_type(row, dict[str, Any])
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


async def as_before_session() -> None:
    """What mypy took against aiocouch 4 is taken, in these and the following functions."""
    optional: str | None = os.getenv("COUCHDB_USER")
    texts: dict[str, str] = {"user": "u", "password": "p"}
    CouchDB(os.getenv("URL"), user=optional, password=os.getenv("PASSWORD"), cookie=optional)
    CouchDB("http://h", **texts)
    couchdb = CouchDB("http://h", gzip_above=os.getenv("GZIP_ABOVE"))
    mixed = {"limit": 5, "startkey": "a"}
    assert_type(await couchdb.keys(**mixed), list[str])
    await couchdb.keys(limit="3", startkey=None, endkey=optional)
    await couchdb.create("db", q="3", n=None, partitioned="true")


async def as_before_options(db: Database, found: View, text: str) -> None:
    texts = {"limit": "5", "descending": "true"}
    numbers, mixed = {"limit": 5, "skip": 1}, {"limit": 5, "startkey": "a"}
    anything: dict[str, Any] = {}
    db.docs(limit="5", skip="5", descending="true", stale=text, update=text, startkey=None)
    db.docs(limit=None, skip=None, conflicts=None, inclusive_end=None, key="x", keys=["x"])
    db.docs(["a"], **anything)
    db.akeys(**mixed)
    db.values(**mixed)
    for options in (texts, numbers):
        assert_type(await found.get(**options), ViewResponse)
    assert_type(await found.get(**mixed), ViewResponse)
    await found.get(group=None, group_level=None, reduce="false", stale=None, endkey_docid=None)
    await found.post(["a"], **mixed)
    async for item in found.aitems(**mixed):
        assert_type(item, tuple[Any, Any])
    async for value in found.avalues(**mixed):
        assert_type(value, Any)
    found.aitems(limit="5", reduce=None)
    found.ids(limit="5")
    found.docs(["a"], limit="5", prefix=os.getenv("PREFIX"))


async def as_before_queries(
    db: Database, some: Mapping[str, Any], text: str, texts: dict[str, str]
) -> None:
    optional, fields = os.getenv("BOOKMARK"), ("a", "b")
    db.find(some, limit=None, sort=None, bookmark=None, use_index=None, skip=None)
    db.find({}, bookmark=optional, sort=fields, use_index=fields, update=None, r=None)
    await db.index(some, name=None, ddoc=optional, type=text, partial_filter_selector=some)
    await db.index({"fields": ["a"]}, **texts)
    db.changes(limit=None, since=None, heartbeat=None, timeout=None, doc_ids=None, filter=None)
    db.changes(limit="5", feed=text, since=optional, heartbeat="true", timeout="5", style=text)
    db.changes(filter="d/f", key="x")
    db.changes("1-a", filter=optional, key="x", other=5)
    db.changes(**texts)
    db.changes(doc_ids=fields, selector=some, include_docs="true")


async def as_before_results(
    doc: Document, response: ViewResponse, operation: BulkOperation
) -> None:
    doc.get("x").lower()
    doc.get("x", None).lower()
    doc.get("x", default=[]).append(1)
    doc.get(key="x").lower()
    number: int = doc.get("x")
    names: list[str] = doc.setdefault("names", [])
    doc.setdefault("x").lower()
    doc.setdefault("x", default={})["a"] = 1
    doc.update(data={"a": number, "b": names})
    for one in doc.get("x"):
        one.lower()
    total: int = response.total_rows
    offset: int = response.offset
    assert_type(response.total_rows + total + offset, int | Any)
    if operation.response is not None:
        rows: list[dict[str, Any]] = operation.response
        rows[0]["anything"].lower()
    maybe: list[dict[str, Any]] | None = operation.response
    assert_type(maybe, list[dict[str, Any]] | None)


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
