"""What the embedded server tells of its tasks has the members that CouchDB's have."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from aiocouch.embedded.node.tasks import ActiveTasks, Task
from tests.support.recorded import TASKS
from tests.unit.embedded.server_client import ServerClient

KINDS = {task["type"] for task in TASKS}
MANY = 1500  # few are indexed at once, without a task
VIEWS = {"v": {"map": "function (doc) { emit(doc._id); }"}}


@pytest.fixture
def seen(monkeypatch: pytest.MonkeyPatch) -> dict[str, Task]:
    """All tasks that there were, by type, also short ones."""
    found: dict[str, Task] = {}
    add = ActiveTasks.add

    def noted(tasks: ActiveTasks, kind: str, **fields: Any) -> Task:
        found[kind] = add(tasks, kind, **fields)
        return found[kind]

    monkeypatch.setattr(ActiveTasks, "add", noted)
    return found


async def test_tasks_have_the_members_of_couchdbs(seen: dict[str, Task]) -> None:
    async with ServerClient() as client, asyncio.timeout(30):
        await client("PUT", "/db")
        await client("PUT", "/db/_design/d", {"views": VIEWS})
        await client("POST", "/db/_bulk_docs", {"docs": [{} for _ in range(MANY)]})
        assert (await client("GET", "/db/_design/d/_view/v?limit=0")).json["total_rows"] == MANY
        assert (await client("POST", "/db/_compact", {})).status == 202
        assert (await client("POST", "/db/_compact/d", {})).status == 202
        for _ in range(1000):
            if seen.keys() == KINDS:
                break
            await client("GET", "/db")
    assert seen.keys() == KINDS
    for kind, task in seen.items():
        assert set(task.shown()) in [set(told) for told in TASKS if told["type"] == kind], kind
    assert seen["database_compaction"].shown()["total_changes"] == MANY + 1
