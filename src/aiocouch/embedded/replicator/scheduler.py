"""The replicator of a server: runs what `_replicate` and `_replicator` documents ask for."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from aiocouch._wire.ids import quote_document_id
from aiocouch.embedded.errors import CouchError, forbidden, internal, not_found
from aiocouch.embedded.replicator.jobs import FIRST_PAUSE, Job
from aiocouch.embedded.replicator.peer import Peer, ReplicationError
from aiocouch.embedded.replicator.specification import (
    job_id,
    read_specification,
    replication_id,
)
from aiocouch.embedded.replicator.worker import Replication
from aiocouch.exception import CouchDBError, NotFoundError, TransportError
from aiocouch.replication.together import ended

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from aiocouch.embedded.identity import User
    from aiocouch.embedded.replicator.specification import Endpoint, Specification
    from aiocouch.embedded.state import Server


class Replicator:
    """Jobs of one server. Nothing runs, and no connection is open, until there is a job.

    `first_pause` is how many seconds a job waits after its first crash.
    """

    def __init__(self, server: Server) -> None:
        self.first_pause = FIRST_PAUSE
        self._server = server
        self._jobs: dict[str, Job] = {}
        self._running: dict[str, asyncio.Task[None]] = {}
        self._answers: dict[str, asyncio.Task[dict[str, Any]]] = {}

    @property
    def jobs(self) -> list[Job]:
        """The jobs that are running or waiting."""
        return list(self._jobs.values())

    def job(self, name: str) -> Job:
        """Return a job by its id; raise 404."""
        if name not in self._jobs:
            raise not_found()
        return self._jobs[name]

    # _replicate

    async def replicate(self, body: Mapping[str, Any], user: User) -> tuple[int, dict[str, Any]]:
        """Do what a `POST /_replicate` asks; return status and answer. Raise CouchError."""
        named = body.get("replication_id", body.get("id", body.get("_local_id")))
        if named is not None and not isinstance(named, str):
            raise internal("function_clause")
        if body.get("cancel") is True and named is not None:
            return await self._cancel(named, user)
        spec = read_specification(body, self._server.address)
        base = await self.identify(spec, user)
        name = job_id(base, spec)
        if body.get("cancel") is True:
            return await self._cancel(name, user)
        if name not in self._jobs:
            self._jobs[name] = self._make_job(name, base, spec, user)
            if spec.continuous:
                self._start(self._jobs[name])
        if spec.continuous:
            return 202, {"ok": True, "_local_id": name}
        return 200, await self._answer(self._jobs[name])

    async def _answer(self, job: Job) -> dict[str, Any]:
        """Wait for a job that runs once; whoever asks for the same meanwhile waits with us."""
        if job.id not in self._answers:
            self._answers[job.id] = asyncio.create_task(self._run_once(job))
        try:
            return await asyncio.shield(self._answers[job.id])
        except asyncio.CancelledError:
            if job.id in self._jobs:
                raise
            raise internal("the replication was cancelled", "cancelled") from None

    async def _run_once(self, job: Job) -> dict[str, Any]:
        try:
            return await job.once(self._server.tasks)
        except ReplicationError as error:
            raise CouchError(error.status, error.error, error.reason) from error
        finally:
            self._drop(job)

    async def _cancel(self, name: str, user: User) -> tuple[int, dict[str, Any]]:
        job = self.job(name)
        if not user.is_server_admin and job.user != user.name:
            raise forbidden("You are not allowed to cancel this replication.")
        await self.end(name)
        return 200, {"ok": True, "_local_id": name}

    # jobs

    async def identify(self, spec: Specification, user: User) -> str:
        """Return the id of a replication; fetches the code of its filter. Raise CouchError."""
        code = None
        if spec.filter is not None and not spec.filter.startswith("_"):
            code = await self._filter_code(spec, self._peer(spec.source, user))
        return replication_id(spec, self._server.uuid, code)

    async def _filter_code(self, spec: Specification, source: Peer) -> str:
        design, _, name = (spec.filter or "").partition("/")
        try:
            return await source.filter_code(spec.filter or "")
        except TransportError as error:
            told = source.unreachable(error)
            raise CouchError(told.status, told.error, told.reason) from error
        except NotFoundError as error:
            if error.status is None:
                raise not_found(
                    f"Couldn't parse filter code from document {design} on `{source.name}`  "
                    f'Error: {{not_found,<<"missing json key: {name}">>}}'
                ) from error
            raise self._no_filter(design, source, error) from error
        except CouchDBError as error:
            raise self._no_filter(design, source, error) from error
        finally:
            await source.close()

    def _no_filter(self, design: str, source: Peer, error: CouchDBError) -> CouchError:
        return not_found(
            f"Couldn't open document `{quote_document_id(f'_design/{design}')}` from source database "
            f'`{source.name}`: {{error,<<"{error.error}">>}}'
        )

    def add_document(
        self,
        spec: Specification,
        base: str,
        user: User,
        document: tuple[str, str],
        done: Callable[[Job], Awaitable[None]],
    ) -> Job:
        """Start the job that a document asks for; `done` is called when it is complete."""
        name = job_id(base, spec)
        other = self._jobs.get(name)
        if other is not None:
            raise internal(_already_started(name, document[1], other), "duplicate_job")
        job = self._make_job(name, base, spec, user, document)
        self._jobs[name] = job
        self._start(job, done)
        return job

    def _make_job(
        self,
        name: str,
        base: str,
        spec: Specification,
        user: User,
        document: tuple[str, str] | None = None,
    ) -> Job:
        def make(told: Callable[[], None]) -> Replication:
            ends = self._peer(spec.source, user), self._peer(spec.target, user)
            return Replication(spec, base, *ends, told)

        return Job(
            name,
            spec,
            make,
            user=None if document else user.name,
            document=document,
            first_pause=self.first_pause,
        )

    def _start(self, job: Job, done: Callable[[Job], Awaitable[None]] | None = None) -> None:
        async def finish(job: Job) -> None:
            self._drop(job)
            if done is not None:
                await done(job)

        self._running[job.id] = asyncio.create_task(job.keep(self._server.tasks, finish))

    def _drop(self, job: Job) -> None:
        """Forget a job that has ended, unless another of this id has begun meanwhile."""
        if self._jobs.get(job.id) is job:
            for known in (self._jobs, self._running, self._answers):
                known.pop(job.id, None)

    async def end(self, name: str) -> None:
        """Stop a job and forget it."""
        self._jobs.pop(name, None)
        tasks = (self._running.pop(name, None), self._answers.pop(name, None))
        for task in filter(None, tasks):
            await ended(task)

    def _peer(self, end: Endpoint, user: User) -> Peer:
        return Peer(end, None if end.local is None else self._server.host_of(user))

    async def close(self) -> None:
        """Stop all jobs."""
        for name in [*self._running, *self._answers]:
            await self.end(name)


def _already_started(name: str, doc_id: str, other: Job) -> str:
    if other.document is None:
        by = f"transient replication started by {other.user}"
    else:
        by = f"document `{other.document[1]}` from db `{other.document[0]}`"
    return (
        f"Replication `{name}` specified by document `{doc_id}` already started, triggered by {by}"
    )
