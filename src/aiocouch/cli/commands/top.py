"""`aiocouch top ADDRESS`: what a server does now."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from aiocouch import CouchDBError
from aiocouch.cli.exits import CommandError, Exit
from aiocouch.cli.looks import Look, look, report
from aiocouch.cli.output import Output, add_output, rich_module
from aiocouch.cli.target import Of, add_target, read_target
from aiocouch.cli.told import words_of

if TYPE_CHECKING:
    import argparse

    from aiocouch import CouchDB

__all__ = ["configure"]

_LEAST = 0.05  # seconds between two looks


def configure(parser: argparse.ArgumentParser) -> None:
    """Say what the command does, and which options it takes."""
    parser.epilog = (
        "Live on a terminal, until Ctrl-C. With --json or in a pipe it looks twice, and prints one JSON "
        "document. For admins."
    )
    add_target(parser, Of.SERVER)
    parser.add_argument(
        "--every",
        type=float,
        default=2.0,
        metavar="SECONDS",
        help="the time between two looks (default: %(default)s)",
    )
    parser.add_argument(
        "--limit", type=int, default=15, metavar="N", help="databases shown (default: %(default)s)"
    )
    parser.add_argument(
        "--most",
        type=int,
        default=500,
        metavar="N",
        help="databases looked at, the first of the list (default: %(default)s)",
    )
    add_output(parser)
    parser.set_defaults(run=_run)


async def _run(given: argparse.Namespace) -> int:
    target, out = read_target(given, Of.SERVER), Output(given)
    if not given.every >= _LEAST or given.limit < 1 or given.most < 1:
        said = f"--every is {_LEAST} seconds or more, and --limit and --most are 1 or more"
        raise CommandError(said, Exit.USAGE)
    async with target.connect() as couchdb:
        first = await look(couchdb, given.most)
        if out.is_terminal and not out.is_json:
            await _live(couchdb, target.url, first, given)
        await asyncio.sleep(given.every)
        out.document(report(first, await look(couchdb, given.most), given.limit))
    return Exit.DONE


async def _live(couchdb: CouchDB, url: str, before: Look, given: argparse.Namespace) -> None:
    """Show what happens until Ctrl-C. A server that does not answer is asked again."""
    live = rich_module("rich.live")
    if live is None:
        raise CommandError("without rich there is --json only", Exit.USAGE)
    from aiocouch.cli.screen import screen

    told = report(None, before, given.limit)
    with live.Live(screen(told, url), screen=True, auto_refresh=False) as shown:
        while True:
            await asyncio.sleep(given.every)
            trouble = None
            try:
                now = await look(couchdb, given.most)
            except CouchDBError as error:
                trouble = words_of(error, given)
            else:
                told, before = report(before, now, given.limit), now
            shown.update(screen(told, url, trouble), refresh=True)
