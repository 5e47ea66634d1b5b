"""`aiocouch view DATABASE DESIGN/VIEW`: the rows of a view."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

from aiocouch.cli.exits import CommandError, Exit
from aiocouch.cli.output import Column, Output, add_output
from aiocouch.cli.target import Of, add_target, read_target
from aiocouch.cli.values import value_of, whole

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from aiocouch import Database, View

__all__ = ["configure"]

_ID, _KEY, _VALUE, _DOC, _ERROR = map(Column, ("id", "key", "value", "doc", "error"))
_KEYS = ("startkey", "endkey")
_PLAIN = ("limit", "skip", "group", "group_level", "reduce", "include_docs", "descending", "update")


def configure(parser: argparse.ArgumentParser) -> None:
    """Say what the command does, and which options it takes."""
    parser.epilog = (
        "A key that is JSON counts as such, all else is text: --key 5, --key '[\"a\",1]', --key a"
    )
    add_target(parser, Of.DATABASE)
    parser.add_argument(
        "view", metavar="DESIGN/VIEW", help="the view; or _all_docs, or _design_docs"
    )
    key = parser.add_argument
    key("--key", action="append", metavar="KEY", help="only rows of this key; may be repeated")
    key("--startkey", metavar="KEY", help="from this key on")
    key("--endkey", metavar="KEY", help="up to this key")
    key("--prefix", metavar="TEXT", help="only keys that are texts and begin so")
    parser.add_argument(
        "--descending", action="store_true", default=None, help="the last rows first"
    )
    parser.add_argument("--limit", type=whole, metavar="N", help="no more than so many")
    parser.add_argument("--skip", type=whole, metavar="N", help="leave out the first of them")
    parser.add_argument(
        "--reduce",
        action=argparse.BooleanOptionalAction,
        help="whether rows are reduced; they are, where the view has a reduce function",
    )
    parser.add_argument(
        "--group", action="store_true", default=None, help="reduce the rows of each key"
    )
    parser.add_argument(
        "--group-level", type=whole, metavar="N", help="reduce by the first members of the keys"
    )
    parser.add_argument(
        "--include-docs", action="store_true", default=None, help="with the documents"
    )
    parser.add_argument(
        "--update",
        choices=("true", "false", "lazy"),
        help="whether the view is brought up to date before; lazy: after",
    )
    add_output(parser)
    parser.set_defaults(run=_run)


async def _run(given: argparse.Namespace) -> int:
    target, out = read_target(given, Of.DATABASE), Output(given)
    options = _options(given)
    async with target.connect() as couchdb:
        view = _view(target.database(couchdb), given.view)
        await out.stream(_rows(view, given.prefix, options), _columns(given))
    return Exit.DONE


def _view(db: Database, name: str) -> View:
    if name in {"_all_docs", "_design_docs"}:
        return db.all_docs if name == "_all_docs" else db.design_docs
    design, _, view = name.removeprefix("_design/").partition("/")
    view = view.removeprefix("_view/")
    if not (design and view):
        raise CommandError(f"{name!r} is not DESIGN/VIEW", Exit.USAGE)
    return db.view(design, view)


def _options(given: argparse.Namespace) -> dict[str, Any]:
    if given.prefix is not None and (given.startkey or given.endkey or given.key):
        raise CommandError("--prefix, or --key, --startkey and --endkey", Exit.USAGE)
    options: dict[str, Any] = {
        name: value_of(text) for name in _KEYS if (text := getattr(given, name)) is not None
    }
    keys = [value_of(text) for text in given.key or ()]
    options |= {"key": keys[0]} if len(keys) == 1 else {"keys": keys} if keys else {}
    plain = {name: getattr(given, name) for name in _PLAIN}
    return options | {name: value for name, value in plain.items() if value is not None}


def _columns(given: argparse.Namespace) -> list[Column]:
    docs = [_DOC] if given.include_docs else []
    errors = [_ERROR] if given.key else []  # only a key that is asked for can be missing
    return [_ID, _KEY, _VALUE, *docs, *errors]


async def _rows(
    view: View, prefix: str | None, options: dict[str, Any]
) -> AsyncGenerator[dict[str, Any], None]:
    async for row in view.rows(prefix=prefix, **options):
        found = {"key": row.key, "value": row.value}
        if row.id is not None:
            found = {"id": row.id, **found}
        if row.doc is not None:
            found["doc"] = dict(row.doc)
        if row.error is not None:
            found["error"] = row.error
        yield found
