"""`aiocouch sync ONE OTHER`: two databases, both ways."""

from __future__ import annotations

from contextlib import aclosing
from typing import TYPE_CHECKING, Any

from aiocouch import NotFoundError, TransportError
from aiocouch.cli.exits import Exit
from aiocouch.cli.output import Column, Output, add_output, as_count
from aiocouch.cli.progress import progress
from aiocouch.cli.replicating import (
    Waiting,
    add_choice,
    add_pair,
    choice_of,
    creation_of,
    opened_pair,
    tell_refused,
)

if TYPE_CHECKING:
    import argparse

    from aiocouch import Database
    from aiocouch.cli.progress import Progress
    from aiocouch.cli.replicating import Pair
    from aiocouch.replication import ReplicationOptions, ReplicationResult, Sync

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
    given.goes_on = not given.live
    async with opened_pair(given, given.one, given.other, both_ways=True) as pair:
        push = await _creation(pair) if given.create else True
        sync = pair.source.sync(pair.target, live=given.live, push=push, **options)
        with progress(given, f"{pair.source.id} and {pair.target.id}", unit="revisions") as bar:
            await _shown(sync, bar, out, given)
        results = [] if sync.result is None else [sync.result.push, sync.result.pull]
        rows = [
            _row(source, target, result)
            for (source, target), result in zip(_ways(pair), results, strict=False)
            if result is not None
        ]
    out.table(rows, _COLUMNS)
    return Exit.PARTLY if any(row["doc_write_failures"] for row in rows) else Exit.DONE


async def _creation(pair: Pair) -> ReplicationOptions:
    """Make the first database if only the other is there; return the options by which that is made."""
    try:
        return {"create_target": True, "create_target_params": await creation_of(pair.source)}
    except NotFoundError:
        made = await creation_of(pair.target)
        await pair.source.couchdb.create(pair.source.id, exists_ok=True, **made)
    except TransportError:
        pass  # it is waited for
    return {"create_target": True}


def _ways(pair: Pair) -> tuple[tuple[Database, Database], ...]:
    return (pair.source, pair.target), (pair.target, pair.source)


async def _shown(sync: Sync, bar: Progress, out: Output, given: argparse.Namespace) -> None:
    """Run it, show how far it is, and tell what it waits for."""
    waiting = Waiting(out, given)
    async with aclosing(aiter(sync)) as states:
        async for now in states:
            counts = [one for one in (now.push, now.pull) if one is not None]
            done = sum(one.missing_checked for one in counts)
            left = [one.pending for one in counts if one.pending is not None]
            bar.to(done, done + sum(left) if left else None)
            waiting.tell(now.error)


def _row(source: Database, target: Database, result: ReplicationResult) -> dict[str, Any]:
    tell_refused(result)
    return {
        "source": source.id,
        "target": target.id,
        "docs_written": result.docs_written,
        "doc_write_failures": result.doc_write_failures,
    }
