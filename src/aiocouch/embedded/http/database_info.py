"""What a database tells of itself."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from aiocouch.embedded.store.database import Database


def database_info(database: Database) -> dict[str, Any]:
    """Return what `GET /db` tells."""
    return {
        "instance_start_time": str(database.created),
        "db_name": database.name,
        "purge_seq": database.sequence(database.purge_seq),
        "update_seq": database.sequence(database.update_seq),
        "sizes": database.sizes(),
        "props": {"partitioned": True} if database.partitioned else {},
        "doc_del_count": database.deleted_count,
        "doc_count": database.doc_count,
        "disk_format_version": 8,
        "compact_running": database.compacting,
        "cluster": {"q": database.q, "n": 1, "w": 1, "r": 1},
    }
