"""What the server does in the background: the list that `_active_tasks` shows."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from types import TracebackType

NODE = "couchdb@127.0.0.1"
"""The name of the one node that the server is."""


class Task:
    """One entry of the list; a context manager that takes it off again."""

    def __init__(self, tasks: ActiveTasks, fields: dict[str, Any]) -> None:
        self._tasks = tasks
        self._fields = fields

    def update(self, **fields: Any) -> None:
        """Change fields, such as `progress` or `changes_done`."""
        self._fields |= {**fields, "updated_on": int(time.time())}

    def end(self) -> None:
        """Take the task off the list."""
        self._tasks.remove(self)

    def shown(self) -> dict[str, Any]:
        """Return the fields as they are now."""
        return dict(self._fields)

    def __enter__(self) -> Task:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.end()


class ActiveTasks:
    """The running tasks of one server: indexers, compactions, replications."""

    def __init__(self) -> None:
        self._tasks: list[Task] = []
        self._started = 0

    def add(self, kind: str, **fields: Any) -> Task:
        """Put a task on the list; `kind` is its `type`, such as `indexer`."""
        now = int(time.time())
        self._started += 1
        pid = f"<0.{self._started}.0>"
        if kind == "indexer":  # which one process of CouchDB orders and another one does
            fields["indexer_pid"] = pid
        common = {
            "node": NODE,
            "pid": pid,
            "process_status": "waiting",
            "started_on": now,
            "type": kind,
            "updated_on": now,
        }
        task = Task(self, common | fields)
        self._tasks.append(task)
        return task

    def remove(self, task: Task) -> None:
        """Take a task off the list; once is enough, twice does no harm."""
        if task in self._tasks:
            self._tasks.remove(task)

    def shown(self) -> list[dict[str, Any]]:
        """Return the list as `_active_tasks` answers it."""
        return [task.shown() for task in self._tasks]
