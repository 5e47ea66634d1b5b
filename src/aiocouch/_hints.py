"""Names that annotations use, put where `typing.get_type_hints` and msgspec look for them.

Annotations are texts, and are looked up in the module where they stand. Many of their names are imported
for type checkers only: a child must not import its parent, and what is rarely used is loaded when it is.
So when all modules of a package are loaded, they are given the names that they lack; nothing is imported
for it. A name of a late module is given as a reference that imports it when it is looked up.
"""

from __future__ import annotations

import asyncio
import collections.abc
import datetime
import importlib
import os
import ssl
import sys
import types
import typing

import aiohttp
from yarl import URL

__all__ = ["complete"]

_ABSTRACT = (
    *("AsyncGenerator", "AsyncIterable", "AsyncIterator", "Awaitable", "Callable", "Generator"),
    *("Iterable", "Iterator", "Mapping", "Sequence"),
)
_STANDARD: dict[str, object] = {
    **{name: getattr(collections.abc, name) for name in _ABSTRACT},
    **{name: getattr(typing, name) for name in ("IO", "Any", "Self", "Unpack")},
    **{
        "TracebackType": types.TracebackType,
        "aiohttp": aiohttp,
        "asyncio": asyncio,
        "datetime": datetime.datetime,
        "os": os,
        "ssl": ssl,
        "URL": URL,
    },
}
_REMOTE = {"aiocouch.remote": ("HTTPResponse", "Remote", "Stream")}
"""What any module may name, which is loaded with the first session."""
_LATE: dict[str, dict[str, tuple[str, ...]]] = {
    "aiocouch.couchdb": {
        "aiocouch._transport.url": ("Servers",),
        "aiocouch.answers": ("ActiveTask", "DatabaseEvent", "DatabaseRow", "ServerStatus"),
        "aiocouch.auth": ("Auth",),
        "aiocouch.changes": ("DatabaseUpdate", "FollowUpdatesOptions", "Follower"),
        "aiocouch.hooks": ("Hooks",),
        "aiocouch.server": ("Cluster", "Node", "Replications", "Reshard", "Session", "Users"),
    },
    "aiocouch.database": {
        "aiocouch.batch": ("Batch",),
        "aiocouch.changes": (
            *("ChangesFeed", "FollowOptions", "FollowedChange", "FollowedDeletion", "Follower"),
        ),
        "aiocouch.conflicts": ("Conflicted", "Leaves", "MergeVersions"),
        "aiocouch.design_document": ("DesignDocument",),
        "aiocouch.edits": ("Change",),
        "aiocouch.models": ("Collection",),
        "aiocouch.replication": ("Replication", "ReplicationOptions", "Sync", "SyncOptions"),
        "aiocouch.topics": (
            *("DesignFunctions", "Indexes", "LocalDocuments", "Maintenance", "Partition"),
            *("Revisions", "SearchIndex"),
        ),
        "aiocouch.writing": ("BulkWriter", "StreamOptions", "WriteOptions"),
        "aiocouch.writing.items": ("Given",),
    },
    "aiocouch.view": {
        "aiocouch._continued": ("Continued",),
        "aiocouch._wire.left": ("KeysLeft", "RangeLeft"),
        "aiocouch.paging": ("Page", "Pages"),
    },
    "aiocouch.finding": {
        "aiocouch.mango": ("Found", "OnWarning"),
        "aiocouch.paging": ("Pages",),
        "aiocouch.queries": ("QueryPlan",),
    },
    "aiocouch.document": {
        "aiocouch.conflicts": ("Leaves",),
    },
    "aiocouch.changes.events": {
        "aiocouch.answers": ("DatabaseEvent",),
        "aiocouch.changes.ledger": ("Ledger",),
    },
    "aiocouch.in_bulk": {
        "aiocouch.answers": ("BulkDocsRow", "BulkGetAnswer", "BulkGetRow", "PurgeResult"),
    },
    "aiocouch.models.collection": {"aiocouch.mango": ("OnWarning",)},
    "aiocouch.server.cluster": {"aiocouch.answers": ("Membership",)},
    "aiocouch.server.node": {"aiocouch.answers": ("NodeSystem", "NodeVersions", "SmooshStatus")},
    "aiocouch.server.replications": {
        "aiocouch.answers": (
            *("ReplicationDoc", "ReplicationDocs", "ReplicationJob", "ReplicationJobs"),
            "ReplicationRun",
        ),
    },
    "aiocouch.server.reshard": {
        "aiocouch.answers": ("ReshardJob", "ReshardRow", "ReshardState", "ReshardSummary"),
    },
    "aiocouch.server.session": {"aiocouch.answers": ("SessionInfo",)},
    "aiocouch.topics.functions": {"aiocouch.answers": ("DesignInfo",)},
    "aiocouch.topics.indexes": {
        "aiocouch.answers": ("IndexCreated", "IndexDeletions", "IndexInfo")
    },
    "aiocouch.topics.maintenance": {"aiocouch.answers": ("DocumentShard",)},
    "aiocouch.topics.partition": {"aiocouch.answers": ("PartitionInfo",)},
    "aiocouch.topics.revisions": {"aiocouch.answers": ("PurgedDocument",)},
}
"""What the annotations of a module name of modules that are loaded when they are first used.

Each of these, or its package, calls `complete` itself.
"""
_GENERIC = frozenset({"Collection", "Continued", "Follower", "Found", "Page", "Pages"})
"""Those of them that annotations give arguments to."""
_APART = ("aiocouch.cli", "aiocouch.embedded", "aiocouch.testing")
"""What has a class `Database` or `Session` of its own: it says itself which modules it takes names of."""


def _late(module: str) -> dict[str, object]:
    return {
        name: _Generic(home, name)
        if name in _GENERIC
        else _Reference(f"__import__({home!r}, fromlist=[{name!r}]).{name}")
        for home, names in (_REMOTE | _LATE.get(module, {})).items()
        for name in names
    }


class _Reference(str):
    """A text that `typing.get_type_hints` evaluates in turn. It costs little to make."""

    __slots__ = ()

    def __or__(self, other: object) -> object:
        return typing.Union[typing.ForwardRef(self), other]  # noqa: UP007 - `|` takes no reference

    def __ror__(self, other: object) -> object:
        return typing.Union[other, typing.ForwardRef(self)]  # noqa: UP007


class _Generic:
    """A generic class that is loaded when an annotation with it is looked up."""

    def __init__(self, module: str, name: str) -> None:
        self._module = module
        self._name = name

    def __getitem__(self, argument: object) -> object:
        return getattr(importlib.import_module(self._module), self._name)[argument]


def complete(package: str, *others: str) -> None:
    """Tell the loaded modules of a package each other's public names that an annotation may use.

    And those of the other modules, and what the standard library has. No name is replaced.
    """
    own = [
        name
        for name in sys.modules
        if f"{name}.".startswith(f"{package}.")
        and name.startswith(_APART) == package.startswith(_APART)
    ]
    names = dict(_STANDARD)
    for space in (vars(sys.modules[name]) for name in (*others, *own)):
        # Each name costs time at every import, once for each module.
        for name in space.get("__all__", ()):
            if name in space and _may_annotate(name, space[name]):
                names[name] = space[name]
    for name in own:
        space = vars(sys.modules[name])
        if "TYPE_CHECKING" in space:
            known = _late(name) | names | space
            for own_late in {*space.get("__all__", ())} - space.keys():
                known.pop(own_late, None)  # its `__getattr__` loads it
            space.update(known)


def _may_annotate(name: str, value: object) -> bool:
    return not isinstance(value, types.FunctionType) and (len(name) == 1 or not name.isupper())
