"""Replications that the server itself carries out."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TypedDict, cast

from aiocouch._wire.codec import encode, strings
from aiocouch._wire.ids import quote_name
from aiocouch._wire.options import checked, with_query
from aiocouch.database import Database
from aiocouch.document import Document
from aiocouch.exception import CouchDBError, Facts, InvalidTypeError, NotFoundError
from aiocouch.typing import JsonDict

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from typing import Unpack

    from aiocouch.answers import (
        ReplicationDoc,
        ReplicationDocs,
        ReplicationJob,
        ReplicationJobs,
        ReplicationRun,
    )
    from aiocouch.couchdb import CouchDB

__all__ = ["ReplicationOptions", "Replications"]


class ReplicationOptions(TypedDict, total=False):
    """Members of the body of `POST /_replicate`, and of a document in `_replicator`."""

    cancel: bool | None
    checkpoint_interval: int | None
    connection_timeout: int | None
    continuous: bool | None
    create_target: bool | None
    create_target_params: Mapping[str, Any] | None
    doc_ids: Iterable[str] | None
    filter: str | None
    http_connections: int | None
    query_params: Mapping[str, Any] | None
    retries_per_request: int | None
    selector: Mapping[str, Any] | None
    since_seq: str | None
    socket_options: str | None
    source_proxy: str | None
    target_proxy: str | None
    use_bulk_get: bool | None
    use_checkpoints: bool | None
    user_ctx: Mapping[str, Any] | None
    winning_revs_only: bool | None
    worker_batch_size: int | None
    worker_processes: int | None
    extra: Mapping[str, Any] | None


_OPTIONS = frozenset(ReplicationOptions.__annotations__)
_ENDED = frozenset({"completed", "failed"})


class Replications:
    """What the server replicates: once, or by documents of `_replicator`, and how it goes.

    `source` and `target` are names of databases of the server, URLs, or such objects as
    `{"url": …, "auth": {"basic": {…}}, "headers": {…}}`.
    """

    def __init__(self, couchdb: CouchDB) -> None:
        self._couchdb = couchdb
        self._remote = couchdb.remote

    async def run(
        self,
        source: str | Mapping[str, Any],
        target: str | Mapping[str, Any],
        **options: Unpack[ReplicationOptions],
    ) -> ReplicationRun:
        """Replicate, and return the `history` of it (`POST /_replicate`).

        It is over when this returns, unless `continuous`: then it goes on until the server is
        restarted, and the same call with `cancel=True` ends it. A long one outlasts the time limit
        of a request, which does not end it: `create` and `wait` are for these.
        """
        body = encode(_specification(source, target, options))
        found = await self._remote.json("POST", "/_replicate", into=JsonDict, body=body)
        return cast("ReplicationRun", found)

    async def create(
        self,
        id: str,
        source: str | Mapping[str, Any],
        target: str | Mapping[str, Any],
        *,
        database: str = "_replicator",
        **options: Unpack[ReplicationOptions],
    ) -> Document:
        """Let the server replicate, and go on after a restart (`PUT /_replicator/{id}`).

        Deleting the document that is returned ends it. Raise `ConflictError` when there is one.
        """
        document = Document(
            Database(self._couchdb, database), id, _specification(source, target, options)
        )
        await document.save()
        return document

    async def jobs(self, *, limit: int | None = None, skip: int | None = None) -> ReplicationJobs:
        """Return `total_rows` and `jobs`, those that run or wait (`GET /_scheduler/jobs`)."""
        path = with_query("/_scheduler/jobs", {"limit": limit, "skip": skip})
        return cast("ReplicationJobs", await self._remote.json("GET", path, into=JsonDict))

    async def job(self, id: str) -> ReplicationJob:
        """Return one job (`GET /_scheduler/jobs/{id}`). Raise `NotFoundError`."""
        path = f"/_scheduler/jobs/{quote_name(id, 'id of the job')}"
        return cast("ReplicationJob", await self._remote.json("GET", path, into=JsonDict))

    async def docs(
        self,
        database: str | None = None,
        *,
        limit: int | None = None,
        skip: int | None = None,
        states: Iterable[str] | None = None,
    ) -> ReplicationDocs:
        """Return `total_rows` and `docs`, the states of all documents (`GET /_scheduler/docs`).

        Of one `database` only where it is named (`GET /_scheduler/docs/{replicator_db}`).
        """
        path = "/_scheduler/docs" if database is None else _docs(database)
        joined = None if states is None else ",".join(strings(states, "the states"))
        query = {"limit": limit, "skip": skip, "states": joined}
        found = await self._remote.json("GET", with_query(path, query), into=JsonDict)
        return cast("ReplicationDocs", found)

    async def doc(self, id: str, database: str = "_replicator") -> ReplicationDoc:
        """Return `state` and `info` of one document (`GET /_scheduler/docs/{replicator_db}/{docid}`).

        Raise `NotFoundError`, for a moment also after `create`: the server looks at it a little later.
        """
        path = f"{_docs(database)}/{quote_name(id, 'document id')}"
        return cast("ReplicationDoc", await self._remote.json("GET", path, into=JsonDict))

    async def wait(
        self,
        id: str,
        database: str = "_replicator",
        *,
        progress: Callable[[ReplicationDoc], None] | None = None,
        every: float = 1.0,
        patience: float = 30.0,
    ) -> ReplicationDoc:
        """Wait until a replication is over, and return its state (as `doc`).

        The server is asked at intervals of `every` seconds; each answer goes to `progress`. Raise
        `CouchDBError` with the server's words when it has failed; `NotFoundError` when the server does
        not know it for `patience` seconds. A crash is not the end: the server tries again.
        """
        loop = asyncio.get_running_loop()
        give_up = loop.time() + patience
        while True:
            try:
                state = await self.doc(id, database)
            except NotFoundError:
                if loop.time() > give_up:
                    raise
            else:
                give_up = loop.time() + patience
                if progress is not None:
                    progress(state)
                if state["state"] in _ENDED:
                    return _succeeded(state, f"{_docs(database)}/{id}")
            await asyncio.sleep(every)


def _succeeded(state: ReplicationDoc, path: str) -> ReplicationDoc:
    if state["state"] == "failed":
        info = state.get("info") or {}
        reason = str(info.get("error") if isinstance(info, dict) else info)
        facts = Facts("GET", path, 200, "failed", reason)
        raise CouchDBError(f"the replication {state.get('doc_id')!r} has failed: {reason}", facts)
    return state


def _specification(
    source: str | Mapping[str, Any], target: str | Mapping[str, Any], options: ReplicationOptions
) -> JsonDict:
    given = checked(options, _OPTIONS)
    ids = given.get("doc_ids")
    if ids is not None:
        given["doc_ids"] = strings(ids, "doc_ids")
    return {"source": _place(source, "source"), "target": _place(target, "target"), **given}


def _place(place: str | Mapping[str, Any], what: str) -> str | JsonDict:
    if isinstance(place, str):
        return place
    if not isinstance(place, Mapping):
        raise InvalidTypeError(
            f"the {what} must be a name or a URL that the server knows, or a dict with it: {place!r}"
        )
    return dict(place)


def _docs(database: str) -> str:
    return f"/_scheduler/docs/{quote_name(database, 'database name')}"
