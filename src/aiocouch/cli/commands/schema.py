"""`aiocouch schema ACTION DATABASE SCHEMA`: what a database is to have, and what it has."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from aiocouch.cli.actions import Actions
from aiocouch.cli.exits import Exit
from aiocouch.cli.output import Column, Output, add_output
from aiocouch.cli.progress import progress
from aiocouch.cli.schemas import SCHEMA, schema_of
from aiocouch.cli.target import Of, add_target, read_target
from aiocouch.schema import apply, diff, read

if TYPE_CHECKING:
    import argparse

    from aiocouch.schema import Change, Progress

__all__ = ["configure"]

_COLUMNS = (Column("action"), Column("kind"), Column("name"), Column("places", shown=", ".join))


def configure(parser: argparse.ArgumentParser) -> None:
    """Say what the command does, and which options it takes."""
    actions = Actions(parser, "diff or apply")
    for name, summary, run in (
        (
            "diff",
            "tell what a database lacks of a schema; ends with 8 if it lacks something",
            _diff,
        ),
        ("apply", "make a database what a schema says", _apply),
    ):
        action = actions.add(name, summary, run)
        add_target(action, Of.DATABASE)
        action.add_argument("schema", metavar="SCHEMA", help=SCHEMA)
        add_output(action)


async def _diff(given: argparse.Namespace) -> int:
    target, out = read_target(given, Of.DATABASE), Output(given)
    wanted = schema_of(given.schema)
    async with target.connect() as couchdb:
        changes = diff(wanted, await read(target.database(couchdb)))
    out.table(map(_row, changes), _COLUMNS)
    return Exit.FOUND if changes else Exit.DONE


def _print(change: Change, out: Output) -> None:
    """Print what is done as soon as it is."""
    if out.is_terminal and not out.is_json:
        out.write(str(change))
    else:
        out.table([_row(change)], _COLUMNS)
    out.flush()


def _row(change: Change) -> dict[str, Any]:
    return {
        "action": change.action,
        "kind": change.kind,
        "name": change.name,
        "places": list(change.places),
    }


async def _apply(given: argparse.Namespace) -> int:
    target, out = read_target(given, Of.DATABASE, creates=True), Output(given)
    wanted = schema_of(given.schema)
    async with target.connect() as couchdb:
        with progress(given, "building views", 100, "%") as shown:

            def tell(step: Progress) -> None:
                if step.state == "done":
                    _print(step.change, out)
                if step.percent is not None:
                    shown.to(step.percent)

            changes = await apply(target.database(couchdb), wanted, progress=tell)
    if not changes:
        out.note("there was nothing to do")
    return Exit.DONE
