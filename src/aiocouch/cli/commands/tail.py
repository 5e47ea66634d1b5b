"""`aiocouch tail DATABASE`: the last changes, and those that come."""

from __future__ import annotations

from contextlib import aclosing
from itertools import chain
from typing import TYPE_CHECKING, Any

import msgspec

from aiocouch.cli.conditions import CONDITIONS, is_condition, selector_of
from aiocouch.cli.exits import CommandError, Exit
from aiocouch.cli.output import Output, add_output, as_text
from aiocouch.cli.target import Of, add_target, read_target
from aiocouch.cli.told import words_of
from aiocouch.cli.values import whole

if TYPE_CHECKING:
    import argparse
    from collections.abc import AsyncGenerator, Sequence

    from aiocouch import BaseChangeEvent, Database

__all__ = ["configure"]

_LAST = 10
_NONE: Sequence[BaseChangeEvent] = ()


def configure(parser: argparse.ArgumentParser) -> None:
    """Say what the command does, and which options it takes."""
    parser.epilog = (
        "A line each: id, revision, and whether it is deleted. Each is printed as it comes."
    )
    add_target(parser, Of.DATABASE)
    parser.add_argument(
        "-f", "--follow", action="store_true", help="go on with what happens, until Ctrl-C"
    )
    parser.add_argument(
        "-n", "--last", type=whole, metavar="N", help=f"begin with the last N (default: {_LAST})"
    )
    parser.add_argument(
        "--since", metavar="SEQUENCE", help="begin after this one; 0 for all, now for none"
    )
    parser.add_argument(
        "--filter",
        action="append",
        metavar="FILTER",
        help=f"a condition ({CONDITIONS}), a selector in JSON, or the function of a design document, "
        "DESIGN/FILTER; may be repeated",
    )
    parser.add_argument("--include-docs", action="store_true", help="with the documents")
    parser.add_argument("--limit", type=whole, metavar="N", help="end after so many")
    add_output(parser)
    parser.set_defaults(run=_run)


async def _run(given: argparse.Namespace) -> int:
    target, out = read_target(given, Of.DATABASE), Output(given)
    if given.last is not None and given.since is not None:
        raise CommandError("--last or --since, not both", Exit.USAGE)
    options = _options(given)
    async with (
        target.connect() as couchdb,
        aclosing(_events(target.database(couchdb), given, options, out)) as events,
    ):
        count = 0
        while count != given.limit and (event := await anext(events, None)) is not None:
            _print(event, given, out)
            count += 1
    return Exit.DONE


def _options(given: argparse.Namespace) -> dict[str, Any]:
    options: dict[str, Any] = {"include_docs": True} if given.include_docs else {}
    words = given.filter or []
    names = [word for word in words if not is_condition(word)]
    if names and (len(words) > 1 or "/" not in names[0]):
        said = f"{names[0]!r} is not a condition; DESIGN/FILTER stands alone"
        raise CommandError(said, Exit.USAGE)
    if names:
        options["filter"] = names[0]
    elif words:
        options["selector"] = selector_of(words)
    return options


async def _events(
    db: Database, given: argparse.Namespace, options: dict[str, Any], out: Output
) -> AsyncGenerator[BaseChangeEvent, None]:
    since, last = given.since, _NONE
    if since is None:
        # What happens between the two comes again below, and is left out there.
        since = (await db.info())["update_seq"]
        last = await _last(db, _LAST if given.last is None else given.last, options)
        for event in last:
            yield event
    if not given.follow:
        if given.since is not None:
            async with aclosing(db.changes(since, **options)) as feed:
                async for event in feed:
                    yield event
        return
    shown = {(event.id, event.rev) for event in last}

    def tell(error: Exception, seconds: float) -> None:
        out.note(f"the feed broke: {words_of(error, given)}. Connecting again in {seconds:.1f} s")

    async with db.follow(since=str(since), on_reconnect=tell, **options) as follower:
        async for event in follower:
            if (event.id, event.rev) not in shown:
                yield event


async def _last(db: Database, count: int, options: dict[str, Any]) -> Sequence[BaseChangeEvent]:
    if count < 1:
        return []
    async with aclosing(db.changes(descending=True, limit=count, **options)) as feed:
        return [event async for event in feed][::-1]


def _print(event: BaseChangeEvent, given: argparse.Namespace, out: Output) -> None:
    row = event.json
    if out.is_json:
        out.write(msgspec.json.encode(row).decode())
    else:
        words = [event.id, event.rev, "deleted" if row.get("deleted") else ""]
        doc = [row.get("doc")] if given.include_docs else []
        out.write("\t".join(as_text(word) for word in chain(words, doc)).rstrip("\t"))
    out.flush()
