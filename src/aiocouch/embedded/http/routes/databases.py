"""`/db` itself: create, delete, look at, add a document."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING
from urllib.parse import quote

from aiocouch.embedded.documents.edits import read_edit
from aiocouch.embedded.errors import (
    bad_request,
    insufficient_storage,
    method_not_allowed,
    no_database,
)
from aiocouch.embedded.http.database_info import database_info
from aiocouch.embedded.http.routes.attachments import compression
from aiocouch.embedded.http.routes.documents import answer_batch, check_size, location
from aiocouch.embedded.http.routing import default_route
from aiocouch.embedded.store.registry import check_database_name
from aiocouch.embedded.store.schema import DEFAULT_Q

if TYPE_CHECKING:
    from aiocouch.embedded.http.exchange import Exchange
    from aiocouch.embedded.http.message import Reply
    from aiocouch.embedded.http.query import Query
    from aiocouch.embedded.node.config import Configuration

_OPEN_TO_ALL = frozenset({"everyone", "admin_local"})
_SYSTEM = frozenset({"_dbs", "_global_changes", "_metadata", "_nodes", "_replicator", "_users"})
_POSITIVE = re.compile(r"0*[1-9]\d*")
_PLACEMENT = re.compile(r"[^:,]+:\d+(,[^:,]+:\d+)*")
_MOST_SHARDS = 100_000
_METHODS = ("DELETE", "GET", "HEAD", "POST")


@default_route("database")
async def database(exchange: Exchange) -> Reply:
    """Answer `/db`."""
    if exchange.method == "PUT":
        return await _create(exchange)
    if exchange.method == "DELETE":
        return await _delete(exchange)
    if not exchange.has_database:
        raise no_database()
    if exchange.method in {"GET", "HEAD"}:
        return exchange.answer(database_info(exchange.database))
    if exchange.method == "POST":
        return await _post(exchange)
    raise method_not_allowed(_METHODS)


async def _create(exchange: Exchange) -> Reply:
    name, server = exchange.segments[0], exchange.server
    _check_options(exchange.query)
    partitioned = exchange.query.is_true("partitioned")
    if partitioned and _is_system(name, server.config):
        raise bad_request("Cannot partition a system database")
    if name not in server.databases and server.hooks.disk_is_full():
        check_database_name(name)
        raise insufficient_storage()
    database = server.databases.create(
        name,
        partitioned=partitioned,
        q=int(exchange.query.text("q") or server.config.integer("cluster", "q", DEFAULT_Q)),
    )
    if server.config.text("couchdb", "default_security") in _OPEN_TO_ALL:
        await database.set_security({})
    return exchange.answer({"ok": True}, 201, {"Location": exchange.url(quote(name, safe=""))})


def _is_system(name: str, config: Configuration) -> bool:
    last = name.rpartition("/")[2]
    users = config.text("couchdb", "users_db_suffix", "_users")
    return name in _SYSTEM or last in {"_replicator", "_users", users}


def _check_options(query: Query) -> None:
    """Raise 400 for options of a cluster that make no sense; the others are at most told back."""
    for name in ("q", "n"):
        if not _POSITIVE.fullmatch(query.text(name, "1") or ""):
            raise bad_request(f"The `{name}` value should be a positive integer.")
    if int(query.text("q", "1") or "") > _MOST_SHARDS:
        raise bad_request(f"The `q` value should be {_MOST_SHARDS} at most.")
    if not _PLACEMENT.fullmatch(query.text("placement", "z:1") or ""):
        raise bad_request("The `placement` value should be in a format `zone:n`.")
    if query.text("engine", "couch") != "couch":
        raise bad_request("invalid_engine_extension")
    if query.text("partitioned", "false") not in {"true", "false"}:
        raise bad_request("Invalid `partitioned` parameter")


async def _delete(exchange: Exchange) -> Reply:
    if "rev" in exchange.query:
        raise bad_request(
            "You tried to DELETE a database with a ?=rev parameter. "
            "Did you mean to DELETE a document instead?"
        )
    if not await exchange.server.databases.delete(exchange.segments[0]):
        raise no_database()
    return exchange.answer({"ok": True})


async def _post(exchange: Exchange) -> Reply:
    """Write a document that says its id itself, or gets one."""
    exchange.require_json_type()
    edit = read_edit(await exchange.json(), compression(exchange.server.config))
    check_size(exchange, edit, edit.id)
    if edit.id == "":
        edit.id = exchange.server.uuids.new()
    update = exchange.server.update(exchange.database, exchange.user)
    if exchange.query.text("batch") == "ok":
        return answer_batch(exchange, update, edit)
    outcome = await update.write(edit)
    answer = {"ok": True, "id": edit.id, "rev": outcome.rev}
    return exchange.answer(answer, exchange.written, {"Location": location(exchange, edit.id)})
