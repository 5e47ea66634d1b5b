"""`aiocouch conflicts ACTION DATABASE …`: what replication leaves beside one another."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING, Any

import msgspec

from aiocouch import CouchDBError
from aiocouch.cli.actions import Actions
from aiocouch.cli.exits import CommandError, Exit, Tally, exit_of
from aiocouch.cli.merging import ABSENT, differences, merge
from aiocouch.cli.output import Column, Output, add_output, several
from aiocouch.cli.target import Of, add_target, read_target
from aiocouch.cli.told import words_of
from aiocouch.cli.values import ids_of, value_of

if TYPE_CHECKING:
    import argparse
    from collections.abc import AsyncGenerator, Callable, Iterator, Sequence

    from aiocouch import Database, Document
    from aiocouch.cli.merging import Difference

    Merge = Callable[[Document | None, list[Document]], dict[str, Any]]

__all__ = ["configure"]

_LIST = (Column("id"), Column("rev", "winner"), Column("conflicts", shown=", ".join))
_VALUES = (Column("member"), Column("value"), Column("versions"))
_DONE = (Column("id"), Column("rev", "revision"))
_BESIDE = 16  # characters of a terminal that a version needs beside others
_OWN = frozenset({"_id", "_rev", "_conflicts", "_revisions"})


def configure(parser: argparse.ArgumentParser) -> None:
    """Say what the command does, and which options it takes."""
    actions = Actions(parser, "list, show or resolve")
    listing = actions.add("list", "list the documents that have conflicts", _list)
    add_target(listing, Of.DATABASE)
    add_output(listing)
    show = actions.add("show", "show the versions of a document side by side", _show)
    add_target(show, Of.DATABASE)
    show.add_argument("id", metavar="ID", help="the document")
    add_output(show)
    resolve = actions.add("resolve", "make one of the versions of documents", _resolve)
    add_target(resolve, Of.DATABASE)
    resolve.add_argument("ids", nargs="*", metavar="ID", help="the documents; - for ids from stdin")
    resolve.add_argument("--all", action="store_true", help="all documents that have conflicts")
    how = resolve.add_mutually_exclusive_group(required=True)
    how.add_argument(
        "--merge", action="store_true", help="merge what each has changed, unless that overlaps"
    )
    how.add_argument(
        "--keep", metavar="REV", help="keep this version, or winner for that of CouchDB"
    )
    add_output(resolve)


async def _list(given: argparse.Namespace) -> int:
    target, out = read_target(given, Of.DATABASE), Output(given)
    async with target.connect() as couchdb:
        found = target.database(couchdb).conflicts()
        await out.stream((each._asdict() async for each in found), _LIST)
    return Exit.DONE


async def _show(given: argparse.Namespace) -> int:
    target, out = read_target(given, Of.DATABASE), Output(given)
    async with target.connect() as couchdb:
        leaves = await target.database(couchdb).leaves(given.id)
        base = await leaves.base()
    versions = [leaves.winner, *leaves.conflicts]
    contents = [_content(version) for version in versions]
    found = differences(contents, ABSENT if base is None else _content(base))
    if out.is_json:
        shown = [each.path for each in found]
        kept = None if base is None else dict(base)
        whole = {"id": given.id, "base": kept, "versions": [dict(v) for v in versions]}
        out.document({**whole, "differing": shown})
        return Exit.DONE
    if not leaves.conflicts:
        out.note(f"{given.id!r} has no conflicts")
    revs = [str(version.rev) for version in versions]
    if out.is_terminal and (len(revs) + 2) * _BESIDE > shutil.get_terminal_size().columns:
        out.table(_below(found, revs, leaves.ancestor), _VALUES)
    else:
        _print_beside(found, revs, leaves.ancestor, out)
    return Exit.DONE


def _print_beside(
    found: Sequence[Difference], revs: Sequence[str], ancestor: str | None, out: Output
) -> None:
    """Print a column for each version."""
    columns = [Column("member"), Column("base", f"base {ancestor or ''}".strip())]
    columns += [Column(rev, f"{'winner ' * (not at)}{rev}") for at, rev in enumerate(revs)]
    rows = [
        {"member": path, "base": _shown(was), **dict(zip(revs, map(_shown, values), strict=True))}
        for path, was, values in found
    ]
    if not out.is_terminal:
        out.write("\t".join(column.heading or column.name for column in columns))
    out.table(rows, columns)


def _below(
    found: Sequence[Difference], revs: Sequence[str], ancestor: str | None
) -> Iterator[dict[str, Any]]:
    """Yield a row for each value that a member has, with the versions that have it."""
    names = [f"{'winner ' * (not at)}{rev}" for at, rev in enumerate(revs)]
    for path, was, values in found:
        having: dict[str | None, list[str]] = {}
        for name, value in zip(names, values, strict=True):
            having.setdefault(_shown(value), []).append(name)
        rows = [(f"base {ancestor}", _shown(was))] if ancestor else []
        rows += [(_told(some), value) for value, some in having.items()]
        for number, (who, value) in enumerate(rows):
            yield {"member": "" if number else path, "value": value, "versions": who}


def _told(names: Sequence[str]) -> str:
    first, *others = names
    return f"{first} and {several(len(others), 'other')}" if others else first


def _content(document: Document) -> dict[str, Any]:
    """Return the content, where attachments are what is in them and not when they came."""
    found = {name: value for name, value in document.items() if name not in _OWN}
    if stubs := found.get("_attachments"):
        found["_attachments"] = {
            name: {member: stub.get(member) for member in ("content_type", "digest", "length")}
            for name, stub in stubs.items()
        }
    return found


def _shown(value: Any) -> str | None:
    """Return a value as people type it: a text that reads as something else has quotes. None is nothing."""
    if value is ABSENT:
        return None
    is_plain = isinstance(value, str) and value != "" and value_of(value) == value
    return str(value) if is_plain else msgspec.json.encode(value).decode()


async def _resolve(given: argparse.Namespace) -> int:
    target, out = read_target(given, Of.DATABASE), Output(given)
    if bool(given.ids) is given.all:
        raise CommandError("which documents? Their ids, or --all", Exit.USAGE)
    how = _merged if given.merge else _keeper(given.keep)
    count = Tally()
    async with target.connect() as couchdb:
        db = target.database(couchdb)
        await out.stream(_resolved(db, given, how, out, count), _DONE)
    return count.status


async def _ids(db: Database, given: argparse.Namespace) -> AsyncGenerator[str, None]:
    if given.all:
        async for found in db.conflicts():
            yield found.id
    for doc_id in ids_of(given.ids):
        yield doc_id


async def _resolved(
    db: Database, given: argparse.Namespace, how: Merge, out: Output, count: Tally
) -> AsyncGenerator[dict[str, Any], None]:
    async for doc_id in _ids(db, given):
        try:
            document = await db.resolve(doc_id, how)
        except (CommandError, CouchDBError) as error:
            out.problem(f"{doc_id}: {words_of(error, given)}")
            count.failed.add(exit_of(error))
        else:
            count.done += 1
            yield {"id": doc_id, "rev": document.rev}


def _keeper(rev: str) -> Merge:
    """Return what keeps one version."""

    def keep(base: Document | None, versions: list[Document]) -> dict[str, Any]:
        for version in versions:
            if rev in {version.rev, "winner"}:
                return _whole(version)
        raise CommandError(f"it has no version {rev}", Exit.NOT_FOUND)

    return keep


def _whole(version: Document) -> dict[str, Any]:
    kept = {name: value for name, value in version.items() if name not in _OWN}
    return {"_attachments": {}, **kept}


def _merged(base: Document | None, versions: list[Document]) -> dict[str, Any]:
    """Merge what each version has changed. Raise `CommandError` where that overlaps."""
    if base is None:
        said = "their common ancestor is not there any more: `conflicts show`, and --keep REV"
        raise CommandError(said, Exit.CONFLICT)
    before, found = _content(base), _content(versions[0])
    for version in versions[1:]:
        found, overlaps = merge(before, found, _content(version))
        if overlaps:
            places = ", ".join(each.path for each in overlaps)
            raise CommandError(f"the versions overlap in {places}: --keep REV", Exit.CONFLICT)
    stubs = {
        name: _stub(name, each, versions) for name, each in found.get("_attachments", {}).items()
    }
    return {**found, "_attachments": stubs}


def _stub(name: str, wanted: dict[str, Any], versions: list[Document]) -> dict[str, Any]:
    """Return an attachment as the version has it that it comes from."""
    for version in versions:
        found: dict[str, Any] | None = version.get("_attachments", {}).get(name)
        if found is not None and found.get("digest") == wanted.get("digest"):
            return found
    return wanted
