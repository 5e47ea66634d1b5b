"""`aiocouch ls ADDRESS`: the databases of a server, or the documents of a database."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from aiocouch.cli.output import Column, Output, add_output, as_bytes, as_count
from aiocouch.cli.target import Of, add_target, read_target
from aiocouch.cli.values import whole

if TYPE_CHECKING:
    import argparse
    from collections.abc import AsyncGenerator, Mapping

    from aiocouch import CouchDB, Database

__all__ = ["configure"]

_NAME = Column("name")
_SIZES = (
    _NAME,
    Column("documents", shown=as_count, is_number=True),
    Column("deleted", shown=as_count, is_number=True),
    Column("active", shown=as_bytes, is_number=True),
    Column("file", shown=as_bytes, is_number=True),
)
_ID = Column("id")
_TOGETHER = 100  # databases of one request, which is what CouchDB takes by default


def configure(parser: argparse.ArgumentParser) -> None:
    """Say what the command does, and which options it takes."""
    parser.epilog = (
        "Elsewhere than on a terminal, a line has the name or id, and with --long exact numbers."
    )
    add_target(parser, Of.EITHER)
    parser.add_argument(
        "-l",
        "--long",
        action="store_true",
        help="with numbers and sizes; for documents the revision",
    )
    parser.add_argument("--prefix", default="", help="only names or ids that begin so")
    parser.add_argument("--limit", type=whole, metavar="N", help="no more than so many")
    add_output(parser)
    parser.set_defaults(run=_run)


async def _run(given: argparse.Namespace) -> int:
    target, out = read_target(given, Of.EITHER), Output(given)
    async with target.connect() as couchdb:
        if target.name is None:
            await out.stream(_databases(couchdb, given), _SIZES if given.long else (_NAME,))
        else:
            columns = (_ID, Column("rev", "revision")) if given.long else (_ID,)
            await out.stream(_documents(target.database(couchdb), given), columns)
    return 0


def _range(given: argparse.Namespace) -> dict[str, Any]:
    options: dict[str, Any] = {} if given.limit is None else {"limit": given.limit}
    if given.prefix:
        options |= {"startkey": given.prefix, "endkey": given.prefix + "\uffff"}
    return options


def _as_json(options: dict[str, Any]) -> dict[str, Any]:
    return {name: json.dumps(value) for name, value in options.items()}


async def _databases(
    couchdb: CouchDB, given: argparse.Namespace
) -> AsyncGenerator[dict[str, Any], None]:
    names = await couchdb.keys(**_as_json(_range(given)))
    for at in range(0, len(names), _TOGETHER):
        some = names[at : at + _TOGETHER]
        if not given.long:
            for name in some:
                yield {"name": name}
            continue
        for found in await couchdb.dbs_info(some):
            info: Mapping[str, Any] = found.get("info") or {}
            sizes = info.get("sizes", {})
            yield {
                "name": found["key"],
                "documents": info.get("doc_count"),
                "deleted": info.get("doc_del_count"),
                "active": sizes.get("active"),
                "file": sizes.get("file"),
            }


async def _documents(
    db: Database, given: argparse.Namespace
) -> AsyncGenerator[dict[str, Any], None]:
    options: Any = {} if given.limit is None else {"limit": given.limit}
    async for row in db.all_docs.rows(prefix=given.prefix or None, **options):
        yield {"id": row.id, "rev": row.value["rev"]} if given.long else {"id": row.id}
