"""Shapes that go through the whole package."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, Required, TypeAlias, TypedDict

__all__ = [
    "BulkRow",
    "ChangesOptions",
    "DatabaseOptions",
    "DocumentOptions",
    "Feed",
    "FindOptions",
    "IndexOptions",
    "Json",
    "JsonDict",
    "JsonList",
    "ListOptions",
    "ViewOptions",
]

JsonDict: TypeAlias = dict[str, Any]
"""A JSON object. Integers have any size, text is Unicode."""

JsonList: TypeAlias = list[Any]
"""A JSON array."""

Json: TypeAlias = JsonDict | JsonList
"""What a JSON text of CouchDB is."""

Feed: TypeAlias = Literal["normal", "longpoll", "continuous", "live"]
"""How a changes feed goes on. "live" is another name of "continuous"."""


class DatabaseOptions(TypedDict, total=False):
    """Options of `PUT /{db}`."""

    q: int
    n: int
    partitioned: bool
    placement: str
    engine: str
    w: int
    extra: Mapping[str, Any]


class DocumentOptions(TypedDict, total=False):
    """Options of `GET /{db}/{docid}`."""

    attachments: bool
    att_encoding_info: bool
    atts_since: list[str]
    conflicts: bool
    deleted: bool
    deleted_conflicts: bool
    latest: bool
    local_seq: bool
    meta: bool
    r: int
    revs: bool
    revs_info: bool
    w: int
    extra: Mapping[str, Any]


class ViewOptions(DocumentOptions, total=False):
    """Options of `_view` and `_all_docs`. `extra` takes what CouchDB may add tomorrow.

    Those of a document are for the documents of `include_docs`; CouchDB passes over some of them.
    """

    descending: bool
    endkey: Any
    end_key: Any
    endkey_docid: str
    end_key_doc_id: str
    group: bool
    group_level: int
    include_docs: bool
    inclusive_end: bool
    key: Any
    keys: Any
    limit: int | None
    partition: str
    reduce: bool
    skip: int
    sorted: bool
    stable: bool
    stale: Literal["ok", "update_after"]
    startkey: Any
    start_key: Any
    startkey_docid: str
    start_key_doc_id: str
    update: Literal["true", "false", "lazy"] | bool
    update_seq: bool


class ListOptions(ViewOptions, total=False):
    """Options of `GET /_all_dbs`, for which CouchDB takes those of a view."""


class FindOptions(TypedDict, total=False):
    """Members of the body of `POST /{db}/_find`, beside `selector` and `limit`."""

    allow_fallback: bool
    bookmark: str
    conflicts: bool
    execution_stats: bool
    partition: str
    r: int
    skip: int
    sort: list[Any]
    stable: bool
    stale: str
    update: bool | str
    use_index: str | list[str]
    extra: Mapping[str, Any]


class IndexOptions(TypedDict, total=False):
    """Members of the body of `POST /{db}/_index`, beside `index`."""

    ddoc: str
    name: str
    type: Literal["json", "text", "nouveau"]
    w: int
    partitioned: bool
    partial_filter_selector: JsonDict
    extra: Mapping[str, Any]


ChangesOptions = TypedDict(
    "ChangesOptions",
    {
        "attachments": bool,
        "att_encoding_info": bool,
        "conflicts": bool,
        "descending": bool,
        "doc_ids": list[str],
        "feed": Feed,
        "filter": str,
        "heartbeat": "int | bool",
        "include_docs": bool,
        "last-event-id": "str | int",
        "limit": int,
        "selector": JsonDict,
        "seq_interval": int,
        "since": "str | int",
        "style": Literal["main_only", "all_docs"],
        "timeout": int,
        "view": str,
        "extra": Mapping[str, Any],
    },
    total=False,
)
"""Options of `GET /{db}/_changes`. Parameters of an own filter function go into `extra`."""


class BulkRow(TypedDict, total=False):
    """One row of the answer of `POST /{db}/_bulk_docs`."""

    id: Required[str]
    ok: bool
    rev: str
    error: str
    reason: str
