"""The databases that are read."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any

from benchmarks.clients.work import BATCH, document
from benchmarks.progress import watched

if TYPE_CHECKING:
    from collections.abc import Iterable

    from benchmarks.servers import Running


def seed(running: Running, database: str, count: int, query: str = "") -> None:
    """Fill a database with so many documents, and index them, unless that is done.

    `query` has the options that it is made with.
    """
    if running.has(database) and running.ask("GET", database)["doc_count"] >= count:
        return
    running.recreate(database, query)
    write(running, database, count)
    index = {"index": {"fields": ["type"]}, "ddoc": "by_type", "name": "by_type"}
    running.ask("POST", f"{database}/_index", index)


def build_index(running: Running, database: str) -> None:
    """Ask once, so that the index is built before anybody measures."""
    running.ask("POST", f"{database}/_find", {"selector": {"type": "city"}, "limit": 1})
    running.ask("GET", f"{database}/_changes?limit=1")


def write(running: Running, database: str, count: int) -> None:
    """Write the first documents."""
    whole = batched(map(document, range(count)))
    for batch in watched(whole, f"writing into {database}", -(-count // BATCH)):
        running.ask("POST", f"{database}/_bulk_docs", {"docs": batch})


def batched(documents: Iterable[dict[str, Any]], size: int = BATCH) -> Iterable[list[Any]]:
    """Some of them at a time."""
    rest = iter(documents)
    while batch := list(itertools.islice(rest, size)):
        yield batch
