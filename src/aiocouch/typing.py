"""Shapes that go through the whole package."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime  # noqa: TC003 - looked up in the annotations
from typing import Any, Literal, TypeAlias, TypedDict

__all__ = [
    "BulkDocsOptions",
    "BulkGetOptions",
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
    "PurgeOptions",
    "RowOptions",
    "ViewOptions",
]

JsonDict: TypeAlias = dict[str, Any]
"""A JSON object. Integers have any size, text is Unicode."""

JsonList: TypeAlias = list[Any]
"""A JSON array."""

Json: TypeAlias = JsonDict | JsonList
"""What a JSON text of CouchDB is."""

Feed: TypeAlias = Literal["normal", "longpoll", "continuous", "live", "eventsource"]
"""How a changes feed goes on. "live" is another name of "continuous"."""


# What CouchDB reads out of a query is text: "5" is 5 and "true" is True. None is left out.
Flag: TypeAlias = bool | str | None
Number: TypeAlias = int | str | None
Text: TypeAlias = str | None


class DatabaseOptions(TypedDict, total=False):
    """Options of `PUT /{db}`."""

    q: Number
    n: Number
    partitioned: Flag
    placement: Text
    engine: Text
    w: Number
    extra: Mapping[str, Any] | None


class DocumentOptions(TypedDict, total=False):
    """Options of `GET /{db}/{docid}`."""

    attachments: Flag
    att_encoding_info: Flag
    atts_since: Sequence[str] | None
    conflicts: Flag
    deleted: Flag
    deleted_conflicts: Flag
    latest: Flag
    local_seq: Flag
    meta: Flag
    r: Number
    revs: Flag
    revs_info: Flag
    w: Number
    extra: Mapping[str, Any] | None


class RowOptions(DocumentOptions, total=False):
    """Options of `_view` and `_all_docs`, beside `keys` and `update`. `extra` takes what is new to CouchDB.

    Those of a document are for the documents of `include_docs`; CouchDB passes over some of them.
    """

    descending: Flag
    endkey: Any
    end_key: Any
    endkey_docid: Text
    end_key_doc_id: Text
    group: Flag
    group_level: Number
    include_docs: Flag
    inclusive_end: Flag
    key: Any
    limit: Number
    partition: Text
    reduce: Flag
    skip: Number
    sorted: Flag
    stable: Flag
    stale: Text
    startkey: Any
    start_key: Any
    startkey_docid: Text
    start_key_doc_id: Text
    update_seq: Flag


class ViewOptions(RowOptions, total=False):
    """Options of `_view` and `_all_docs`."""

    keys: Any
    update: Flag


class ListOptions(ViewOptions, total=False):
    """Options of `GET /_all_dbs`, for which CouchDB takes those of a view."""


class FindOptions(TypedDict, total=False):
    """Members of the body of `POST /{db}/_find`, beside `selector` and `limit`."""

    allow_fallback: bool | None
    bookmark: str | None
    conflicts: bool | None
    execution_stats: bool | None
    partition: str | None
    r: int | None
    skip: int | None
    sort: Sequence[Any] | None
    stable: bool | None
    stale: str | None
    update: bool | str | None
    use_index: str | Sequence[str] | None
    extra: Mapping[str, Any] | None


class IndexOptions(TypedDict, total=False):
    """Members of the body of `POST /{db}/_index`, beside `index`."""

    ddoc: str | None
    name: str | None
    type: str | None
    w: int | None
    partitioned: bool | None
    partial_filter_selector: Mapping[str, Any] | None
    extra: Mapping[str, Any] | None


class BulkDocsOptions(TypedDict, total=False):
    """Members of the body of `POST /{db}/_bulk_docs`, beside `docs`."""

    new_edits: bool | None
    w: int | None
    extra: Mapping[str, Any] | None


class BulkGetOptions(TypedDict, total=False):
    """Options of `POST /{db}/_bulk_get`."""

    attachments: Flag
    att_encoding_info: Flag
    latest: Flag
    r: Number
    revs: Flag
    extra: Mapping[str, Any] | None


class PurgeOptions(TypedDict, total=False):
    """Options of `POST /{db}/_purge`."""

    w: Number
    extra: Mapping[str, Any] | None


ChangesOptions = TypedDict(
    "ChangesOptions",
    {
        "attachments": Flag,
        "att_encoding_info": Flag,
        "conflicts": Flag,
        "descending": Flag,
        "doc_ids": "Iterable[str] | None",
        "feed": Text,
        "filter": Text,
        "heartbeat": Number,
        "include_docs": Flag,
        "last-event-id": Number,
        "limit": Number,
        "selector": Mapping[str, Any] | None,
        "seq_interval": Number,
        "since": "Number | datetime",
        "style": Text,
        "timeout": Number,
        "view": Text,
        "extra": Mapping[str, Any] | None,
    },
    total=False,
)
"""Options of `GET /{db}/_changes`. With a `filter` all others are for its function."""

BulkRow: TypeAlias = dict[str, Any]
"""One row of the answer of `POST /{db}/_bulk_docs`: `id`, and `ok` and `rev`, or `error` and `reason`."""
