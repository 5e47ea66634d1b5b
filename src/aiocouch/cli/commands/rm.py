"""`aiocouch rm DATABASE ID …`: delete documents."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from aiocouch import Document, Edit
from aiocouch.cli.exits import CommandError, Exit, Tally
from aiocouch.cli.output import Column, Output, add_output
from aiocouch.cli.target import Of, add_target, read_target
from aiocouch.cli.values import ids_of

if TYPE_CHECKING:
    import argparse
    from collections.abc import AsyncGenerator

    from aiocouch import Database

__all__ = ["configure"]

_COLUMNS = (Column("id"), Column("rev", "revision"))
_STATUSES = {"not_found": Exit.NOT_FOUND, "conflict": Exit.CONFLICT, "forbidden": Exit.REFUSED}


def configure(parser: argparse.ArgumentParser) -> None:
    """Say what the command does, and which options it takes."""
    parser.epilog = "Prints the ids, and the revisions of the tombstones. A tombstone replicates."
    add_target(parser, Of.DATABASE)
    parser.add_argument("ids", nargs="+", metavar="ID", help="the documents; - for ids from stdin")
    parser.add_argument("--rev", help="only if this is its revision; else any that it has")
    add_output(parser)
    parser.set_defaults(run=_run)


async def _run(given: argparse.Namespace) -> int:
    target, out = read_target(given, Of.DATABASE), Output(given)
    if given.rev is not None and (len(given.ids) > 1 or given.ids == ["-"]):
        raise CommandError("--rev is of one document", Exit.USAGE)
    count = Tally()
    async with target.connect() as couchdb:
        db = target.database(couchdb)
        if given.rev is not None:
            document = Document(db, given.ids[0], {"_rev": given.rev})
            answer = await document.delete(discard_changes=True)
            out.table([{"id": given.ids[0], "rev": answer.json()["rev"]}], _COLUMNS)
            return Exit.DONE
        await out.stream(_deleted(db, given.ids, count, out), _COLUMNS)
    return count.status


async def _deleted(
    db: Database, ids: list[str], count: Tally, out: Output
) -> AsyncGenerator[dict[str, Any], None]:
    async for outcome in db.update_many(ids_of(ids), lambda _: Edit.DELETE):
        if outcome.ok:
            count.done += 1
            yield {"id": outcome.id, "rev": outcome.rev}
            continue
        count.failed.add(_STATUSES.get(outcome.error or "", Exit.FAILED))
        out.problem(f"{outcome.id}: {outcome.reason or outcome.error or outcome.state}")
