"""The modules that hold handlers; importing one registers its routes.

A server that has just started answers for itself with a few of them. What serves databases is imported
with the first request that needs it, so that the start is quick.
"""

from __future__ import annotations

from importlib import import_module

_AT_ONCE = ("pages", "server_info", "session")
_WHEN_NEEDED = (
    "all_docs",
    "attachments",
    "bulk",
    "changes",
    "cluster_setup",
    "database_lists",
    "databases",
    "db_updates",
    "design",
    "documents",
    "find",
    "indexes",
    "maintenance",
    "node",
    "partitions",
    "replication",
    "rewrites",
    "reshard",
    "search",
    "security",
    "shards",
    "views",
)
_waiting = [_AT_ONCE, _WHEN_NEEDED]


def load_first() -> None:
    """Register the routes of the server itself."""
    _load(_AT_ONCE)


def load_all() -> None:
    """Register all routes, if that has not been done."""
    while _waiting:
        _load(_waiting[0])


def _load(rooms: tuple[str, ...]) -> None:
    for room in rooms:
        import_module(f"aiocouch.embedded.http.routes.{room}")
    if rooms in _waiting:
        _waiting.remove(rooms)
