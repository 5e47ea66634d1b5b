"""Calls whose answers are lost, or that a server refuses for a while, end as they truly went."""

from __future__ import annotations

import asyncio
import contextlib
import time
import uuid
from typing import TYPE_CHECKING, Any

import pytest

from aiocouch import (
    ConflictError,
    CouchDB,
    CouchDBError,
    Database,
    Document,
    InvalidInputError,
    NotFoundError,
    PreconditionFailedError,
    RemoteResponseError,
    RetryPolicy,
    TransportError,
)
from aiocouch.testing import CouchDBServer, Faults

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from aiohttp import ClientHandlerType, ClientRequest, ClientResponse

    from aiocouch.attachment import Content

QUICK = RetryPolicy(first_wait=0.001, longest_wait=0.01)
KINDS = ["lose", "reset", "cut", "503", "502", "429"]


@pytest.fixture
async def faults(couchdb_server: CouchDBServer) -> AsyncIterator[Faults]:
    """A proxy in front of the server."""
    async with Faults(couchdb_server) as proxy:
        yield proxy


@pytest.fixture
async def far(faults: Faults, db: Database) -> AsyncIterator[Database]:
    """The database of the test, by way of the proxy."""
    async with faults.server.connect(retry=QUICK) as couchdb:
        yield Database(couchdb, db.id)


def break_once(faults: Faults, kind: str, method: str = "*", path: str = "*") -> None:
    which: Any = {"path": path} | ({} if method == "*" else {"method": method})
    if kind == "cut":
        faults.cut(5, **which)
    elif kind == "502":
        faults.html(502, **which)
    elif kind.isdigit():
        faults.answer(int(kind), headers={"Retry-After": "0"}, **which)
    else:
        getattr(faults, kind)(**which)


def generation(doc: Document) -> int:
    return int((doc.rev or "").partition("-")[0])


def methods(faults: Faults) -> list[str]:
    return [request.method for request in faults.requests]


# -- one document ---------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
async def test_save(faults: Faults, far: Database, db: Database, kind: str) -> None:
    """A new document, and an edit of it: each once."""
    doc = Document(far, "a/ä", {"n": 1})
    for n in (1, 2):
        doc["n"] = n
        break_once(faults, kind, "PUT")
        response = await doc.save()
        assert response is not None
        assert response.status in (201, 202)
        assert response.etag == doc.rev
        stored = await db["a/ä"]
        assert stored.rev == doc.rev
        assert generation(stored) == stored["n"] == n
        assert not doc.is_dirty()
    assert faults.broken.total() == 2


@pytest.mark.parametrize("kind", KINDS)
async def test_delete(faults: Faults, far: Database, db: Database, kind: str) -> None:
    doc = Document(far, "a", {"n": 1})
    await doc.save()
    break_once(faults, kind, "DELETE")
    response = await doc.delete()
    assert response.json()["id"] == "a"
    assert response.json()["rev"].startswith("2-")
    with pytest.raises(NotFoundError):
        await db["a"]
    found = await db.bulk_get([{"id": "a"}])
    (leaf,) = found["results"][0]["docs"]
    assert leaf.get("ok", {})["_rev"] == response.json()["rev"]


@pytest.mark.parametrize("kind", KINDS)
async def test_save_of_a_deletion(faults: Faults, far: Database, db: Database, kind: str) -> None:
    """A tombstone with a content, and a new document on top of it."""
    doc = Document(far, "a", {"n": 1})
    await doc.save()
    doc["_deleted"] = True
    break_once(faults, kind, "PUT")
    await doc.save()
    assert generation(doc) == 2
    again = Document(far, "a", {"n": 2})
    break_once(faults, kind, "PUT")
    await again.save()
    assert again.rev == (await db["a"]).rev
    assert generation(again) == 3


@pytest.mark.parametrize("kind", KINDS)
async def test_a_true_conflict_stays_one(
    faults: Faults, far: Database, db: Database, kind: str
) -> None:
    await Document(db, "a", {"of": "another"}).save()
    break_once(faults, kind, "PUT")
    with pytest.raises(ConflictError):
        await Document(far, "a", {"n": 1}).save()
    mine = await far["a"]
    theirs = await db["a"]
    theirs["n"] = mine["n"] = 0
    theirs["more"] = 1
    await theirs.save()
    break_once(faults, kind, "PUT")
    with pytest.raises(ConflictError):
        await mine.save()
    break_once(faults, kind, "DELETE")
    with pytest.raises(ConflictError):
        await mine.delete(discard_changes=True)
    assert (await db["a"]).data == theirs.data


