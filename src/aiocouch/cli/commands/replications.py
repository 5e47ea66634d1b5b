"""`aiocouch replications ACTION`: what the server itself replicates."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aiocouch.cli.actions import Actions
from aiocouch.cli.exits import Exit
from aiocouch.cli.figures import Watch, replication_rows, without_credentials
from aiocouch.cli.output import Column, Output, add_output, as_count
from aiocouch.cli.progress import progress
from aiocouch.cli.target import Of, add_target, read_target

if TYPE_CHECKING:
    import argparse


__all__ = ["configure"]

_COLUMNS = (
    Column("id"),
    Column("state"),
    Column("source"),
    Column("target"),
    Column("written", shown=as_count, is_number=True),
    Column("pending", shown=as_count, is_number=True),
    Column("errors", shown=as_count, is_number=True),
    Column("error"),
)


def configure(parser: argparse.ArgumentParser) -> None:
    """Say what the command does, and which options it takes."""
    parser.epilog = "Passwords in URLs are not shown."
    actions = Actions(parser, "list, show, wait or rm")
    listing = actions.add("list", "list what the server replicates, and how it goes", _list)
    add_target(listing, Of.SERVER)
    add_output(listing)
    for name, summary, run in (
        ("show", "show all that is known of a replication", _show),
        ("wait", "wait until a replication is over", _wait),
        ("rm", "end a replication: delete its document", _rm),
    ):
        action = actions.add(name, summary, run)
        add_target(action, Of.SERVER)
        action.add_argument("id", metavar="ID", help="its document in _replicator")
        add_output(action)


async def _list(given: argparse.Namespace) -> int:
    target, out = read_target(given, Of.SERVER), Output(given)
    async with target.connect() as couchdb:
        await out.stream(replication_rows(couchdb), _COLUMNS)
    return Exit.DONE


async def _show(given: argparse.Namespace) -> int:
    target, out = read_target(given, Of.SERVER), Output(given)
    async with target.connect() as couchdb:
        out.document(without_credentials(await couchdb.replications.doc(given.id)))
    return Exit.DONE


async def _wait(given: argparse.Namespace) -> int:
    target, out = read_target(given, Of.SERVER), Output(given)
    async with target.connect() as couchdb:
        await couchdb.database("_replicator").get(given.id)  # or else it would be waited for
        with progress(given, given.id) as bar:
            look = Watch(out, bar).look
            state = await couchdb.replications.wait(given.id, progress=look, every=0.5)
        out.document(without_credentials(state))
    return Exit.DONE


async def _rm(given: argparse.Namespace) -> int:
    target = read_target(given, Of.SERVER)
    async with target.connect() as couchdb:
        document = await couchdb.database("_replicator").get(given.id)
        await document.delete()
    return Exit.DONE
