"""What servers answer is of the types that the client declares, with no member that these do not know.

The types are for type checkers and change nothing that is answered: they are no more than a belief, unless
they are held against each server.
"""

from __future__ import annotations

import asyncio
import contextlib
import uuid
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest

from aiocouch import (
    BadRequestError,
    CouchDB,
    Database,
    Document,
    NotFoundError,
    PreconditionFailedError,
)
from aiocouch.answers import DatabaseInfo, IndexCreated, ServerInfo
from aiocouch.server import Cluster, Node, Replications, Reshard, Session
from aiocouch.topics import DesignFunctions, Indexes, Maintenance, Partition, Revisions
from tests.support.shapes import answers_with_types, misfits, returned

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Callable

    from aiocouch.testing import CouchDBServer

    Call = Callable[["Site"], AsyncGenerator[Any, None]]

PATIENCE = 60
CALLS: dict[Callable[..., object], Call] = {}


@dataclass
class Site:
    """A server, and a database there that is the test's own."""

    server: CouchDBServer
    couchdb: CouchDB
    db: Database
    has_shards: bool = True

    def place(self, name: str) -> dict[str, Any]:
        """Return a database as a replicator reaches it."""
        who = {"username": self.server.user, "password": self.server.password}
        return {"url": f"{self.server.url}/{name}", "auth": {"basic": who}}


@pytest.fixture
def site(couchdb_server: CouchDBServer, couchdb: CouchDB, db: Database) -> Site:
    return Site(couchdb_server, couchdb, db)


def answers_of(method: Callable[..., object]) -> Callable[[Call], Call]:
    """Note what yields the answers of a method, in all the forms that they have."""

    def note(call: Call) -> Call:
        CALLS[method] = call
        return call

    return note


async def until(call: Callable[[], Any], is_it: Callable[[Any], bool]) -> AsyncGenerator[Any, None]:
    """Yield answers up to the first that is the one; of a document that is not known yet, none."""
    async with asyncio.timeout(PATIENCE):
        while True:
            with contextlib.suppress(NotFoundError):
                answer = await call()
                yield answer
                if is_it(answer):
                    return
            await asyncio.sleep(0.05)


# -- the server


@answers_of(CouchDB.up)
async def _up(site: Site) -> AsyncGenerator[Any, None]:
    yield await site.couchdb.up()


@answers_of(CouchDB.dbs_info)
async def _dbs_info(site: Site) -> AsyncGenerator[Any, None]:
    await site.db.bulk_docs([{"_id": "a"}])
    yield await site.couchdb.dbs_info([site.db.id, f"{site.db.id}-none"])
    yield await site.couchdb.dbs_info(startkey=f'"{site.db.id}"', limit=1)


@answers_of(CouchDB.db_updates)
async def _db_updates(site: Site) -> AsyncGenerator[Any, None]:
    with contextlib.suppress(PreconditionFailedError):
        await site.couchdb.create("_global_changes")

    async def rows() -> list[Any]:
        return [row async for row in site.couchdb.db_updates()]

    async for found in until(rows, bool):
        for row in found:
            yield row


@answers_of(Cluster.membership)
async def _membership(site: Site) -> AsyncGenerator[Any, None]:
    yield await site.couchdb.cluster.membership()


@answers_of(Session.info)
async def _session(site: Site) -> AsyncGenerator[Any, None]:
    yield await site.couchdb.session.info()
    async with CouchDB(site.server.url) as nobody:
        yield await nobody.session.info()


@answers_of(Node.system)
async def _system(site: Site) -> AsyncGenerator[Any, None]:
    await site.db.bulk_docs([{"_id": "a"}])  # whose file then has a queue
    yield await site.couchdb.node().system()


@answers_of(Node.smoosh)
async def _smoosh(site: Site) -> AsyncGenerator[Any, None]:
    yield await site.couchdb.node().smoosh()


@answers_of(Node.versions)
async def _versions(site: Site) -> AsyncGenerator[Any, None]:
    yield await site.couchdb.node().versions()


# -- what runs