@pytest.mark.parametrize("kind", KINDS)
async def test_a_document_that_was_deleted_is_a_conflict_for_an_edit(
    faults: Faults, far: Database, db: Database, kind: str
) -> None:
    await Document(db, "a", {"n": 1}).save()
    mine = await far["a"]
    await (await db["a"]).delete()
    mine["n"] = 2
    break_once(faults, kind, "PUT")
    with pytest.raises(ConflictError):
        await mine.save()
    with pytest.raises(NotFoundError):
        await db["a"]


async def test_what_is_refused_stays_refused(faults: Faults, far: Database) -> None:
    faults.lose(method="PUT")
    with pytest.raises(NotFoundError):
        await Document(Database(far.couchdb, "no-such-database"), "a", {"n": 1}).save()


class Gate:
    """Holds the first request that asks for leaves, until others have done what they want."""

    def __init__(self) -> None:
        self.arrived = asyncio.Event()
        self.opened = asyncio.Event()

    async def __call__(self, request: ClientRequest, handler: ClientHandlerType) -> ClientResponse:
        if "open_revs" in request.url.query:
            self.arrived.set()
            await self.opened.wait()
        return await handler(request)


async def meanwhile(faults: Faults, db: Database, job: Any, others: Any) -> Any:
    """The outcome of a job while others work between the lost answer and the question about it."""
    gate = Gate()
    async with faults.server.connect(retry=QUICK, middlewares=(gate,)) as couchdb:
        running = asyncio.ensure_future(job(Database(couchdb, db.id)))
        async with asyncio.timeout(60):
            await gate.arrived.wait()
            await others(db)
            gate.opened.set()
            return await running


async def test_somebody_has_written_on_top(faults: Faults, db: Database) -> None:
    async def create(far: Database) -> Document:
        doc = Document(far, "a", {"n": 1})
        await doc.save()
        return doc

    async def edit(near: Database) -> None:
        for n in (2, 3):
            doc = await near["a"]
            doc["n"] = n
            await doc.save()

    faults.lose(method="PUT")
    doc = await meanwhile(faults, db, create, edit)
    assert generation(doc) == 1
    assert (await db["a"])["n"] == 3
    assert methods(faults) == ["PUT", "GET"]


async def test_nothing_is_raised_from_the_dead(faults: Faults, db: Database) -> None:
    """A new document that somebody has deleted, before it was known that it had been saved."""

    async def create(far: Database) -> None:
        await Document(far, "a", {"n": 1}).save()

    async def delete(near: Database) -> None:
        await (await near["a"]).delete()

    faults.lose(method="PUT")
    with pytest.raises(TransportError) as caught:
        await meanwhile(faults, db, create, delete)
    assert "does not tell whether it was written" in caught.value.__notes__[0]
    with pytest.raises(NotFoundError):
        await db["a"]


async def test_an_edit_that_somebody_has_deleted_since_was_made(
    faults: Faults, db: Database
) -> None:
    await Document(db, "a", {"n": 1}).save()

    async def edit(far: Database) -> Document:
        doc = await far["a"]
        doc["n"] = 2
        await doc.save()
        return doc

    async def delete(near: Database) -> None:
        await (await near["a"]).delete()

    faults.lose(method="PUT")
    doc = await meanwhile(faults, db, edit, delete)
    assert generation(doc) == 2
    with pytest.raises(NotFoundError):
        await db["a"]


async def test_a_deletion_on_which_somebody_has_created_it_anew(
    faults: Faults, db: Database
) -> None:
    await Document(db, "a", {"n": 1}).save()

    async def delete(far: Database) -> None:
        await (await far["a"]).delete()

    async def create(near: Database) -> None:
        await Document(near, "a", {"n": 2}).save()

    faults.lose(method="DELETE")
    await meanwhile(faults, db, delete, create)
    assert (await db["a"])["n"] == 2


