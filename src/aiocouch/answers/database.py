"""What a server answers about one database."""

from typing import Any, Literal, NotRequired, TypedDict

__all__ = [
    "BulkDocsRow",
    "BulkGetAnswer",
    "BulkGetDoc",
    "BulkGetError",
    "BulkGetRow",
    "DatabaseCluster",
    "DatabaseInfo",
    "DatabaseProps",
    "DatabaseSizes",
    "DeletedIndex",
    "DesignInfo",
    "DocumentShard",
    "IndexCreated",
    "IndexDefinition",
    "IndexDeletions",
    "IndexInfo",
    "PartitionInfo",
    "PartitionSizes",
    "PurgeResult",
    "PurgedDocument",
    "RefusedIndex",
    "UpdatesPending",
    "ViewIndexInfo",
]


class DatabaseSizes(TypedDict):
    """Sizes in bytes: of the files, of what in them is in use, and of the documents as JSON."""

    file: int
    active: int
    external: int


class DatabaseProps(TypedDict):
    """What a database was created as."""

    partitioned: NotRequired[bool]


class DatabaseCluster(TypedDict):
    """The shards of a database, its copies, and how many of these make a write or a read certain."""

    q: int
    n: int
    w: int
    r: int


class DatabaseInfo(TypedDict):
    """`GET /{db}`: what the dict of `Database.info` has."""

    db_name: str
    doc_count: int
    doc_del_count: int
    update_seq: str
    purge_seq: str
    sizes: DatabaseSizes
    props: DatabaseProps
    cluster: DatabaseCluster
    compact_running: bool
    disk_format_version: int
    instance_start_time: str


class PartitionSizes(TypedDict):
    """Sizes in bytes, as those of a database."""

    active: int
    external: int


class PartitionInfo(TypedDict):
    """`GET /{db}/_partition/{partition}`."""

    db_name: str
    partition: str
    doc_count: int
    doc_del_count: int
    sizes: PartitionSizes


class UpdatesPending(TypedDict):
    """How many changes an index lacks: at least, in the copies that are asked first, and in all."""

    minimum: int
    preferred: int
    total: int


class ViewIndexInfo(TypedDict):
    """The index that the views of a design document have in common."""

    signature: str
    language: str
    sizes: DatabaseSizes
    update_seq: int
    purge_seq: int
    updates_pending: UpdatesPending
    updater_running: bool
    compact_running: bool
    waiting_clients: int
    waiting_commit: bool
    collator_versions: list[str]


class DesignInfo(TypedDict):
    """`GET /{db}/_design/{ddoc}/_info`."""

    name: str
    view_index: ViewIndexInfo


class DocumentShard(TypedDict):
    """`GET /{db}/_shards/{docid}`: the range that a document is in, and the nodes that hold it."""

    range: str
    nodes: list[str]


class IndexDefinition(TypedDict):
    """What an index is made of. Those of the types "text" and "nouveau" have more of it."""

    fields: list[dict[str, str]]
    partial_filter_selector: NotRequired[dict[str, Any]]


IndexInfo = TypedDict(
    "IndexInfo",
    {
        "ddoc": str | None,
        "name": str,
        "type": str,
        "partitioned": NotRequired[bool],
        "def": IndexDefinition,
    },
)
"""An index of `GET /{db}/_index`. That of all documents has no `ddoc`, and does not tell `partitioned`."""


class IndexCreated(TypedDict):
    """`POST /{db}/_index`; what the dict of `Database.index` has, too."""

    result: Literal["created", "exists"]
    id: str
    name: str


class DeletedIndex(TypedDict):
    """The `id` of a design document whose indexes were deleted."""

    id: str
    ok: bool


class RefusedIndex(TypedDict):
    """The `id` of a design document whose indexes could not be deleted."""

    id: str
    error: str


class IndexDeletions(TypedDict):
    """`POST /{db}/_index/_bulk_delete`."""

    success: list[DeletedIndex]
    fail: list[RefusedIndex]


class PurgeResult(TypedDict):
    """`POST /{db}/_purge`: the revisions that were removed, by document id.

    `accepted` stands where fewer copies have done it than `w` or most of them.
    """

    purge_seq: str | int | None
    purged: dict[str, list[str]]
    accepted: NotRequired[bool]


class PurgedDocument(TypedDict):
    """A row of `GET /{db}/_purged_infos`."""

    id: str
    revs: list[str]


class BulkDocsRow(TypedDict):
    """A row of `POST /{db}/_bulk_docs`: `ok` and `rev`, or `error` and `reason`.

    `accepted` stands where fewer copies were written than `w` or most of them.
    """

    id: str
    rev: NotRequired[str]
    ok: NotRequired[bool]
    accepted: NotRequired[bool]
    error: NotRequired[str]
    reason: NotRequired[str]


class BulkGetError(TypedDict):
    """Why a revision was not found. `rev` is "undefined" where none was asked for."""

    id: str | None
    rev: str | None
    error: str
    reason: str


class BulkGetDoc(TypedDict, total=False):
    """A revision of a document, or why there is none."""

    ok: dict[str, Any]
    error: BulkGetError


class BulkGetRow(TypedDict):
    """A row of `POST /{db}/_bulk_get`. The `id` is None where none was asked for."""

    id: str | None
    docs: list[BulkGetDoc]


class BulkGetAnswer(TypedDict):
    """`POST /{db}/_bulk_get`."""

    results: list[BulkGetRow]