@asynccontextmanager
async def _running(site: Site) -> AsyncIterator[str]:
    """Replicate for as long as the block lasts, and return the URL of the source."""
    run = site.couchdb.replications.run
    async with _places(site) as (source, target):
        await run(source, target, continuous=True)
        try:
            yield f"{source['url']}/"
        finally:
            await run(source, target, continuous=True, cancel=True)


@asynccontextmanager
async def _places(site: Site) -> AsyncIterator[tuple[dict[str, Any], dict[str, Any]]]:
    """Have a document in the database, and another database to replicate it to."""
    await site.db.bulk_docs([{"_id": "a"}])
    copy = await site.couchdb.create(f"{site.db.id}-copy")
    try:
        yield site.place(site.db.id), site.place(copy.id)
    finally:
        await copy.delete()


@answers_of(CouchDB.active_tasks)
async def _tasks(site: Site) -> AsyncGenerator[Any, None]:
    async with _running(site) as source:
        ours = until(
            site.couchdb.active_tasks,
            lambda tasks: any(task.get("source") == source for task in tasks),
        )
        async for tasks in ours:
            yield tasks
    async for tasks in _tasks_of_views(site):
        yield tasks


async def _tasks_of_views(site: Site) -> AsyncGenerator[Any, None]:
    """Yield tasks until an index was among them."""
    await site.db.bulk_docs([{"_id": f"{number}"} for number in range(2000)])
    for name in range(50):
        views = {"v": {"map": f"function (doc) {{ emit(doc._id, {name}); }}"}}
        await Document(site.db, f"_design/{name}", {"views": views}).save()
        rows = asyncio.ensure_future(site.db.view(f"{name}", "v").get(limit=1))
        types = set()
        while not rows.done():
            tasks = await site.couchdb.active_tasks()
            types |= {task["type"] for task in tasks}
            yield tasks
        await rows
        if "indexer" in types:
            return
    raise AssertionError("the server does not tell of its indexers")


@answers_of(Replications.run)
async def _run(site: Site) -> AsyncGenerator[Any, None]:
    run = site.couchdb.replications.run
    async with _places(site) as places:
        yield await run(*places)
        yield await run(*places)  # has no changes
        await site.db.bulk_docs([{"_id": "b"}])
        yield await run(*places)
        yield await run(*places, doc_ids=["a", "none"])
        await site.db.bulk_docs([{"_id": "c"}])
        yield await run(*places, use_checkpoints=False)
        yield await run(*places, continuous=True)
        yield await run(*places, continuous=True, cancel=True)


@answers_of(Replications.jobs)
async def _jobs(site: Site) -> AsyncGenerator[Any, None]:
    jobs = site.couchdb.replications.jobs
    async with _running(site) as source:
        async for found in until(jobs, lambda found: _job_of(source, found) is not None):
            yield found


@answers_of(Replications.job)
async def _job(site: Site) -> AsyncGenerator[Any, None]:
    replications = site.couchdb.replications
    async with _running(site) as source:
        async for found in until(replications.jobs, lambda it: _job_of(source, it) is not None):
            if job := _job_of(source, found):
                yield await replications.job(job["id"])


def _job_of(source: str, found: Any) -> Any:
    """Return the job that replicates from there, once it has something to tell."""
    return next((job for job in found["jobs"] if job["source"] == source and job["info"]), None)


@answers_of(Replications.wait)
async def _wait(site: Site) -> AsyncGenerator[Any, None]:
    seen: list[Any] = []
    async with _document(site, "wait", site.db.id) as id:
        yield await site.couchdb.replications.wait(id, progress=seen.append, every=0.05)
    for each in seen:
        yield each


@answers_of(Replications.doc)
async def _doc(site: Site) -> AsyncGenerator[Any, None]:
    doc = site.couchdb.replications.doc
    none = f"{site.db.id}-none"
    for kind, target, options, state in (
        ("goes-on", site.db.id, {"continuous": True}, "running"),
        ("crashes", none, {}, "crashing"),
        ("errs", site.db.id, {"filter": "none/none"}, "error"),
    ):
        async with _document(site, kind, target, **options) as id:
            async for found in until(partial(doc, id), partial(_is, state)):
                yield found


def _is(state: str, found: Any) -> bool:
    return found["state"] == state and found["info"] is not None


