"""The modules that hold handlers; importing one registers its routes."""

from __future__ import annotations

from importlib import import_module

_ROOMS = (
    "all_docs",
    "attachments",
    "bulk",
    "changes",
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
    "server_info",
    "session",
    "shards",
    "views",
)


def load() -> None:
    """Register all routes."""
    for room in _ROOMS:
        import_module(f"aiocouch.embedded.http.{room}")