@pytest.mark.parametrize("kind", ["lose", "reset"])
async def test_design_documents_and_users(
    faults: Faults, far: Database, db: Database, kind: str
) -> None:
    """The server changes what it stores of a user, and of an index of Nouveau."""
    break_once(faults, kind, "PUT")
    design = Document(far, "_design/a", {"nouveau": {"i": {"index": "function(doc){}"}}})
    await design.save()
    assert design.rev == (await db["_design/a"]).rev
    name = f"user-{uuid.uuid4().hex}"
    data = {"name": name, "type": "user", "roles": [], "password": "pä"}
    users = Database(far.couchdb, "_users")
    user = Document(users, f"org.couchdb.user:{name}", data)
    break_once(faults, kind, "PUT")
    await user.save()
    await user.fetch()
    await user.delete()
    assert faults.broken.total() == 2


# -- what has no history --------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
async def test_local_documents(faults: Faults, far: Database, db: Database, kind: str) -> None:
    doc = Document(far, "_local/ä/b", {"n": 1})
    for n in (1, 2):
        doc["n"] = n
        break_once(faults, kind, "PUT")
        await doc.save()
        assert (await db["_local/ä/b"]).data == doc.data
        assert doc.rev == f"0-{n}"
    break_once(faults, kind, "DELETE")
    response = await doc.delete()
    assert response.json() == {"ok": True, "id": "_local/ä/b", "rev": "0-0"}
    with pytest.raises(NotFoundError):
        await db["_local/ä/b"]


@pytest.mark.parametrize("kind", KINDS)
async def test_security(faults: Faults, far: Database, db: Database, kind: str) -> None:
    security = await far.security()
    security.add_member("somebody")
    break_once(faults, kind, "PUT")
    await security.save()
    assert (await db.security()).members == ["somebody"]


# -- attachments ----------------------------------------------------------------------------------


@pytest.mark.parametrize("content_type", ["text/plain", "application/octet-stream"])
@pytest.mark.parametrize("kind", KINDS)
async def test_attachments(
    faults: Faults, far: Database, db: Database, kind: str, content_type: str, tmp_path: Path
) -> None:
    """Of bytes and of a file, compressed by the server or not; then without it."""
    doc = Document(far, "a", {"n": 1})
    await doc.save()
    (tmp_path / "file").write_bytes(b"other " * 100)
    contents: list[Content] = [b"bytes " * 100, tmp_path / "file"]
    for at, content in enumerate(contents):
        break_once(faults, kind, "PUT")
        await doc.attachment("x").save(content, content_type)
        stored = await db["a"]
        assert stored.rev == doc.rev
        assert generation(doc) == at + 2
    assert await (await db["a"]).attachment("x").fetch() == b"other " * 100
    break_once(faults, kind, "DELETE")
    await doc.attachment("x").delete()
    stored = await db["a"]
    assert stored.rev == doc.rev
    assert generation(doc) == 4
    assert "_attachments" not in stored
    assert faults.broken.total() == 3


@pytest.mark.parametrize("kind", KINDS)
async def test_attachments_inside_of_a_document(
    faults: Faults, far: Database, db: Database, kind: str
) -> None:
    inside = {
        "x": {"content_type": "text/plain", "data": "aGVsbG8="},
        "y": {"content_type": "image/png", "data": "aGVsbG8="},
    }
    doc = Document(far, "a", {"_attachments": inside})
    break_once(faults, kind, "PUT")
    await doc.save()
    await doc.fetch()
    doc["n"] = 1
    break_once(faults, kind, "PUT")
    await doc.save()
    assert (await db["a"]).rev == doc.rev
    assert generation(doc) == 2


async def test_another_attachment_is_a_conflict(
    faults: Faults, far: Database, db: Database
) -> None:
    await Document(db, "a", {"n": 1}).save()
    mine = await far["a"]
    await (await db["a"]).attachment("x").save(b"theirs", "text/plain")
    faults.lose(method="PUT")
    with pytest.raises(ConflictError):
        await mine.attachment("x").save(b"mine!!", "text/plain")
    faults.lose(method="DELETE")
    with pytest.raises((ConflictError, NotFoundError)):
        await mine.attachment("x").delete()
    assert await (await db["a"]).attachment("x").fetch() == b"theirs"


# -- copies ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
async def test_copy(faults: Faults, far: Database, db: Database, kind: str) -> None:
    doc = Document(far, "a", {"n": 1})
    await doc.save()
    await doc.attachment("x").save(b"hello", "text/plain")
    for at in (1, 2):
        break_once(faults, kind, "COPY")
        response = await doc.copy("b/c", rev=None if at == 1 else (await db["b/c"]).rev)
        assert response.etag == (await db["b/c"]).rev
        assert (response.etag or "").startswith(f"{at}-")
        doc["n"] = at + 1
        await doc.save()
    break_once(faults, kind, "COPY")
    with pytest.raises(CouchDBError) as caught:
        await doc.copy("b/c")
    # It may be a copy of what the source was at the time.
    kinds = (ConflictError, TransportError)
    assert isinstance(caught.value, kinds) or caught.value.status in (502, 503)


