"""One attempt of a job: the engine of `aiocouch.replication`, and its errors in CouchDB's words."""

from __future__ import annotations

from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Any

from aiocouch._wire.multipart import MultipartError
from aiocouch.embedded.replicator.peer import ReplicationError
from aiocouch.exception import ConflictError, CouchDBError, TransportError
from aiocouch.replication.options import Options
from aiocouch.replication.patience import Patience
from aiocouch.replication.session import CheckpointError, Session

if TYPE_CHECKING:
    from collections.abc import Callable

    from aiocouch.embedded.replicator.peer import Peer
    from aiocouch.embedded.replicator.specification import Specification
    from aiocouch.replication.progress import Progress

_PATIENCE = Patience(tries=4, first=0.5, longest=2.0)


class Replication:
    """Copies what `spec` names from source to target, and closes both at the end.

    `name` is the id of the checkpoints. `told` is called whenever `progress` has changed.
    """

    def __init__(
        self,
        spec: Specification,
        name: str,
        source: Peer,
        target: Peer,
        told: Callable[[], None] = lambda: None,
    ) -> None:
        self._ends = (source, target)
        self._session = Session(name, source, target, _options(spec), told)

    @property
    def progress(self) -> Progress:
        """How far it is."""
        return self._session.progress

    async def run(self) -> dict[str, Any]:
        """Replicate until the end of the changes (never, when continuous); give the answer.

        Raise ReplicationError.
        """
        async with AsyncExitStack() as closing:
            for end in self._ends:
                closing.push_async_callback(end.close)
            try:
                return await self._session.run()
            except (CouchDBError, MultipartError) as error:
                raise self._in_words(error) from error

    def _in_words(self, error: CouchDBError | MultipartError) -> ReplicationError:
        if isinstance(error, TransportError) and error.status is None:
            return self._end_of(error).unreachable(error)
        if isinstance(error, CheckpointError):
            return ReplicationError("checkpoint_commit_failure", str(error))
        if isinstance(error, MultipartError) or error.status is None:
            return ReplicationError("error", f"{type(error).__name__}: {error}")
        path = error.path or ""
        if path.endswith("/_changes"):
            reason = f"{{changes_req_failed,{error.status},{error.reason}}}"
            return ReplicationError("error", reason)
        if isinstance(error, ConflictError) and "/_local/" in path:
            return ReplicationError("checkpoint_commit_failure", error.reason or "conflict")
        return ReplicationError(error.error or "error", error.reason or "")

    def _end_of(self, error: TransportError) -> Peer:
        """Return the end that could not be reached: one that was not open yet, or that has the path."""
        source, target = self._ends
        if not source.is_open:
            return source
        is_source = target.is_open and source.has(error.path or "")
        return source if is_source else target


def _options(spec: Specification) -> Options:
    return Options(
        continuous=spec.continuous,
        create_target=spec.create_target,
        create_target_params=spec.create_target_params,
        doc_ids=spec.doc_ids,
        selector=spec.selector,
        filter=spec.filter,
        query_params=spec.query_params,
        since_seq=spec.since_seq,
        use_checkpoints=spec.use_checkpoints,
        use_bulk_get=spec.use_bulk_get,
        winning_revs_only=spec.winning_revs_only,
        batch_size=spec.batch,
        streams=4,
        checkpoint_interval=spec.checkpoint_interval,
        # CouchDB's counts tell how it has got the documents, and it does not get them in this way.
        include_docs=False,
        record_skipped=False,
        patience=_PATIENCE,
    )
