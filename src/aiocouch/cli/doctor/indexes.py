"""Checks of views and indexes."""

from __future__ import annotations

import re
import time
from typing import TYPE_CHECKING, Any

from aiocouch.cli.doctor.finding import Finding, Severity
from aiocouch.cli.output import several

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Iterator, Mapping, Sequence

    from aiocouch.cli.doctor.patient import Check, Patient

__all__ = ["CHECKS", "judge_design", "judge_index", "judge_indexes", "judge_reduced", "judge_time"]

_PENDING = 10_000  # changes
_WASTE = 50_000_000  # bytes
_SLOW = 1.0  # seconds
_OLD = ("lists", "shows", "rewrites", "updates")
_WHOLE = re.compile(r"emit\s*\([^;]*,\s*doc\s*\)")


async def _designs(patient: Patient) -> AsyncGenerator[Finding, None]:
    name = patient.name or ""
    partitioned = bool((await patient.db.info()).get("props", {}).get("partitioned"))
    async for doc in patient.db.design_docs.docs(include_ddocs=True):
        where = f"{name} {doc.id}"
        views = doc.get("views") or {}
        is_query = doc.get("language") == "query"
        if not is_query:
            for finding in judge_design(dict(doc), where):
                yield finding
        if not views:
            continue
        design = doc.id.removeprefix("_design/")
        told = await patient.db.functions(design).info()
        for finding in judge_index(told["view_index"], where):
            yield finding
        # Views of partitions can only be asked for one partition.
        if not is_query and not (partitioned and doc.get("options", {}).get("partitioned", True)):
            for name, view in views.items():
                for finding in await _asked(patient, design, name, "reduce" in view):
                    yield finding


async def _asked(patient: Patient, design: str, name: str, reduces: bool) -> list[Finding]:
    """Ask a view for one row of the index as it is: nothing is built for it."""
    where = f"{patient.name} _design/{design}/{name}"
    view = patient.db.view(design, name)
    begun = time.monotonic()
    await view.get(limit=1, update="false", reduce=False)
    found = [*judge_time(time.monotonic() - begun, where)]
    if reduces:
        values = [row.value async for row in view.rows(limit=1, update="false")]
        found += judge_reduced(values, where)
    return found


def judge_reduced(values: Sequence[Any], where: str) -> Iterator[Finding]:
    """Yield a reduce function that cannot reduce what there is."""
    for value in values:
        if isinstance(value, dict) and str(value.get("error", "")).endswith("_error"):
            yield Finding(
                Severity.WARNING,
                "broken-reduce",
                f"it cannot be reduced: {value.get('reason', value['error'])}",
                "who asks it gets this text in place of a number",
                "let the map function emit only what the reduce function takes",
                where,
                {"error": value["error"]},
            )


def judge_design(doc: Mapping[str, Any], where: str) -> Iterator[Finding]:
    """Yield what the text of a design document tells."""
    for name, view in (doc.get("views") or {}).items():
        reduce, function = view.get("reduce"), view.get("map")
        if isinstance(reduce, str) and reduce.strip() and not reduce.strip().startswith("_"):
            yield Finding(
                Severity.NOTE,
                "javascript-reduce",
                f"the view {name} reduces by JavaScript",
                "that is slow, when the index is built and at queries with group",
                "where it fits: _sum, _count, _stats or _approx_count_distinct",
                where,
            )
        if isinstance(function, str) and _WHOLE.search(function):
            yield Finding(
                Severity.NOTE,
                "emits-doc",
                f"the view {name} emits whole documents",
                "its index has a copy of each",
                "emit null, and ask with include_docs=true",
                where,
            )
    old = [name for name in _OLD if doc.get(name)]
    if old:
        yield Finding(
            Severity.NOTE,
            "old-functions",
            f"it has {', '.join(old)}",
            "CouchDB calls these deprecated, and will not have them in version 4",
            "do it in the program that asks",
            where,
        )


def judge_index(told: Mapping[str, Any], where: str) -> Iterator[Finding]:
    """Yield what the index of a design document tells of itself."""
    pending = (told.get("updates_pending") or {}).get("total", 0)
    sizes = told.get("sizes") or {}
    file, active = sizes.get("file") or 0, sizes.get("active") or 0
    if pending > _PENDING:
        yield Finding(
            Severity.WARNING,
            "index-behind",
            f"its index is {several(pending, 'change')} behind",
            "the next query waits until it has caught up with them",
            "`aiocouch top` tells whether it is being built; asked more often, it has less to catch up with",
            where,
            {"pending": pending, "waiting": told.get("waiting_clients")},
        )
    if file > 3 * active and file - active > _WASTE:
        yield Finding(
            Severity.WARNING,
            "index-fragmented",
            f"{(file - active) / 1e6:,.0f} MB of the {file / 1e6:,.0f} MB of its index are not used",
            "the disk fills",
            f"`aiocouch compact {where.split(' ', maxsplit=1)[0]} --views`",
            where,
            {"file": file, "active": active},
        )
    if len(told.get("collator_versions") or ()) > 1:
        yield Finding(
            Severity.NOTE,
            "collators",
            "parts of its index were sorted by another version of ICU",
            "texts may not be found where they are looked for",
            f"`aiocouch compact {where.split(' ', maxsplit=1)[0]} --views`",
            where,
            {"collator_versions": told["collator_versions"]},
        )


def judge_time(seconds: float, where: str) -> Iterator[Finding]:
    """Yield a view that is slow even when nothing must be built."""
    if seconds > _SLOW:
        yield Finding(
            Severity.WARNING,
            "slow-view",
            f"one row took {seconds:,.1f} s, without an update of the index",
            "the server or its disk is busy, or the index is spread over many shards",
            "`aiocouch top` tells what it does",
            where,
            {"seconds": round(seconds, 3)},
        )


async def _indexes(patient: Patient) -> AsyncGenerator[Finding, None]:
    for finding in judge_indexes(await patient.db.indexes.list(), patient.name or ""):
        yield finding


def judge_indexes(indexes: Sequence[Mapping[str, Any]], name: str) -> Iterator[Finding]:
    """Yield the Mango indexes that another one makes unnecessary."""
    known = [index for index in indexes if index["type"] == "json"]
    for at, index in enumerate(known):
        for other_at, other in enumerate(known):
            if (
                at != other_at
                and _serves(other, index)
                and not (_serves(index, other) and at < other_at)
            ):
                yield Finding(
                    Severity.NOTE,
                    "unneeded-index",
                    f"{_named(other)} has all that {_named(index)} has",
                    "each change of a document is written to both",
                    f"delete {_named(index)}, unless queries name it",
                    name,
                    {"index": _named(index), "other": _named(other)},
                )
                break


def _serves(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    """Return whether an index begins with the fields of another, and has the same documents."""
    fields, wanted = one["def"]["fields"], other["def"]["fields"]
    same = one["def"].get("partial_filter_selector") == other["def"].get("partial_filter_selector")
    return (
        same
        and one.get("partitioned") == other.get("partitioned")
        and fields[: len(wanted)] == wanted
    )


def _named(index: Mapping[str, Any]) -> str:
    return f"{str(index['ddoc']).removeprefix('_design/')}/{index['name']}"


CHECKS: tuple[tuple[str, Check], ...] = (("views", _designs), ("indexes", _indexes))
"""What is looked at in the indexes of a database."""