@answers_of(Replications.docs)
async def _docs(site: Site) -> AsyncGenerator[Any, None]:
    async with _document(site, "docs", site.db.id) as id:

        def is_done(found: Any) -> bool:
            states = {each["doc_id"]: each["state"] for each in found["docs"]}
            return states.get(id) == "completed"

        async for found in until(site.couchdb.replications.docs, is_done):
            yield found


@asynccontextmanager
async def _document(site: Site, kind: str, target: str, **options: Any) -> AsyncIterator[str]:
    """Let the server replicate from the database of the test by a document, while the block lasts."""
    await site.db.bulk_docs([{"_id": "a"}])
    id = f"{kind}-{uuid.uuid4().hex}"
    document = await site.couchdb.replications.create(
        id, site.place(site.db.id), site.place(target), **options
    )
    try:
        yield id
    finally:
        await document.fetch(discard_changes=True)
        await document.delete()


# -- shards


@answers_of(Reshard.summary)
async def _summary(site: Site) -> AsyncGenerator[Any, None]:
    async with _split(site):
        yield await site.couchdb.reshard.summary()


@answers_of(Reshard.state)
async def _state(site: Site) -> AsyncGenerator[Any, None]:
    yield await site.couchdb.reshard.state()


@answers_of(Reshard.split)
async def _splits(site: Site) -> AsyncGenerator[Any, None]:
    async with _split(site) as rows:
        if site.has_shards:
            yield rows
            await site.couchdb.reshard.remove(rows.pop()["id"])
            again = await site.couchdb.reshard.split(site.db.id)
            yield again
            assert {row["error"] for row in again if "error" in row} == {"job_already_exists"}
            rows.extend(row for row in again if "ok" in row)


@answers_of(Reshard.jobs)
async def _reshard_jobs(site: Site) -> AsyncGenerator[Any, None]:
    async with _split(site):
        yield await site.couchdb.reshard.jobs()


@answers_of(Reshard.job)
async def _reshard_job(site: Site) -> AsyncGenerator[Any, None]:
    async with _split(site) as rows:
        for row in rows:
            yield await site.couchdb.reshard.job(row["id"])
            await site.couchdb.reshard.stop_job(row["id"], "why")
            yield await site.couchdb.reshard.job(row["id"])


@answers_of(Reshard.job_state)
async def _reshard_job_state(site: Site) -> AsyncGenerator[Any, None]:
    async with _split(site) as rows:
        for row in rows:
            yield await site.couchdb.reshard.job_state(row["id"])
            await site.couchdb.reshard.stop_job(row["id"], "why")
            yield await site.couchdb.reshard.job_state(row["id"])


@asynccontextmanager
async def _split(site: Site) -> AsyncIterator[list[Any]]:
    """Split the shards of the database while the block lasts, if the server has any."""
    reshard = site.couchdb.reshard
    try:
        rows: list[Any] = [*await reshard.split(site.db.id)]
    except BadRequestError as error:
        if error.reason != "This server has no shards to split":
            raise
        site.has_shards, rows = False, []
    try:
        yield rows
    finally:
        for row in rows:
            await reshard.remove(row["id"])


# -- a database


@answers_of(Database.bulk_docs)
async def _bulk_docs(site: Site) -> AsyncGenerator[Any, None]:
    refusing = "function (doc) { if (doc.bad) throw({forbidden: 'it is bad'}); }"
    await Document(site.db, "_design/refuse", {"validate_doc_update": refusing}).save()
    bulk_docs = site.db.bulk_docs
    yield await bulk_docs([{"_id": "a"}, {"n": 1}, {"_id": "_local/a"}, {"_id": "c", "bad": True}])
    yield await bulk_docs([{"_id": "a"}, {"_id": "_design/b", "views": 5}])  # conflict, invalid
    yield await bulk_docs([{"_id": "d"}], w=9)
    yield await bulk_docs([{"_id": "c", "_rev": "1-a", "bad": True}], new_edits=False)


@answers_of(Database.bulk_get)
async def _bulk_get(site: Site) -> AsyncGenerator[Any, None]:
    yield await site.db.bulk_get(await _wanted(site))
    yield await site.db.bulk_get(["a"], revs=True)


