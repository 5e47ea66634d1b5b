"""One database of `_replicator` documents: each is a job; when it is complete it says so."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Any

import msgspec

from aiocouch._wire.revision import parse_revision
from aiocouch.embedded.codec import decode
from aiocouch.embedded.documents.edits import Edit
from aiocouch.embedded.errors import CouchError
from aiocouch.embedded.identity import SYSTEM
from aiocouch.embedded.node.tasks import NODE
from aiocouch.embedded.replicator.jobs import pause_after, timestamp
from aiocouch.embedded.replicator.specification import read_specification
from aiocouch.embedded.store.database import CHUNK
from aiocouch.replication.together import ended

if TYPE_CHECKING:
    from aiocouch.embedded.replicator.jobs import Job
    from aiocouch.embedded.replicator.scheduler import Replicator
    from aiocouch.embedded.replicator.specification import Specification
    from aiocouch.embedded.state import Server
    from aiocouch.embedded.store.database import Database
    from aiocouch.embedded.store.records import Entry
    from aiocouch.embedded.store.snapshots import Snapshot

_log = logging.getLogger("aiocouch.embedded.replicator")
_FINAL = frozenset({"completed", "failed"})
_NO_SPECIFICATION = ("_", "owner")
_ATTEMPTS = 5


class _Watched(msgspec.Struct):
    """A document that asks for a replication, and what became of that."""

    wish: dict[str, Any]
    started: str | None = msgspec.field(default_factory=timestamp)
    updated: str | None = msgspec.field(default_factory=timestamp)
    job: Job | None = None
    job_id: str | None = None
    task: asyncio.Task[None] | None = None
    errors: int = 0
    reason: str | None = None


class ReplicatorWatch:
    """Starts and ends the jobs of one database, and shows them.

    Watching costs nothing while the database does not change.
    """

    def __init__(self, server: Server, replicator: Replicator, name: str) -> None:
        self.name = name
        self._server = server
        self._replicator = replicator
        self._watched: dict[str, _Watched] = {}
        self._task: asyncio.Task[None] | None = None

    def wake(self) -> None:
        """Look at the documents, now and whenever they change."""
        if self._task is None or self._task.done():
            self._task = asyncio.get_running_loop().create_task(self._watch())

    async def close(self) -> None:
        """Watch no longer; the jobs end."""
        task, self._task = self._task, None
        if task is not None:
            await ended(task)

    async def _watch(self) -> None:
        database = self._server.databases.open(self.name)
        if database is None:
            return
        seq = 0
        try:
            while True:
                with database.snapshots.open() as snapshot:
                    await self._look_at_all(database, snapshot, seq)
                    # not that of the last row: the latest change may have been a purge
                    seq = snapshot.until
                if not await database.changed_since(seq):
                    return
        finally:
            for doc_id in list(self._watched):
                await self._forget(doc_id)

    async def _look_at_all(self, database: Database, snapshot: Snapshot, seq: int) -> None:
        while entries := snapshot.changes(seq, CHUNK):
            for entry in entries:
                await self._look(database, entry)
            seq = entries[-1].seq

    async def _look(self, database: Database, entry: Entry) -> None:
        if entry.id.startswith("_design/"):
            return
        body = {} if entry.deleted else decode(entry.body)
        if entry.deleted or body.get("_replication_state") in _FINAL:
            await self._forget(entry.id)
            return
        wish = _wish(body)
        watched = self._watched.get(entry.id)
        if watched is not None and watched.wish == wish:
            return
        await self._forget(entry.id)
        watched = _Watched(wish)
        self._watched[entry.id] = watched
        watched.task = asyncio.create_task(self._launch(database, entry.id, watched))

    async def _forget(self, doc_id: str) -> None:
        watched = self._watched.pop(doc_id, None)
        if watched is None:
            return
        if watched.task is not None and watched.task is not asyncio.current_task():
            await ended(watched.task)
        if watched.job is not None:
            await self._replicator.end(watched.job.id)

    async def _launch(self, database: Database, doc_id: str, watched: _Watched) -> None:
        """Make a job of a document; what may mend itself is tried again."""
        try:
            spec = read_specification(watched.wish, self._server.address, local=False)
        except CouchError as error:
            await self._fail(database, doc_id, error)
            return
        base = await self._identify(spec, watched)

        async def done(job: Job) -> None:
            await self._complete(database, doc_id, job)

        try:
            watched.job = self._replicator.add_document(
                spec, base, SYSTEM, (self.name, doc_id), done
            )
            watched.job_id = watched.job.id
            watched.errors = 0
        except CouchError as error:
            await self._fail(database, doc_id, error)

    async def _identify(self, spec: Specification, watched: _Watched) -> str:
        while True:
            try:
                return await self._replicator.identify(spec, SYSTEM)
            except CouchError as error:
                watched.errors += 1
                watched.reason = error.reason
                watched.updated = timestamp()
            await asyncio.sleep(pause_after(watched.errors, self._replicator.first_pause))

    # what becomes of a document

    async def _complete(self, database: Database, doc_id: str, job: Job) -> None:
        stats = {**(job.info or {}), "start_time": job.started}
        watched = self._watched.get(doc_id)
        if watched is not None:
            watched.job = None
        await self._note(
            database, doc_id, {"_replication_state": "completed", "_replication_stats": stats}
        )

    async def _fail(self, database: Database, doc_id: str, error: CouchError) -> None:
        await self._note(
            database,
            doc_id,
            {"_replication_state": "failed", "_replication_state_reason": error.reason},
        )

    async def _note(self, database: Database, doc_id: str, members: dict[str, Any]) -> None:
        """Write the state of a replication into its document."""
        for _ in range(_ATTEMPTS):
            entry = database.get(doc_id)
            if entry is None or entry.deleted or database.closed:
                return
            body = {
                **decode(entry.body),
                **members,
                "_replication_state_time": timestamp(),
            }
            edit = Edit(doc_id, body, revs=(parse_revision(entry.rev),))
            try:
                await self._server.update(database, SYSTEM).write(edit)
            except CouchError as error:
                _log.info("the state of the replication %r was not written: %s", doc_id, error)
                continue
            return

    # how it is shown

    def shown(self) -> list[dict[str, Any]]:
        """Return all documents as `_scheduler/docs` lists them, by id."""
        database = self._server.databases.open(self.name)
        if database is None:
            return []
        with database.snapshots.open() as snapshot:
            entries = snapshot.changes(0, snapshot.documents)
        return [
            self._shown(entry)
            for entry in sorted(entries, key=lambda entry: entry.id)
            if not entry.deleted and not entry.id.startswith("_design/")
        ]

    def shown_one(self, doc_id: str) -> dict[str, Any] | None:
        """Return one document as `_scheduler/docs/{database}/id` shows it, or None."""
        database = self._server.databases.open(self.name)
        entry = None if database is None else database.get(doc_id)
        return None if entry is None or entry.deleted else self._shown(entry)

    def _shown(self, entry: Entry) -> dict[str, Any]:
        body = decode(entry.body)
        if body.get("_replication_state") in _FINAL:
            return self._finished(entry, body)
        watched = self._watched.get(entry.id)
        if watched is not None and watched.job is not None:
            return watched.job.as_document()
        return {"database": self.name, "doc_id": entry.id, "node": NODE, **_waiting(watched)}

    def _finished(self, entry: Entry, body: dict[str, Any]) -> dict[str, Any]:
        state = body["_replication_state"]
        stats = dict(body.get("_replication_stats") or {})
        started = stats.pop("start_time", body.get("_replication_state_time"))
        failed = {"error": body.get("_replication_state_reason")}
        return {
            "database": self.name,
            "doc_id": entry.id,
            "id": None,
            **self._ends(body),
            "state": state,
            "error_count": int(state == "failed"),
            "info": failed if state == "failed" else stats,
            "start_time": started,
            "last_updated": body.get("_replication_state_time"),
        }

    def _ends(self, body: dict[str, Any]) -> dict[str, str]:
        try:
            spec = read_specification(_wish(body), self._server.address)
        except CouchError:
            return {}
        return {"source": spec.source.url, "target": spec.target.url}


def _waiting(watched: _Watched | None) -> dict[str, Any]:
    """Tell of a document that has no job: not yet, or no longer, and the document says not so yet."""
    if watched is None:
        watched = _Watched({}, None, None)
    state = "initializing" if watched.job_id is None else "pending"
    return {
        "id": watched.job_id,
        "state": "error" if watched.errors else state,
        "info": {"error": watched.reason} if watched.errors else None,
        "error_count": watched.errors,
        "last_updated": watched.updated,
        "start_time": watched.started,
    }


def _wish(body: dict[str, Any]) -> dict[str, Any]:
    """Return those members of a document that say what to replicate."""
    return {name: value for name, value in body.items() if not name.startswith(_NO_SPECIFICATION)}
