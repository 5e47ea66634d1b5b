"""`aiocouch info ADDRESS`: about a server, or a database."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from aiocouch.cli.output import Column, Output, add_output, as_bytes, as_count
from aiocouch.cli.target import Of, add_target, read_target

if TYPE_CHECKING:
    import argparse

    from aiocouch import CouchDB

__all__ = ["configure"]

_SERVER = (
    Column("url"),
    Column("version"),
    Column("vendor"),
    Column("user"),
    Column("roles", shown=", ".join),
    Column("databases", shown=as_count),
    Column("features", shown=", ".join),
    Column("uuid"),
)
_DATABASE = (
    Column("db_name", "name"),
    Column("doc_count", "documents", as_count),
    Column("doc_del_count", "deleted", as_count),
    Column("active", shown=as_bytes),
    Column("external", shown=as_bytes),
    Column("file", shown=as_bytes),
    Column("shards"),
    Column("replicas"),
    Column("partitioned"),
    Column("compact_running", "compacting"),
    Column("update_seq", "sequence"),
)


def configure(parser: argparse.ArgumentParser) -> None:
    """Say what the command does, and which options it takes."""
    parser.epilog = "--json gives all that CouchDB says, and exact numbers."
    add_target(parser, Of.EITHER)
    add_output(parser)
    parser.set_defaults(run=_run)


async def _run(given: argparse.Namespace) -> int:
    target, out = read_target(given, Of.EITHER), Output(given)
    async with target.connect() as couchdb:
        if target.name is None:
            out.facts({"url": target.url, **await _server(couchdb)}, _SERVER)
        else:
            out.facts(_flat(await target.database(couchdb).info(), out), _DATABASE)
    return 0


async def _server(couchdb: CouchDB) -> dict[str, Any]:
    greeting, who = await couchdb.info(), (await couchdb.session.info())["userCtx"]
    count = len(await couchdb.keys()) if "_admin" in who["roles"] else None
    return {
        **greeting,
        "vendor": greeting.get("vendor", {}).get("name"),
        "user": who["name"],
        "roles": who["roles"],
        "databases": count,
    }


def _flat(info: dict[str, Any], out: Output) -> dict[str, Any]:
    if out.is_json:
        return info
    cluster, props = info.get("cluster", {}), info.get("props", {})
    return {
        **info,
        **info.get("sizes", {}),
        "shards": cluster.get("q"),
        "replicas": cluster.get("n"),
        "partitioned": props.get("partitioned", False),
    }
