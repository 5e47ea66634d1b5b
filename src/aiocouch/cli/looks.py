"""What a server does: a look at it, and what two looks tell together."""

from __future__ import annotations

import asyncio
import time
from datetime import UTC, datetime
from itertools import islice
from typing import TYPE_CHECKING, Any, NamedTuple, cast

from aiocouch import CouchDBError
from aiocouch.cli.figures import replication_rows, task_rows

if TYPE_CHECKING:
    from collections.abc import Mapping

    from aiocouch import CouchDB

__all__ = ["Look", "look", "report", "sequence_number"]

_TOGETHER = 100  # databases of one request
_REPLICATIONS = 50
_QUIET = frozenset({"completed"})


class Look(NamedTuple):
    """What was seen of a server at a time, in seconds of no particular beginning."""

    at: float
    nodes: dict[str, dict[str, Any] | str]
    """Counters and figures by node, or why there are none."""
    databases: Mapping[str, Mapping[str, Any]]
    database_count: int
    tasks: list[dict[str, Any]]
    replications: list[dict[str, Any]]


async def look(couchdb: CouchDB, most: int) -> Look:
    """Look at a server, and at no more than so many databases of it. Raise what the server refuses."""
    names, members = await asyncio.gather(couchdb.keys(), couchdb.cluster.membership())
    nodes, databases, tasks, replications = await asyncio.gather(
        _nodes(couchdb, members["cluster_nodes"]),
        _databases(couchdb, names[:most]),
        couchdb.active_tasks(),
        _replications(couchdb),
    )
    return Look(time.monotonic(), nodes, databases, len(names), task_rows(tasks), replications)


async def _nodes(couchdb: CouchDB, names: list[str]) -> dict[str, dict[str, Any] | str]:
    found = await asyncio.gather(*(_node(couchdb, name) for name in names), return_exceptions=True)
    nodes: dict[str, dict[str, Any] | str] = {}
    for name, one in zip(names, found, strict=True):
        if isinstance(one, BaseException) and (
            len(names) == 1 or not isinstance(one, CouchDBError)
        ):
            raise one
        nodes[name] = str(one) if isinstance(one, BaseException) else one
    return nodes


async def _node(couchdb: CouchDB, name: str) -> dict[str, Any]:
    node = couchdb.node(name)
    stats, system = await asyncio.gather(node.stats(), node.system())
    couch = stats["couchdb"]
    memory = cast("Mapping[str, int]", system["memory"])
    percentiles = dict(couch["request_time"]["value"]["percentile"])
    return {
        "uptime": system["uptime"],
        "memory": sum(size for name, size in memory.items() if not name.endswith("_used")),
        "run_queue": system["run_queue"],
        "os_processes": system["os_proc_count"],
        "open_databases": couch["open_databases"]["value"],
        "requests": couch["httpd"]["requests"]["value"],
        "reads": couch["database_reads"]["value"],
        "writes": couch["document_writes"]["value"],
        "p50_ms": percentiles.get(50),
        "p99_ms": percentiles.get(99),
    }


async def _databases(couchdb: CouchDB, names: list[str]) -> Mapping[str, Mapping[str, Any]]:
    found: dict[str, Mapping[str, Any]] = {}
    for start in range(0, len(names), _TOGETHER):
        for one in await couchdb.dbs_info(names[start : start + _TOGETHER]):
            if info := one.get("info"):  # else it was deleted meanwhile
                found[one["key"]] = info
    return found


async def _replications(couchdb: CouchDB) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    async for row in replication_rows(couchdb):
        if row["state"] not in _QUIET:
            found.append(row)
        if len(found) == _REPLICATIONS:
            break
    return found


def report(before: Look | None, now: Look, limit: int) -> dict[str, Any]:
    """Return what a look tells, with rates since the one before; the busiest databases first. Pure."""
    seconds = None if before is None else now.at - before.at
    databases = [
        _database(name, info, (before.databases.get(name) if before else None), seconds)
        for name, info in now.databases.items()
    ]
    databases.sort(
        key=lambda row: (-(row["changes_per_second"] or 0), -(row["file"] or 0), row["name"])
    )
    return {
        "time": datetime.now(UTC).isoformat(timespec="seconds"),
        "seconds": None if seconds is None else round(seconds, 3),
        "nodes": [
            _node_row(name, figures, before.nodes.get(name) if before else None, seconds)
            for name, figures in now.nodes.items()
        ],
        "databases": list(islice(databases, limit)),
        "databases_looked_at": len(now.databases),
        "databases_total": now.database_count,
        "tasks": now.tasks,
        "replications": now.replications,
    }


def _node_row(
    name: str,
    now: Mapping[str, Any] | str,
    before: Mapping[str, Any] | str | None,
    seconds: float | None,
) -> dict[str, Any]:
    if isinstance(now, str):
        return {"node": name, "error": now}
    row: dict[str, Any] = {"node": name, **now}
    for counter in ("requests", "reads", "writes"):
        was = None if before is None or isinstance(before, str) else before[counter]
        row[f"{counter}_per_second"] = _rate(was, now[counter], seconds)
    return row


def _database(
    name: str, info: Mapping[str, Any], before: Mapping[str, Any] | None, seconds: float | None
) -> dict[str, Any]:
    sizes = info.get("sizes", {})
    was = None if before is None else sequence_number(before.get("update_seq"))
    return {
        "name": name,
        "documents": info.get("doc_count"),
        "deleted": info.get("doc_del_count"),
        "file": sizes.get("file"),
        "active": sizes.get("active"),
        "changes_per_second": _rate(was, sequence_number(info.get("update_seq")), seconds),
        "compacting": bool(info.get("compact_running")),
    }


def sequence_number(sequence: object) -> int:
    """Return how many changes a sequence counts."""
    number = str(sequence).partition("-")[0]
    return int(number) if number.isdecimal() else 0


def _rate(before: float | None, now: float, seconds: float | None) -> float | None:
    """Return how many in a second; None where that cannot be told, such as after a restart."""
    if before is None or not seconds or now < before:
        return None
    return round((now - before) / seconds, 1)
