"""What `copy` and `sync` have in common: two databases, and a replication between them."""

from __future__ import annotations

import sys
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from aiocouch.cli.exits import CommandError, Exit
from aiocouch.cli.target import ADDRESS, Of, read_target
from aiocouch.cli.told import words_of

if TYPE_CHECKING:
    import argparse
    from collections.abc import AsyncIterator

    from aiocouch import Database
    from aiocouch.cli.output import Output
    from aiocouch.cli.progress import Progress
    from aiocouch.cli.target import Target
    from aiocouch.replication import Replication, ReplicationResult

__all__ = [
    "Pair",
    "Waiting",
    "add_choice",
    "add_pair",
    "choice_of",
    "creation_of",
    "opened_pair",
    "shown",
    "tell_refused",
]

_MOST_TOLD = 20


class Pair(NamedTuple):
    """Two databases, and how their servers are reached."""

    source: Database
    target: Database
    source_target: Target
    target_target: Target


def add_pair(parser: argparse.ArgumentParser, source: str, target: str) -> None:
    """Add the two arguments that name the databases."""
    for name, what in ((source, "from where"), (target, "to where")):
        parser.add_argument(name, metavar=name.upper(), help=f"{what}: {ADDRESS}")
    parser.add_argument(
        "--ca", metavar="FILE", help="authorities to trust, in PEM, instead of those of the system"
    )


def add_choice(parser: argparse.ArgumentParser) -> None:
    """Add the options that choose documents, and those that any replication has."""
    parser.add_argument(
        "--id", action="append", metavar="ID", help="only this document; may be given several times"
    )
    parser.add_argument("--selector", metavar="JSON", help="only documents that match, as in find")
    parser.add_argument("--filter", metavar="DESIGN/NAME", help="only what a filter lets through")
    parser.add_argument("--create", action="store_true", help="make the database that is lacking")


def choice_of(given: argparse.Namespace) -> dict[str, Any]:
    """Return the options of a replication."""
    chosen = {"doc_ids": given.id, "selector": given.selector, "filter": given.filter}
    options = {name: value for name, value in chosen.items() if value is not None}
    if len(options) > 1:
        raise CommandError("--id, --selector or --filter, only one of them", Exit.USAGE)
    if given.selector is not None:
        try:
            options["selector"] = msgspec.json.decode(given.selector, type=dict[str, Any])
        except msgspec.DecodeError as error:
            raise CommandError(f"--selector is not a JSON object: {error}", Exit.USAGE) from None
    return options


async def creation_of(database: Database) -> dict[str, Any]:
    """Return the options by which a database like another one is made: partitioned, if that is."""
    props = (await database.info()).get("props") or {}
    return {"partitioned": True} if props.get("partitioned") else {}


@asynccontextmanager
async def opened_pair(
    given: argparse.Namespace, source: str, target: str, *, both_ways: bool = False
) -> AsyncIterator[Pair]:
    """Connect to the servers of both. Raise `CommandError` for one database that is named twice."""
    one = read_target(given, Of.DATABASE, source, creates=given.create and both_ways)
    other = read_target(given, Of.DATABASE, target, creates=given.create)
    if (one.url, one.name) == (other.url, other.name):
        raise CommandError("both addresses name the same database", Exit.USAGE)
    async with one.connect() as first, other.connect() as second:
        yield Pair(one.database(first), other.database(second), one, other)


class Waiting:
    """Tells once what is waited for, and when it goes on."""

    def __init__(self, out: Output, given: argparse.Namespace) -> None:
        self._out = out
        self._given = given
        self._told: str | None = None

    def tell(self, error: BaseException | None) -> None:
        """Tell of what has failed and may pass, or None of all that goes well, if that is news."""
        words = None if error is None else words_of(error, self._given)
        if words != self._told:
            self._out.note("going on" if words is None else f"waiting: {words}")
        self._told = words


async def shown(replication: Replication, bar: Progress, waiting: Waiting) -> ReplicationResult:
    """Run a replication, show how far it is, and tell what it waits for. Return its result."""
    async for now in replication:
        bar.to(
            now.missing_checked, None if now.pending is None else now.missing_checked + now.pending
        )
        waiting.tell(replication.trouble)
    if replication.result is None:
        raise CommandError("the replication has ended without a result")
    return replication.result


def tell_refused(result: ReplicationResult) -> None:
    """Tell what the target has not taken."""
    for each in result.refused[:_MOST_TOLD]:
        words = f"refused: {each.id} {each.rev or ''}: {each.error}: {each.reason}"
        print(words, file=sys.stderr)  # noqa: T201 - for the person
