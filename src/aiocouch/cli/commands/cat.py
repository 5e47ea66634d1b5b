"""`aiocouch cat DATABASE ID …`: documents as CouchDB has them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from aiocouch import Document, NotFoundError
from aiocouch.cli.exits import Exit
from aiocouch.cli.output import Output, add_output
from aiocouch.cli.target import Of, add_target, read_target
from aiocouch.cli.told import words_of
from aiocouch.cli.values import ids_of

if TYPE_CHECKING:
    import argparse

    from aiocouch import Database

__all__ = ["configure"]


def configure(parser: argparse.ArgumentParser) -> None:
    """Say what the command does, and which options it takes."""
    parser.epilog = "Ends with 3 if one of the documents is not there; the others are printed."
    add_target(parser, Of.DATABASE)
    parser.add_argument("ids", nargs="+", metavar="ID", help="the documents; - for ids from stdin")
    parser.add_argument("--rev", help="this revision of it")
    parser.add_argument(
        "--conflicts", action="store_true", help="with the revisions that are in conflict with it"
    )
    parser.add_argument("--revs", action="store_true", help="with the revisions before it")
    parser.add_argument("--attachments", action="store_true", help="with attachments, in base64")
    add_output(parser)
    parser.set_defaults(run=_run)


async def _run(given: argparse.Namespace) -> int:
    target, out = read_target(given, Of.DATABASE), Output(given)
    options = {name: True for name in ("conflicts", "revs", "attachments") if getattr(given, name)}
    if given.rev is not None:
        options["rev"] = given.rev
    status = Exit.DONE
    async with target.connect() as couchdb:
        db = target.database(couchdb)
        for doc_id in ids_of(given.ids):
            try:
                out.document(await _text(db, doc_id, options))
            except NotFoundError as error:
                out.problem(f"{doc_id}: {words_of(error, given)}")
                status = Exit.NOT_FOUND
    return status


async def _text(db: Database, doc_id: str, options: dict[str, Any]) -> bytes:
    """Return the text of a document, whose numbers nobody has read."""
    path = Document(db, doc_id).endpoint
    return (await db.couchdb.request("GET", path, params=options)).body
