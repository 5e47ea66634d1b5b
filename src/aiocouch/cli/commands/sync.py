"""`aiocouch sync ONE OTHER`: two databases, both ways."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from aiocouch.cli.exits import Exit
from aiocouch.cli.output import Column, Output, add_output, as_count
from aiocouch.cli.progress import Progress, progress
from aiocouch.cli.replicating import (
    add_choice,
    add_pair,
    choice_of,
    opened_pair,
    shown,
    tell_refused,
)

if TYPE_CHECKING:
    import argparse
    from collections.abc import Awaitable, Callable

    from aiocouch import Database

__all__ = ["configure"]

_COLUMNS = (
    Column("source"),
    Column("target"),
    Column("docs_written", "written", as_count, is_number=True),
    Column("doc_write_failures", "refused", as_count, is_number=True),
)


def configure(parser: argparse.ArgumentParser) -> None:
    """Say what the command does, and which options it takes."""
    parser.epilog = (
        "What was edited on both sides is in conflict afterwards, and nothing is lost: see conflicts. "
        "Ends with 7 if one of them does not take all."
    )
    add_pair(parser, "one", "other")
    add_choice(parser)
    parser.add_argument(
        "--live", action="store_true", help="go on with what is written later, until Ctrl-C"
    )
    add_output(parser)
    parser.set_defaults(run=_run)


async def _run(given: argparse.Namespace) -> int:
    out, options = Output(given), choice_of(given)
    options |= {"continuous": given.live, "create_target": given.create}
    async with opened_pair(given, given.one, given.other, both_ways=True) as pair:
        ways = ((pair.source, pair.target), (pair.target, pair.source))
        if given.live:  # both at once, and for ever; a terminal has one line for that
            with progress(given, f"{pair.source.id} and {pair.target.id}", unit="revisions") as bar:
                one, other = (_one_way(*way, options) for way in ways)
                await asyncio.gather(one(bar), other(Progress()))
            return Exit.DONE
        rows = []
        for source, target in ways:
            with progress(given, f"{source.id} to {target.id}", unit="revisions") as bar:
                rows.append(await _one_way(source, target, options)(bar))
    out.table(rows, _COLUMNS)
    return Exit.PARTLY if any(row["doc_write_failures"] for row in rows) else Exit.DONE


def _one_way(
    source: Database, target: Database, options: dict[str, Any]
) -> Callable[[Progress], Awaitable[dict[str, Any]]]:
    async def run(bar: Progress) -> dict[str, Any]:
        result = await shown(source.replicate_to(target, **options), bar)
        tell_refused(result)
        return {
            "source": source.id,
            "target": target.id,
            "docs_written": result.docs_written,
            "doc_write_failures": result.doc_write_failures,
        }

    return run
