"""`aiocouch users ACTION`: who can log in."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from aiocouch.cli.actions import Actions
from aiocouch.cli.asking import new_password
from aiocouch.cli.exits import Exit
from aiocouch.cli.output import Column, Output, add_output
from aiocouch.cli.target import Of, add_target, read_target

if TYPE_CHECKING:
    import argparse
    from collections.abc import AsyncGenerator

    from aiocouch import CouchDB

__all__ = ["configure"]

_COLUMNS = (Column("name"), Column("roles", shown=", ".join))
_PREFIX = "org.couchdb.user:"


def configure(parser: argparse.ArgumentParser) -> None:
    """Say what the command does, and which options it takes."""
    parser.epilog = (
        "These are the documents of _users. Admins of the configuration are not among them."
    )
    actions = Actions(parser, "list, add, passwd, roles or rm")
    listing = actions.add("list", "list the users and their roles", _list)
    add_target(listing, Of.SERVER)
    add_output(listing)
    add = _of_user(actions.add("add", "create a user", _add))
    add.add_argument("--role", action="append", default=[], help="a role; may be repeated")
    _add_password(add)
    _add_password(_of_user(actions.add("passwd", "set another password", _passwd)))
    roles = _of_user(actions.add("roles", "set the roles of a user, all of them", _roles))
    which = roles.add_mutually_exclusive_group(required=True)
    which.add_argument("--role", action="append", default=[], help="a role; may be repeated")
    which.add_argument("--none", action="store_true", help="no roles")
    _of_user(actions.add("rm", "delete a user", _rm))


def _of_user(parser: argparse.ArgumentParser) -> argparse.ArgumentParser:
    add_target(parser, Of.SERVER)
    parser.add_argument("name", metavar="NAME", help="the name of the user")
    add_output(parser)
    return parser


def _add_password(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--password-stdin",
        action="store_true",
        help="the password is the first line of stdin; else it is asked for on a terminal",
    )


async def _list(given: argparse.Namespace) -> int:
    target, out = read_target(given, Of.SERVER), Output(given)
    async with target.connect() as couchdb:
        await out.stream(_users(couchdb), _COLUMNS)
    return Exit.DONE


async def _users(couchdb: CouchDB) -> AsyncGenerator[dict[str, Any], None]:
    async for user in couchdb.users.database.docs(prefix=_PREFIX):
        yield {"name": user.id.removeprefix(_PREFIX), "roles": user.get("roles", [])}


async def _add(given: argparse.Namespace) -> int:
    target, out = read_target(given, Of.SERVER), Output(given)
    password = new_password(given.name, from_stdin=given.password_stdin)
    async with target.connect() as couchdb:
        await couchdb.users.create(given.name, password, given.role)
        out.facts({"name": given.name, "roles": given.role}, _COLUMNS)
    return Exit.DONE


async def _passwd(given: argparse.Namespace) -> int:
    target = read_target(given, Of.SERVER)
    password = new_password(given.name, from_stdin=given.password_stdin)
    async with target.connect() as couchdb:
        await couchdb.users.set_password(given.name, password)
    return Exit.DONE


async def _roles(given: argparse.Namespace) -> int:
    target, out = read_target(given, Of.SERVER), Output(given)
    async with target.connect() as couchdb:
        await couchdb.users.set_roles(given.name, given.role)
        out.facts({"name": given.name, "roles": given.role}, _COLUMNS)
    return Exit.DONE


async def _rm(given: argparse.Namespace) -> int:
    target = read_target(given, Of.SERVER)
    async with target.connect() as couchdb:
        await couchdb.users.delete(given.name)
    return Exit.DONE
