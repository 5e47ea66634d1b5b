"""What a server answers about a database, where certain members count."""

from __future__ import annotations

from typing import Any

import msgspec

__all__ = ["Difference", "IndexList", "Missing", "PurgedInfos", "ShardMap"]


class Difference(msgspec.Struct, frozen=True):
    """What a database lacks of a document: its `missing` revisions.

    `possible_ancestors` are leaves that it has, which the missing ones may have come from.
    """

    missing: list[str]
    possible_ancestors: list[str] = msgspec.field(default_factory=list)


class Missing(msgspec.Struct):
    """`POST /{db}/_missing_revs`."""

    missing_revs: dict[str, list[str]]


class PurgedInfos(msgspec.Struct):
    """`GET /{db}/_purged_infos`."""

    purged_infos: list[dict[str, Any]]


class ShardMap(msgspec.Struct):
    """`GET /{db}/_shards`."""

    shards: dict[str, list[str]]


class IndexList(msgspec.Struct):
    """`GET /{db}/_index`."""

    indexes: list[dict[str, Any]]
