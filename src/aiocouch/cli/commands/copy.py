"""`aiocouch copy SOURCE TARGET`: a database to another one, by this program or by a server."""

from __future__ import annotations

import contextlib
import uuid
from typing import TYPE_CHECKING, Any

from aiocouch import CouchDBError, TransportError
from aiocouch.cli.exits import CommandError, Exit
from aiocouch.cli.figures import Watch
from aiocouch.cli.output import Column, Output, add_output, as_count
from aiocouch.cli.progress import progress
from aiocouch.cli.replicating import (
    Pair,
    Waiting,
    add_choice,
    add_pair,
    choice_of,
    creation_of,
    opened_pair,
    shown,
    tell_refused,
)
from aiocouch.cli.values import some

if TYPE_CHECKING:
    import argparse
    from collections.abc import Mapping

    from aiocouch.cli.target import Target

__all__ = ["configure"]

_FACTS = (
    Column("source"),
    Column("target"),
    Column("docs_read", "read", as_count),
    Column("docs_written", "written", as_count),
    Column("doc_write_failures", "refused", as_count),
    Column("replication", "document"),
)


def configure(parser: argparse.ArgumentParser) -> None:
    """Say what the command does, and which options it takes."""
    parser.epilog = (
        "Goes on where the last one between the two has stopped. "
        "Ends with 7 if the target does not take all."
    )
    add_pair(parser, "source", "target")
    add_choice(parser)
    parser.add_argument("--shards", type=some, metavar="Q", help="of a database that is created")
    parser.add_argument(
        "--continuous", action="store_true", help="go on with what is written later, until Ctrl-C"
    )
    parser.add_argument(
        "--server",
        action="store_true",
        help="let the server of the target do it, which must reach both by these URLs, and learns the "
        "passwords; with --continuous it goes on by itself",
    )
    add_output(parser)
    parser.set_defaults(run=_run)


async def _run(given: argparse.Namespace) -> int:
    out, options = Output(given), choice_of(given)
    options["continuous"] = given.continuous
    given.goes_on = not (given.server or given.continuous)
    async with opened_pair(given, given.source, given.target) as pair:
        names = {"source": pair.source.id, "target": pair.target.id}
        if given.create:
            options |= await _creation(pair, given)
        if given.server:
            facts = await _by_server(pair, options, given)
        else:
            facts = await _by_client(pair, options, given)
    out.facts({**names, **facts}, _FACTS)
    return Exit.PARTLY if facts.get("doc_write_failures") else Exit.DONE


async def _creation(pair: Pair, given: argparse.Namespace) -> dict[str, Any]:
    """Return the options by which the target is made, if it is not there."""
    made: dict[str, Any] = {} if given.shards is None else {"q": given.shards}
    try:
        made |= await creation_of(pair.source)
    except TransportError:
        # The server may reach what we do not, and what goes on for ever waits for the source.
        if not (given.server or given.continuous):
            raise
    return {"create_target": True} | ({"create_target_params": made} if made else {})


async def _by_client(
    pair: Pair, options: dict[str, Any], given: argparse.Namespace
) -> dict[str, Any]:
    with progress(given, f"copying {pair.source.id}", unit="revisions") as bar:
        copying = pair.source.replicate_to(pair.target, **options)
        result = await shown(copying, bar, Waiting(Output(given), given))
    tell_refused(result)
    return _counts(vars(result))


def _counts(found: Mapping[str, Any]) -> dict[str, Any]:
    return {
        name: found.get(name, 0) for name in ("docs_read", "docs_written", "doc_write_failures")
    }


async def _by_server(
    pair: Pair, options: dict[str, Any], given: argparse.Namespace
) -> dict[str, Any]:
    """Write a document of `_replicator`, and wait until it is done, unless it is to go on."""
    jobs = pair.target.couchdb.replications
    name = f"aiocouch-{uuid.uuid4().hex}"
    places = _place(pair.source_target), _place(pair.target_target)
    await _look(pair, given)
    await jobs.create(name, *places, **options)
    if given.continuous:
        return {"replication": name}
    try:
        what = f"the server copies {pair.source.id}"
        with progress(given, what, unit="revisions") as bar:
            state = await jobs.wait(name, progress=Watch(Output(given), bar).look)
    finally:  # after Ctrl-C, too: it would go on for ever
        with contextlib.suppress(CouchDBError):
            await (await pair.target.couchdb.database("_replicator").get(name)).delete()
    return _counts(state.get("info") or {})


async def _look(pair: Pair, given: argparse.Namespace) -> None:
    """Raise for a database that is not there, for which the server would look again and again."""
    for database in [pair.source, *([] if given.create else [pair.target])]:
        with contextlib.suppress(TransportError):  # the server may reach what we do not
            await database.info()


def _place(target: Target) -> dict[str, Any]:
    """Return a database as a server is told of it."""
    from urllib.parse import quote

    if target.is_embedded:
        said = "--server is for servers that reach each other, and embedded: is in this process"
        raise CommandError(said, Exit.USAGE)
    place: dict[str, Any] = {"url": f"{target.url}/{quote(target.name or '', safe='')}"}
    if target.token is not None:
        place["headers"] = {"Authorization": f"Bearer {target.token}"}
    elif target.user is not None:
        place["auth"] = {"basic": {"username": target.user, "password": target.password or ""}}
    if target.ca is not None:
        raise CommandError("--ca is for this program; the server has its own", Exit.USAGE)
    return place
