"""`aiocouch compact DATABASE`: give back what old revisions take."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from aiocouch.cli.exits import Exit
from aiocouch.cli.figures import task_rows
from aiocouch.cli.output import Column, Output, add_output, as_bytes
from aiocouch.cli.progress import progress
from aiocouch.cli.target import Of, add_target, read_target

if TYPE_CHECKING:
    import argparse

    from aiocouch import Database

__all__ = ["configure"]

_COLUMNS = (
    Column("database"),
    Column("before", shown=as_bytes),
    Column("after", shown=as_bytes),
)
_LOOK_AGAIN = 0.2  # seconds
_KINDS = {"database compaction", "view compaction"}


def configure(parser: argparse.ArgumentParser) -> None:
    """Say what the command does, and which options it takes."""
    parser.epilog = (
        "Old revisions lose their content. Conflicts, and what is current, stay as they are."
    )
    add_target(parser, Of.DATABASE)
    parser.add_argument(
        "--views", action="store_true", help="views, too; and remove indexes that nobody uses"
    )
    parser.add_argument("--wait", action="store_true", help="wait until it is done, and tell sizes")
    add_output(parser)
    parser.set_defaults(run=_run)


async def _run(given: argparse.Namespace) -> int:
    target, out = read_target(given, Of.DATABASE), Output(given)
    async with target.connect() as couchdb:
        db = target.database(couchdb)
        before = await _size(db)
        await _begin(db, views=given.views)
        if given.wait:
            await _wait(db, given)
            facts = {"database": db.id, "before": before, "after": await _size(db)}
            out.facts(facts, _COLUMNS)
        else:
            out.note("it has begun: `aiocouch top` tells how far it is")
    return Exit.DONE


async def _size(db: Database) -> int | None:
    size: int | None = (await db.info()).get("sizes", {}).get("file")
    return size


async def _begin(db: Database, *, views: bool) -> None:
    await db.maintenance.compact()
    if views:
        await db.maintenance.clean_views()
        async for doc_id in db.design_docs.ids():
            await db.maintenance.compact_views(doc_id)


async def _wait(db: Database, given: argparse.Namespace) -> None:
    """Wait until neither the database nor one of its views is compacted."""
    with progress(given, f"compacting {db.id}", 100, "%") as shown:
        while (tasks := await _tasks(db)) or (await db.info()).get("compact_running"):
            known = [task["progress"] for task in tasks if task["progress"] is not None]
            if known:
                shown.to(min(sum(known) / len(known), 100))
            await asyncio.sleep(_LOOK_AGAIN)


async def _tasks(db: Database) -> list[dict[str, Any]]:
    tasks = task_rows(await db.couchdb.active_tasks())
    return [task for task in tasks if task["database"] == db.id and task["task"] in _KINDS]