# -- databases ------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
async def test_databases(faults: Faults, far: Database, couchdb: CouchDB, kind: str) -> None:
    name = f"test-{uuid.uuid4().hex}"
    path = f"/{name}"
    break_once(faults, kind, "PUT", path)
    made = await far.couchdb.create(name)
    assert (await couchdb[name]).id == name
    break_once(faults, kind, "PUT", path)
    assert (await far.couchdb.create(name, exists_ok=True)).id == name
    break_once(faults, kind, "DELETE", path)
    if kind in ("lose", "cut"):
        await made.delete()
    else:  # it is too young: it may be another one of that name
        with contextlib.suppress(*([] if kind == "429" else [TransportError, RemoteResponseError])):
            await made.delete()
        with contextlib.suppress(*([NotFoundError] if kind == "429" else [])):
            await (await couchdb[name]).delete()
    with pytest.raises(NotFoundError):
        await couchdb[name]
    assert faults.broken.total() == 3


@pytest.mark.socket
async def test_a_database_of_others_exists(faults: Faults, far: Database) -> None:
    users = far.couchdb.database("_users")
    made = float((await users.info())["instance_start_time"])
    # one that is younger than the call and two seconds more could be of this call
    await asyncio.sleep(max(made + 4 - time.time(), 0))
    faults.lose(method="PUT", path="/_users")
    with pytest.raises(PreconditionFailedError):
        await far.couchdb.create("_users")


# -- many documents -------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
async def test_bulk(faults: Faults, far: Database, db: Database, kind: str) -> None:
    """New documents, edits, deletions and true conflicts, each settled by itself."""
    await Document(db, "theirs", {"n": 0}).save()
    break_once(faults, kind, path="*/_bulk_docs")
    async with far.create_docs() as created:
        for n in range(50):
            created.create(f"{n}", {"n": n})
        created.create("theirs", {"n": 1})
    assert [doc.id for doc in created.error or ()] == ["theirs"]
    assert all(generation(doc) == 1 for doc in created.ok or ())
    docs = [doc async for doc in far.docs()]
    edited = await db["7"]
    edited["by"] = "another"
    await edited.save()
    break_once(faults, kind, path="*/_bulk_docs")
    bulk = far.bulk()
    async with bulk:
        for doc in docs:
            doc["n"] = 2
            if doc.id in ("1", "2"):
                doc["_deleted"] = True
            bulk.append(doc)
    assert bulk.response is not None
    assert [row["id"] for row in bulk.response if "error" in row] == ["7"]
    assert len([doc async for doc in db.docs()]) == 49
    async for doc in db.docs():
        assert doc["n"] == (7 if doc.id == "7" else 2)
        assert generation(doc) == 2
    assert faults.broken.total() == 2


@pytest.mark.parametrize("kind", KINDS)
async def test_plain_documents(faults: Faults, far: Database, db: Database, kind: str) -> None:
    """They get their ids before they are sent; the caller's dicts stay as they are."""
    plain = [{"n": n} for n in range(20)]
    break_once(faults, kind, path="*/_bulk_docs")
    rows = await far.bulk_docs(plain)
    assert plain == [{"n": n} for n in range(20)]
    stored = {doc.id: doc async for doc in db.docs()}
    assert [row["id"] for row in rows] == [id for n in range(20) for id in _with(stored, n)]
    assert all(row.get("rev") == stored[row["id"]].rev for row in rows)


def _with(docs: dict[str, Document], n: int) -> list[str]:
    return [id for id, doc in docs.items() if doc["n"] == n]


