"""What CouchDB 3.5.2 tells of tasks that are too short for a test to see them."""

from __future__ import annotations

from typing import Any

TASKS: list[dict[str, Any]] = [
    {
        "node": "couchdb@127.0.0.1",
        "pid": "<0.11586.0>",
        "process_status": "waiting",
        "changes_done": 12322,
        "database": "shards/80000000-ffffffff/db1.1796043270",
        "design_document": "_design/dd",
        "indexer_pid": "<0.11569.0>",
        "progress": 66,
        "started_on": 1796043309,
        "total_changes": 18550,
        "type": "indexer",
        "updated_on": 1796043317,
    },
    {
        "node": "couchdb@127.0.0.1",
        "pid": "<0.8054.0>",
        "process_status": "running",
        "changes_done": 74538,
        "database": "shards/00000000-ffffffff/db1.1796043270",
        "phase": "docid_copy",
        "progress": 198,
        "started_on": 1796043295,
        "total_changes": 37501,
        "type": "database_compaction",
        "updated_on": 1796043306,
    },
    {
        "node": "couchdb@127.0.0.1",
        "pid": "<0.9118.0>",
        "process_status": "runnable",
        "changes_done": 0,
        "database": "shards/00000000-ffffffff/db1.1796043270",
        "design_document": "_design/dd",
        "progress": 0,
        "started_on": 1796043299,
        "total_changes": 112501,
        "type": "view_compaction",
        "updated_on": 1796043299,
    },
    {
        "node": "couchdb@127.0.0.1",
        "pid": "<0.9118.0>",
        "process_status": "waiting",
        "changes_done": 112082,
        "database": "shards/00000000-ffffffff/db1.1796043270",
        "design_document": "_design/dd",
        "phase": "view",
        "progress": 99,
        "started_on": 1796043299,
        "total_changes": 112501,
        "type": "view_compaction",
        "updated_on": 1796043305,
        "view": 0,
    },
]