@answers_of(Database.bulk_get_rows)
async def _bulk_get_rows(site: Site) -> AsyncGenerator[Any, None]:
    async for row in site.db.bulk_get_rows(await _wanted(site)):
        yield row


async def _wanted(site: Site) -> list[Any]:
    await site.db.bulk_docs([{"_id": "a"}])
    no_revisions = [{"id": "a", "rev": "1-b"}, {"id": "a", "rev": "none"}]
    return ["a", "none", *no_revisions, {"rev": "1-a"}]


@answers_of(Database.purge)
async def _purge(site: Site) -> AsyncGenerator[Any, None]:
    docs = await site.db.bulk_docs([{"_id": "a"}, {"_id": "b"}])
    one, other = ({row["id"]: [row["rev"]]} for row in docs if "rev" in row)
    yield await site.db.purge({})
    yield await site.db.purge({**one, "none": ["1-a"]})
    yield await site.db.purge(other, w=9)


@answers_of(Revisions.purged)
async def _purged(site: Site) -> AsyncGenerator[Any, None]:
    async for _ in _purge(site):
        yield await site.db.revisions.purged()


@answers_of(DesignFunctions.info)
async def _design_info(site: Site) -> AsyncGenerator[Any, None]:
    views = {"v": {"map": "function (doc) { emit(doc._id); }"}}
    await Document(site.db, "_design/a", {"views": views}).save()
    yield await site.db.functions("a").info()
    await site.db.bulk_docs([{"_id": "a"}])
    await site.db.view("a", "v").get()
    yield await site.db.functions("a").info()


@answers_of(Indexes.list)
async def _indexes(site: Site) -> AsyncGenerator[Any, None]:
    yield await site.db.indexes.list()
    await site.db.index({"fields": ["a", {"b": "asc"}]})
    await site.db.index({"fields": [{"c": "desc"}]}, partial_filter_selector={"a": {"$gt": 1}})
    yield await site.db.indexes.list()


@answers_of(Indexes.create)
async def _create_index(site: Site) -> AsyncGenerator[Any, None]:
    yield await site.db.indexes.create(["a"])
    yield await site.db.indexes.create(["a"])


@answers_of(Indexes.delete_many)
async def _delete_indexes(site: Site) -> AsyncGenerator[Any, None]:
    await site.db.index({"fields": ["a"]}, ddoc="a")
    yield await site.db.indexes.delete_many(["a", "none"])


@answers_of(Maintenance.shard_of)
async def _shard_of(site: Site) -> AsyncGenerator[Any, None]:
    yield await site.db.maintenance.shard_of("a")


@answers_of(Partition.info)
async def _partition(site: Site) -> AsyncGenerator[Any, None]:
    async with _partitioned(site) as db:
        await db.bulk_docs([{"_id": "p:a"}])
        yield await db.partition("p").info()


@asynccontextmanager
async def _partitioned(site: Site) -> AsyncIterator[Database]:
    db = await site.couchdb.create(f"{site.db.id}-partitioned", partitioned=True)
    try:
        yield db
    finally:
        await db.delete()


# -- all of them


@pytest.mark.parametrize("method", CALLS, ids=lambda method: method.__qualname__)
async def test_answers_are_of_their_types(site: Site, method: Callable[..., object]) -> None:
    hint, count = returned(method), 0
    async with aclosing(CALLS[method](site)) as answers:
        async for answer in answers:
            assert list(misfits(answer, hint)) == []
            count += 1
    assert count or not site.has_shards


def test_all_typed_answers_are_held() -> None:
    assert {method.__qualname__ for method in CALLS} == set(answers_with_types())


async def test_what_the_older_names_answer(site: Site) -> None:
    # aiocouch 4 declared a plain dict of these, which stays
    assert list(misfits(await site.couchdb.info(), ServerInfo)) == []
    assert list(misfits(await site.db.info(), DatabaseInfo)) == []
    async with _partitioned(site) as partitioned:
        assert list(misfits(await partitioned.info(), DatabaseInfo)) == []
    assert list(misfits(await site.db.index({"fields": ["a"]}), IndexCreated)) == []