@pytest.mark.parametrize("kind", KINDS)
async def test_odd_documents_in_bulk(
    faults: Faults, far: Database, db: Database, kind: str
) -> None:
    """Ids twice, local documents, attachments, deleted ids, and members beside the documents."""
    for id in ("old", "again"):
        doc = Document(db, id, {"n": 1})
        await doc.save()
        await doc.delete()
    inside = {"x": {"content_type": "text/plain", "data": "aGVsbG8="}}
    docs: list[dict[str, Any]] = [
        {"_id": "twice", "n": 1},
        {"_id": "twice", "n": 1},
        {"_id": "_local/a", "n": 1},
        {"_id": "with", "_attachments": inside},
        {"_id": "old", "n": 2},
        {"_id": "_design/a", "views": {}},
    ]
    break_once(faults, kind, path="*/_bulk_docs")
    rows = await far.bulk_docs(docs, new_edits=True)
    revs = [(row.get("rev") or row.get("error", "")).partition("-")[0] for row in rows]
    assert revs == ["1", "conflict", "0", "1", "3", "1"]
    assert [row["id"] for row in rows] == [doc["_id"] for doc in docs]


async def test_the_same_content_as_in_an_earlier_life(
    faults: Faults, far: Database, db: Database
) -> None:
    """If it was written, it is found; if it was not, nobody can tell, and that is what is said."""
    doc = Document(db, "a", {"n": 1})
    await doc.save()
    await doc.delete()
    faults.lose(path="*/_bulk_docs")
    (row,) = await far.bulk_docs([{"_id": "a", "n": 1}])
    assert row.get("rev", "").startswith("3-")
    await (await db["a"]).delete()
    faults.reset(path="*/_bulk_docs")
    (row,) = await far.bulk_docs([{"_id": "a", "n": 1}])
    assert row.get("error") == "unknown"


@pytest.mark.parametrize("kind", KINDS)
async def test_replicated_documents(faults: Faults, far: Database, db: Database, kind: str) -> None:
    docs = [{"_id": "a", "_rev": "1-abc", "n": 1}, {"_id": "b", "_rev": "2-abc", "n": 1}]
    break_once(faults, kind, path="*/_bulk_docs")
    assert await far.bulk_docs(docs, new_edits=False) == []
    assert (await db["b"]).rev == "2-abc"


async def is_there(db: Database, id: str) -> bool:
    try:
        await db[id]
    except NotFoundError:
        return False
    return True


@pytest.mark.parametrize("kind", KINDS)
async def test_purge_and_index(faults: Faults, far: Database, db: Database, kind: str) -> None:
    doc = Document(far, "a", {"n": 1})
    await doc.save()
    assert doc.rev is not None
    break_once(faults, kind, path="*/_purge")
    assert (await far.purge({"a": [doc.rev]}))["purged"] == {"a": [doc.rev]}
    async with asyncio.timeout(60):
        while await is_there(db, "a"):
            pass  # on a cluster the first node may have been asked that has not purged it yet
    break_once(faults, kind, path="*/_index")
    assert (await far.index({"fields": ["n"]}))["result"] in ("created", "exists")
    assert faults.broken.total() == 2


# -- reads ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
async def test_reads(faults: Faults, far: Database, db: Database, kind: str) -> None:
    async with db.create_docs(["a", "b"]):
        pass
    break_once(faults, kind)
    assert (await far["a"]).id == "a"
    break_once(faults, kind)
    assert (await far.info())["doc_count"] == 2
    break_once(faults, kind)
    assert len((await far.bulk_get(["a", "b"]))["results"]) == 2
    break_once(faults, kind)
    assert len((await far.all_docs.post(["a", "b"])).rows) == 2
    if kind != "cut":  # that is for the rows
        break_once(faults, kind)
        assert [doc.id async for doc in far.docs(["b", "a"])] == ["b", "a"]
        break_once(faults, kind)
        assert {doc.id async for doc in far.find({})} == {"a", "b"}
        break_once(faults, kind)
        assert {event.id async for event in far.changes()} == {"a", "b"}
    assert faults.broken.total() == (4 if kind == "cut" else 7)


async def test_a_write_waits_for_so_many_copies(
    faults: Faults, far: Database, db: Database
) -> None:
    doc = Document(far, "a", {"n": 1})
    faults.lose(method="PUT")
    await doc.save(w=1)
    await doc.fetch(r=1)
    doc["n"] = 2
    assert (await doc.save(w=1)) is not None
    await doc.delete(w=1)
    assert [(seen.method, "w=1" in seen.query) for seen in faults.requests] == [
        ("PUT", True),
        ("GET", False),
        ("GET", False),
        ("PUT", True),
        ("DELETE", True),
    ]
    with pytest.raises(InvalidInputError, match="w="):
        await (await db.security()).save(w=1)
