"""`aiocouch security ACTION DATABASE`: who may read and write a database."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from aiocouch import NotFoundError
from aiocouch.cli.actions import Actions
from aiocouch.cli.exits import CommandError, Exit
from aiocouch.cli.output import Column, Output, add_output
from aiocouch.cli.target import Of, add_target, read_target

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator

    from aiocouch import SecurityDocument

__all__ = ["configure"]

_COLUMNS = (Column("group"), Column("kind"), Column("name"))
_KINDS = ("admin", "admin_role", "member", "member_role")


def configure(parser: argparse.ArgumentParser) -> None:
    """Say what the command does, and which options it takes."""
    actions = Actions(parser, "show, add or rm")
    show = actions.add("show", "show who may read and write a database", _show)
    add_target(show, Of.DATABASE)
    add_output(show)
    for name, summary in (("add", "let somebody in"), ("rm", "take somebody out")):
        action = actions.add(name, summary, _change)
        add_target(action, Of.DATABASE)
        for kind in _KINDS:
            option = "--" + kind.replace("_", "-")
            action.add_argument(
                option, action="append", default=[], metavar="NAME", help=_HELP[kind]
            )
        add_output(action)


_HELP = {
    "admin": "a user who may also write design documents and change this",
    "admin_role": "a role whose users may do so",
    "member": "a user who may read and write documents",
    "member_role": "a role whose users may do so",
}


async def _show(given: argparse.Namespace) -> int:
    target, out = read_target(given, Of.DATABASE), Output(given)
    async with target.connect() as couchdb:
        security = await target.database(couchdb).security()
    if out.is_json:
        out.document(dict(security))
        return Exit.DONE
    out.table(_rows(security), _COLUMNS)
    if not (security.members or security.member_roles):
        out.note("there are no members: everybody who can reach the server may read and write it")
    return Exit.DONE


def _rows(security: SecurityDocument) -> Iterator[dict[str, Any]]:
    for group in ("admins", "members"):
        for kind in ("names", "roles"):
            for name in security.get(group, {}).get(kind, []):
                yield {"group": group, "kind": kind.rstrip("s"), "name": name}


def _apply(security: SecurityDocument, action: str, kind: str, name: str) -> None:
    change = getattr(security, f"{'add' if action == 'add' else 'remove'}_{kind}")
    try:
        change(name)
    except NotFoundError:
        what = f"{kind.replace('_', ' ')}s"
        raise CommandError(f"{name!r} is not among the {what}", Exit.NOT_FOUND) from None


async def _change(given: argparse.Namespace) -> int:
    target, out = read_target(given, Of.DATABASE), Output(given)
    if not any(getattr(given, kind) for kind in _KINDS):
        options = ", ".join("--" + kind.replace("_", "-") for kind in _KINDS)
        raise CommandError(f"who? {options}", Exit.USAGE)
    async with target.connect() as couchdb:
        security = await target.database(couchdb).security()
        for kind in _KINDS:
            for name in getattr(given, kind):
                _apply(security, given.action, kind, name)
        await security.save()
        if out.is_json:
            out.document(dict(security))
    return Exit.DONE
