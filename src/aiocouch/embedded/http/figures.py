"""What `_system` and `_prometheus` tell of the process.

Much of it is about the insides of Erlang, which are not here: such figures are 0.
"""

from __future__ import annotations

import gc
import resource
import threading
from collections import Counter
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from aiocouch.embedded.state import Server

MOST_PROCESSES = 1_048_576
"""The limit of processes that Erlang has by default; here it limits nothing."""

_QUEUES = ("couch_server", "index_server", "rexi_server", "rexi_buffer")
_KINDS = ("atom", "atom_used", "processes_used", "binary", "code", "ets")
_CACHE = ("size", "memory", "max_memory", "full", "hits", "misses", "shard_count")


def system_figures(server: Server) -> dict[str, Any]:
    """Return the answer of `_node/_local/_system`."""
    usage = resource.getrusage(resource.RUSAGE_SELF)
    # of what the process has, most cannot be told apart
    memory = {"other": 0, **dict.fromkeys(_KINDS, 0), "processes": usage.ru_maxrss * 1024}
    return {
        "uptime": server.statistics.uptime,
        "memory": memory,
        "run_queue": 0,
        "run_queue_dirty_cpu": 0,
        "ets_table_count": 0,
        "bt_engine_cache": dict.fromkeys(_CACHE, 0),
        "context_switches": usage.ru_nvcsw + usage.ru_nivcsw,
        "reductions": 0,
        "garbage_collection_count": sum(each["collections"] for each in gc.get_stats()),
        "words_reclaimed": 0,
        "io_input": usage.ru_inblock,
        "io_output": usage.ru_oublock,
        "os_proc_count": 0,
        "stale_proc_count": 0,
        "process_count": threading.active_count(),
        "process_limit": MOST_PROCESSES,
        "message_queues": _message_queues(server),
        "internal_replication_jobs": 0,
        "distribution": {},
        "distribution_events": {},
    }


def _message_queues(server: Server) -> dict[str, Any]:
    """Return the queues before the databases, one of each kind for each that is open; none waits."""
    each: dict[str, int] = {}
    if server.databases.names():
        each = {"count": len(server.databases.names())}
        each |= dict.fromkeys(("min", "max", "50", "90", "99"), 0)
    return {"couch_file": each, "couch_db_updater": each, **dict.fromkeys(_QUEUES, 0)}


def levels(server: Server) -> dict[str, int]:
    """Return the metrics of `_stats` that the counters do not know."""
    jobs = Counter(job.state for job in server.replicator.jobs)
    return {
        "couchdb.open_databases": len(server.databases.names()),
        "couchdb.open_os_files": _open_files(),
        "couch_replicator.jobs.crashed": jobs["crashing"],
        "couch_replicator.jobs.pending": jobs["pending"],
        "couch_replicator.jobs.running": jobs["running"],
        "couch_replicator.jobs.total": jobs.total(),
    }


def _open_files() -> int:
    for folder in ("/proc/self/fd", "/dev/fd"):
        with suppress(OSError):
            return sum(1 for _ in Path(folder).iterdir())
    return 0
