"""What a server answers about replications that it carries out."""

from typing import Literal, NotRequired, TypeAlias, TypedDict

__all__ = [
    "ReplicationDoc",
    "ReplicationDocs",
    "ReplicationEvent",
    "ReplicationHistory",
    "ReplicationInfo",
    "ReplicationJob",
    "ReplicationJobs",
    "ReplicationRun",
    "ReplicationState",
]

ReplicationState: TypeAlias = Literal[
    "initializing", "pending", "running", "crashing", "error", "completed", "failed"
]
"""How it stands with the document of a replication."""


class ReplicationHistory(TypedDict):
    """What one session of a replication has done. A sequence is 0 at the beginning."""

    session_id: str
    start_time: str
    end_time: str
    start_last_seq: str | int
    end_last_seq: str | int
    recorded_seq: str | int
    missing_checked: int
    missing_found: int
    docs_read: int
    docs_written: int
    doc_write_failures: int
    bulk_get_docs: int
    bulk_get_attempts: int


class ReplicationRun(TypedDict):
    """`POST /_replicate`. One that goes on, or was cancelled, tells its `_local_id` alone.

    One of `doc_ids` tells what it has done beside its `history`, too; one without checkpoints has none.
    """

    ok: bool
    no_changes: NotRequired[bool]
    use_checkpoints: NotRequired[bool]
    session_id: NotRequired[str]
    source_last_seq: NotRequired[str | int]
    replication_id_version: NotRequired[int]
    history: NotRequired[list[ReplicationHistory]]
    start_time: NotRequired[str]
    end_time: NotRequired[str]
    docs_read: NotRequired[int]
    docs_written: NotRequired[int]
    doc_write_failures: NotRequired[int]
    _local_id: NotRequired[str]


class ReplicationInfo(TypedDict, total=False):
    """What a replication has done so far, or the `error` that it stopped with."""

    revisions_checked: int
    missing_revisions_found: int
    docs_read: int
    docs_written: int
    doc_write_failures: int
    bulk_get_docs: int
    bulk_get_attempts: int
    changes_pending: int | None
    source_seq: str | int
    through_seq: str | int
    checkpointed_source_seq: str | int
    error: str


class ReplicationEvent(TypedDict):
    """A line of the history of a job: "added", "started", "crashed", … and why it crashed."""

    timestamp: str
    type: str
    reason: NotRequired[str]


class ReplicationJob(TypedDict):
    """A job of `GET /_scheduler/jobs`. The newest event comes first; one that waits has no `pid`."""

    id: str
    node: str
    database: str | None
    doc_id: str | None
    user: str | None
    source: str
    target: str
    pid: str | None
    start_time: str
    info: ReplicationInfo | None
    history: list[ReplicationEvent]


class ReplicationJobs(TypedDict):
    """`GET /_scheduler/jobs`."""

    total_rows: int
    offset: int
    jobs: list[ReplicationJob]


class ReplicationDoc(TypedDict):
    """A document of `GET /_scheduler/docs`. What the server has not looked at yet has no `state`.

    `id` is that of its job. A document of which no job could be made has no `source` and `target`.
    """

    database: str
    doc_id: str
    id: str | None
    state: ReplicationState | None
    error_count: int
    info: ReplicationInfo | None
    start_time: str | None
    last_updated: str | None
    node: NotRequired[str]
    source: NotRequired[str]
    target: NotRequired[str]
    source_proxy: NotRequired[str | None]
    target_proxy: NotRequired[str | None]


class ReplicationDocs(TypedDict):
    """`GET /_scheduler/docs`."""

    total_rows: int
    offset: int
    docs: list[ReplicationDoc]
