"""What `aiocouch top` shows on a terminal. Needs rich."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rich.console import Group
from rich.table import Table
from rich.text import Text

from aiocouch.cli.output import Column, as_bytes, as_count, as_text

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.console import RenderableType

__all__ = ["screen"]


def _as_rate(value: float) -> str:
    return f"{value:,.1f}"


def _as_time(seconds: int) -> str:
    days, rest = divmod(int(seconds), 86_400)
    hours, minutes = divmod(rest // 60, 60)
    return f"{days} d {hours:02}:{minutes:02}" if days else f"{hours:02}:{minutes:02}"


def _as_percent(value: float) -> str:
    return f"{value:.0f} %"


def _number(name: str, heading: str, shown: Any = as_count) -> Column:
    return Column(name, heading, shown, is_number=True)


_NODES = (
    Column("node"),
    _number("uptime", "up", _as_time),
    _number("requests_per_second", "requests/s", _as_rate),
    _number("reads_per_second", "reads/s", _as_rate),
    _number("writes_per_second", "writes/s", _as_rate),
    _number("p50_ms", "50 % ms", _as_rate),
    _number("p99_ms", "99 % ms", _as_rate),
    _number("memory", "memory", as_bytes),
    _number("run_queue", "queue"),
    _number("os_processes", "JS"),
    Column("error"),
)
_DATABASES = (
    Column("name", "database"),
    _number("changes_per_second", "changes/s", _as_rate),
    _number("documents", "documents"),
    _number("deleted", "deleted"),
    _number("active", "active", as_bytes),
    _number("file", "file", as_bytes),
    Column("compacting", shown=lambda value: "yes" if value else ""),
)
_TASKS = (
    Column("task"),
    Column("database"),
    Column("design_doc", "design document"),
    _number("progress", "done", _as_percent),
)
_REPLICATIONS = (
    Column("id", "replication"),
    Column("state"),
    Column("source"),
    Column("target"),
    _number("written", "written"),
    _number("pending", "pending"),
    Column("error"),
)


def screen(told: dict[str, Any], url: str, trouble: str | None = None) -> RenderableType:
    """Return what a report shows; `trouble` is why it is not of now."""
    seconds = told["seconds"]
    since = "" if seconds is None else f", rates of {seconds:.1f} s"
    head = Text(f"{url}  {told['time']}{since}", style="bold")
    if trouble:
        head.append(f"\n{trouble}", style="red")
    parts: list[RenderableType] = [head, _table(told["nodes"], _NODES)]
    parts.append(_table(told["databases"], _DATABASES, _rest(told)))
    if told["tasks"]:
        parts.append(_table(told["tasks"], _TASKS))
    if told["replications"]:
        parts.append(_table(told["replications"], _REPLICATIONS))
    return Group(*parts)


def _rest(told: dict[str, Any]) -> str | None:
    shown, looked = len(told["databases"]), told["databases_looked_at"]
    rest = (
        f"{shown} of {told['databases_total']} databases"
        if shown < told["databases_total"]
        else None
    )
    if looked < told["databases_total"]:
        rest = f"{rest}; only the first {looked} were looked at"
    return rest


def _table(
    rows: Sequence[dict[str, Any]], columns: Sequence[Column], caption: str | None = None
) -> Table:
    table = Table(box=None, pad_edge=False, header_style="reverse", expand=True, caption=caption)
    known = [column for column in columns if any(_has(row, column) for row in rows)]
    for column in known or columns[:1]:
        heading = column.heading or column.name
        table.add_column(heading, justify="right" if column.is_number else "left", no_wrap=True)
    for row in rows:
        table.add_row(*(_cell(column, row.get(column.name)) for column in known))
    return table


def _has(row: dict[str, Any], column: Column) -> bool:
    """Return whether there is something to show. A column without anything takes no room."""
    value = row.get(column.name)
    return value is not None and value is not False


def _cell(column: Column, value: Any) -> Text:
    return Text("" if value is None else (column.shown or as_text)(value))
