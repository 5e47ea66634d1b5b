"""What a server answers about itself, its nodes and its users."""

from typing import Any, Literal, NotRequired, TypedDict

from aiocouch.answers.database import DatabaseInfo

__all__ = [
    "ActiveTask",
    "Authentication",
    "CollationDriver",
    "DatabaseEvent",
    "DatabaseRow",
    "Erlang",
    "JavaScriptEngine",
    "Membership",
    "NodeMemory",
    "NodeSystem",
    "NodeVersions",
    "PythonVersion",
    "QueueLengths",
    "ServerInfo",
    "ServerStatus",
    "SessionInfo",
    "SmooshChannel",
    "SmooshStatus",
    "SmooshWaiting",
    "TreeCache",
    "UserContext",
    "Vendor",
]


class Vendor(TypedDict):
    """Who made the server."""

    name: str
    version: NotRequired[str]


class ServerInfo(TypedDict):
    """The greeting of a server, `GET /`: what the dict of `CouchDB.info` has."""

    couchdb: str
    version: str
    git_sha: str
    uuid: str
    features: list[str]
    vendor: Vendor


class ServerStatus(TypedDict):
    """`GET /_up`. `seeds` are the nodes that it gets the databases of a cluster from."""

    status: str
    seeds: dict[str, Any]


class DatabaseRow(TypedDict):
    """A row of `_dbs_info`: the `info` of a database, or an `error` where there is none."""

    key: str
    info: NotRequired[DatabaseInfo]
    error: NotRequired[str]


class DatabaseEvent(TypedDict):
    """A row of `GET /_db_updates`."""

    db_name: str
    type: Literal["created", "updated", "deleted"]
    seq: str


class ActiveTask(TypedDict):
    """A row of `GET /_active_tasks`. Its `type` decides which other members there are.

    Such as "indexer", "database_compaction", "view_compaction", "search_indexer" and "replication".
    `progress` is in percent; that of a compaction may go beyond 100. Times are seconds since 1970.
    """

    type: str
    node: str
    pid: str
    process_status: NotRequired[str]
    started_on: int
    updated_on: int
    # of whatever works on a database: None for a replication without a document
    database: NotRequired[str | None]
    design_document: NotRequired[str]
    index: NotRequired[str]
    indexer_pid: NotRequired[str]
    progress: NotRequired[int]
    changes_done: NotRequired[int]
    total_changes: NotRequired[int]
    phase: NotRequired[str]
    retry: NotRequired[bool]
    view: NotRequired[int]
    # of a replication
    replication_id: NotRequired[str]
    doc_id: NotRequired[str | None]
    source: NotRequired[str]
    target: NotRequired[str]
    user: NotRequired[str | None]
    continuous: NotRequired[bool]
    checkpoint_interval: NotRequired[int]
    source_seq: NotRequired[str | int]
    through_seq: NotRequired[str | int]
    checkpointed_source_seq: NotRequired[str | int]
    changes_pending: NotRequired[int | None]
    revisions_checked: NotRequired[int]
    missing_revisions_found: NotRequired[int]
    docs_read: NotRequired[int]
    docs_written: NotRequired[int]
    doc_write_failures: NotRequired[int]
    bulk_get_docs: NotRequired[int]
    bulk_get_attempts: NotRequired[int]


class UserContext(TypedDict):
    """Who the server takes us for: `name` is None for nobody."""

    name: str | None
    roles: list[str]


class Authentication(TypedDict):
    """How one can prove who one is. `authenticated` is the way that was taken."""

    authentication_handlers: list[str]
    authenticated: NotRequired[str]
    authentication_db: NotRequired[str]


class SessionInfo(TypedDict):
    """`GET /_session`."""

    ok: bool
    userCtx: UserContext
    info: Authentication


class Membership(TypedDict):
    """`GET /_membership`: the nodes that the server can reach, and those of its cluster."""

    all_nodes: list[str]
    cluster_nodes: list[str]


class JavaScriptEngine(TypedDict):
    """What runs the functions of design documents. QuickJS tells no version."""

    name: str
    version: NotRequired[str]


class CollationDriver(TypedDict):
    """What orders the keys of views. The embedded server tells its name alone."""

    name: str
    library_version: NotRequired[str]
    collation_algorithm_version: NotRequired[str]
    collator_version: NotRequired[str]


class Erlang(TypedDict):
    """What CouchDB runs on, and the hashes that it can have passwords in."""

    version: str
    supported_hashes: list[str]


class PythonVersion(TypedDict):
    """What the embedded server runs on."""

    version: str


class NodeVersions(TypedDict):
    """`GET /_node/{node}/_versions`. `python` is the embedded server's."""

    erlang: Erlang
    collation_driver: CollationDriver
    javascript_engine: JavaScriptEngine
    python: NotRequired[PythonVersion]


class NodeMemory(TypedDict):
    """The memory of the Erlang VM, in bytes."""

    other: int
    atom: int
    atom_used: int
    processes: int
    processes_used: int
    binary: int
    code: int
    ets: int


class TreeCache(TypedDict):
    """The cache of the nodes of trees in database files."""

    size: int
    memory: int
    max_memory: int
    full: int
    hits: int
    misses: int
    shard_count: int


QueueLengths = TypedDict(
    "QueueLengths",
    {"count": int, "min": int, "max": int, "50": int, "90": int, "99": int},
    total=False,
)
"""How long the message queues of processes of one kind are; empty where there are none of it."""


class NodeSystem(TypedDict):
    """`GET /_node/{node}/_system`."""

    uptime: int
    memory: NodeMemory
    run_queue: int
    run_queue_dirty_cpu: int
    ets_table_count: int
    bt_engine_cache: TreeCache
    context_switches: int
    reductions: int
    garbage_collection_count: int
    words_reclaimed: int
    io_input: int
    io_output: int
    os_proc_count: int
    stale_proc_count: int
    process_count: int
    process_limit: int
    message_queues: dict[str, int | QueueLengths]
    internal_replication_jobs: int
    distribution: dict[str, dict[str, int]]
    distribution_events: dict[str, Any]


class SmooshWaiting(TypedDict):
    """How many files wait for their compaction, and their lowest and highest priority."""

    size: int
    min: float
    max: float


class SmooshChannel(TypedDict):
    """A queue of the automatic compaction."""

    active: int
    starting: int
    waiting: SmooshWaiting


class SmooshStatus(TypedDict):
    """`GET /_node/{node}/_smoosh/status`: the queues by their names."""

    channels: dict[str, SmooshChannel]
