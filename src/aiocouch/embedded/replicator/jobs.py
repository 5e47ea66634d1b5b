"""Jobs: a replication with its history, which runs, crashes and is started again."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from typing import TYPE_CHECKING, Any

from aiocouch.embedded.node.tasks import NODE
from aiocouch.embedded.replicator.peer import ReplicationError
from aiocouch.replication.progress import Counts, Progress

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from aiocouch.embedded.identity import UserName
    from aiocouch.embedded.node.tasks import ActiveTasks
    from aiocouch.embedded.replicator.specification import Specification
    from aiocouch.embedded.replicator.worker import Replication

_EVENTS = 20
FIRST_PAUSE = 2.0
"""Seconds after the first crash until a job is started again; the pauses double."""

LONGEST_PAUSE = 600.0
"""Seconds that no pause exceeds."""


def pause_after(errors: int, first: float = FIRST_PAUSE) -> float:
    """Return the seconds to wait after so many errors in a row."""
    return float(min(first * 2 ** min(errors - 1, 16), LONGEST_PAUSE))


def timestamp() -> str:
    """Return the time now as the scheduler writes it: `2026-11-24T08:25:44Z`."""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())


class Job:
    """One replication job.

    `document` is (database, document id) of the document that asks for it, None for one asked for
    by `_replicate`. `make` gives a fresh replication for each attempt.
    """

    def __init__(
        self,
        name: str,
        spec: Specification,
        make: Callable[[Callable[[], None]], Replication],
        *,
        user: UserName = None,
        document: tuple[str, str] | None = None,
        first_pause: float = FIRST_PAUSE,
    ) -> None:
        self.id = name
        self.spec = spec
        self.user = user
        self.document = document
        self.state = "pending"
        self.errors = 0
        self.reason: str | None = None
        self.started = timestamp()
        self.updated = self.started
        self._make = make
        self._first_pause = first_pause
        self._replication: Replication | None = None
        self._events: deque[dict[str, str]] = deque(maxlen=_EVENTS)
        self._record("added")

    def __repr__(self) -> str:
        return f"<Job {self.id} {self.state}>"

    @property
    def info(self) -> dict[str, Any] | None:
        """The numbers of the latest attempt, None before it has got anywhere."""
        if self._replication is None:
            return None
        progress = self._replication.progress
        if self.state != "completed" and not progress.through_seq:
            return None
        return progress.info()

    async def once(self, tasks: ActiveTasks) -> dict[str, Any]:
        """Run one attempt and return its answer. Raise ReplicationError."""
        task = tasks.add("replication", **self._task_fields())

        def told() -> None:
            task.update(**self._task_fields())

        self._record("started")
        self._enter("running")
        self._replication = self._make(told)
        try:
            with task:
                answer = await self._replication.run()
        except ReplicationError as error:
            self._crashed(str(error))
            raise
        except (OSError, RuntimeError, ValueError, LookupError) as error:
            self._crashed(f"{type(error).__name__}: {error}")
            raise ReplicationError("error", self.reason or "") from error
        self.errors = 0
        self.reason = None
        self._enter("completed")
        return answer

    async def keep(
        self, tasks: ActiveTasks, done: Callable[[Job], Awaitable[None]] | None = None
    ) -> None:
        """Run until the replication is complete.

        What a document asks for runs again after each crash, with growing pauses; what a request
        has asked for ends with the first, as in CouchDB.
        """
        while True:
            try:
                await self.once(tasks)
            except ReplicationError:
                if self.document is None:
                    # nobody is there who could mend it
                    break
                await asyncio.sleep(pause_after(self.errors, self._first_pause))
                continue
            break
        if done is not None:
            await done(self)

    def _crashed(self, reason: str) -> None:
        self.errors += 1
        self.reason = reason
        self._record("crashed", reason)
        self._enter("crashing")

    def _enter(self, state: str) -> None:
        self.state = state
        self.updated = timestamp()

    def _record(self, kind: str, reason: str | None = None) -> None:
        event = {"timestamp": timestamp(), "type": kind}
        self._events.appendleft(event if reason is None else {**event, "reason": reason})

    # how it is shown

    @property
    def _document(self) -> tuple[str | None, str | None]:
        return (None, None) if self.document is None else self.document

    @property
    def _shown_info(self) -> dict[str, Any] | None:
        info = self.info
        if info is None or self._replication is None:
            return info
        return {**info, **self._replication.progress.places()}

    def as_job(self) -> dict[str, Any]:
        """Return the entry of `_scheduler/jobs`."""
        database, doc_id = self._document
        return {
            "database": database,
            "id": self.id,
            "pid": f"<0.{id(self) % 100_000}.0>" if self.state == "running" else None,
            "source": self.spec.source.url,
            "target": self.spec.target.url,
            "user": self.user,
            "doc_id": doc_id,
            "info": self._shown_info,
            "history": list(self._events),
            "node": NODE,
            "start_time": self.started,
        }

    def as_document(self) -> dict[str, Any]:
        """Return the entry of `_scheduler/docs`."""
        database, doc_id = self._document
        return {
            "database": database,
            "doc_id": doc_id,
            "id": self.id,
            "node": NODE,
            "source": self.spec.source.url,
            "target": self.spec.target.url,
            "state": self.state,
            "info": {"error": self.reason} if self.state == "crashing" else self._shown_info,
            "error_count": self.errors,
            "last_updated": self.updated,
            "start_time": self.started,
            "source_proxy": None,
            "target_proxy": None,
        }

    def _task_fields(self) -> dict[str, Any]:
        database, doc_id = self._document
        progress = self._replication.progress if self._replication else Progress(Counts())
        return {
            "replication_id": self.id,
            "database": database,
            "doc_id": doc_id,
            "continuous": self.spec.continuous,
            "source": self.spec.source.url,
            "target": self.spec.target.url,
            "user": self.user,
            "checkpoint_interval": int(self.spec.checkpoint_interval * 1000),
            **progress.info(),
            **progress.places(),
        }
