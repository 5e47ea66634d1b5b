"""What a server tells of itself, as rows: replications, tasks."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Mapping, Sequence

    from aiocouch import CouchDB
    from aiocouch.answers import ReplicationJob
    from aiocouch.cli.output import Output
    from aiocouch.cli.progress import Progress

__all__ = ["Watch", "database_of_shard", "replication_rows", "task_rows", "without_credentials"]

_TOGETHER = 100
_CREDENTIALS = re.compile(r"(://)[^/@\s]*@")
_STATES: dict[str | None, str] = {"started": "running", "added": "pending", "stopped": "pending"}
_SHARD = re.compile(r"shards/[0-9a-f]{8}-[0-9a-f]{8}/(.+)\.\d+")


def without_credentials(value: Any) -> Any:
    """Return a JSON value, where what stands before the @ of a URL is hidden in all texts."""
    if isinstance(value, str):
        return _CREDENTIALS.sub(r"\1…@", value)
    if isinstance(value, list):
        return [without_credentials(each) for each in value]
    if isinstance(value, dict):
        return {name: without_credentials(each) for name, each in value.items()}
    return value


def database_of_shard(name: str) -> str:
    """Return the database of which a file is, by its name in tasks."""
    found = _SHARD.fullmatch(name)
    return found[1] if found else name


async def replication_rows(couchdb: CouchDB) -> AsyncGenerator[dict[str, Any], None]:
    """Yield what the server replicates: by documents, and then without."""
    skip = 0
    while docs := (await couchdb.replications.docs(limit=_TOGETHER, skip=skip))["docs"]:
        for doc in docs:
            yield _row(doc["doc_id"], doc, doc.get("state"), doc.get("error_count"))
        skip += len(docs)
    skip = 0
    while jobs := (await couchdb.replications.jobs(limit=_TOGETHER, skip=skip))["jobs"]:
        for job in jobs:
            if job.get("doc_id") is None:
                yield _row(job["id"], job, _state_of_job(job), None)
        skip += len(jobs)


def _state_of_job(job: ReplicationJob) -> str | None:
    """Return the state of a job, by what happened last: of these CouchDB tells none."""
    events = job.get("history")
    last = events[0].get("type") if events else None
    return _STATES.get(last, last)


def _row(
    name: str, told: Mapping[str, Any], state: str | None, errors: int | None
) -> dict[str, Any]:
    info = told.get("info")
    facts = info if isinstance(info, dict) else {"error": info}
    return {
        "id": name,
        "state": state,
        "source": without_credentials(told.get("source")),
        "target": without_credentials(told.get("target")),
        "written": facts.get("docs_written"),
        "pending": facts.get("changes_pending"),
        "errors": errors,
        "error": without_credentials(facts.get("error")),
    }


def task_rows(tasks: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return what runs now, but replications: what, of which database, and how far, in percent."""
    rows = [
        {
            "task": task.get("type", "").replace("_", " "),
            "database": database_of_shard(task.get("database") or ""),
            "design_doc": task.get("design_document"),
            "progress": task.get("progress"),
        }
        for task in tasks
        if task.get("type") != "replication"
    ]
    return sorted(rows, key=lambda row: (str(row["database"]), str(row["task"])))


class Watch:
    """Shows how far a replication of a server is, and tells once what makes the server begin again."""

    def __init__(self, out: Output, bar: Progress) -> None:
        self._out = out
        self._bar = bar
        self._told: object = None

    def look(self, state: Mapping[str, Any]) -> None:
        """Look at the state of a replication."""
        info = state.get("info") or {}
        facts = info if isinstance(info, dict) else {"error": info}
        if "docs_written" in facts:
            done, left = facts["docs_written"], facts.get("changes_pending")
            self._bar.to(done, None if left is None else done + left)
        error = facts.get("error")
        if state.get("state") in {"crashing", "error"} and error not in {None, self._told}:
            self._told = error
            self._out.note(f"the server tries again: {without_credentials(error)}")
