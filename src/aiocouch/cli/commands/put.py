"""`aiocouch put DATABASE ID SOURCE …`: store a document."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from aiocouch import ConflictError, Database, Document
from aiocouch.cli.exits import CommandError, Exit
from aiocouch.cli.output import Column, Output, add_output
from aiocouch.cli.target import Of, add_target, read_target
from aiocouch.cli.values import PAIRS, members_of

if TYPE_CHECKING:
    import argparse

__all__ = ["configure"]

_COLUMNS = (Column("id"), Column("rev", "revision"))
_HOW = "It is there already, or was changed: --rev REV, --merge or --force"


def configure(parser: argparse.ArgumentParser) -> None:
    """Say what the command does, and which options it takes."""
    parser.epilog = "Ends with 4, and changes nothing, if there is a revision that you do not name."
    add_target(parser, Of.DATABASE)
    parser.add_argument("id", metavar="ID", help="the document")
    parser.add_argument(
        "sources",
        nargs="+",
        metavar="SOURCE",
        help=f"name=value, a file with a JSON object, or - for stdin; later ones go on top ({PAIRS})",
    )
    how = parser.add_mutually_exclusive_group()
    how.add_argument("--rev", help="the revision that it takes the place of; else _rev in a source")
    how.add_argument(
        "--merge", action="store_true", help="set these members, and leave the others as they are"
    )
    how.add_argument(
        "--force", action="store_true", help="take the place of whatever is there, but attachments"
    )
    add_output(parser)
    parser.set_defaults(run=_run)


async def _run(given: argparse.Namespace) -> int:
    target, out = read_target(given, Of.DATABASE), Output(given)
    members = _checked(members_of(given.sources), given)
    async with target.connect() as couchdb:
        document = await _stored(target.database(couchdb), members, given)
        out.facts({"id": document.full_id, "rev": document.rev}, _COLUMNS)
    return Exit.DONE


def _checked(members: dict[str, Any], given: argparse.Namespace) -> dict[str, Any]:
    if members.setdefault("_id", given.id) != given.id:
        raise CommandError(f"the _id is {members['_id']!r}, and not {given.id!r}", Exit.USAGE)
    if "_rev" in members and (given.merge or given.force):
        raise CommandError("a source has a _rev, which --merge and --force ignore", Exit.USAGE)
    return members if given.rev is None else {**members, "_rev": given.rev}


async def _stored(db: Database, members: dict[str, Any], given: argparse.Namespace) -> Document:
    if given.force:
        return await db.upsert(given.id, members)
    if given.merge:
        return await db.upsert(given.id, lambda document: document.update(members))
    document = Document(db, given.id, members)
    try:
        await document.save()
    except ConflictError as error:
        raise CommandError(f"{str(error).rstrip('.')}. {_HOW}", Exit.CONFLICT) from None
    return document
