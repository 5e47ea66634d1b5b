"""What the server tells of itself: `/`, `_up`, `_uuids`, tasks, membership."""

from __future__ import annotations

import hashlib
import re
from typing import TYPE_CHECKING, Any

from aiocouch.embedded.errors import (
    CouchError,
    bad_request,
    internal,
)
from aiocouch.embedded.http.exchange import SERVER_NAME
from aiocouch.embedded.http.routing import server_route
from aiocouch.embedded.node.tasks import NODE

if TYPE_CHECKING:
    from aiocouch.embedded.http.exchange import Exchange
    from aiocouch.embedded.http.message import Reply

VERSION = "3.5.2"
"""The version of CouchDB whose interface this is."""

_SHA = hashlib.sha1(SERVER_NAME.encode(), usedforsecurity=False).hexdigest()[:9]
"""Stands where CouchDB names the commit that it was built from."""

_READ = ("GET", "HEAD")
_FEATURES = [
    "quickjs",
    "access-ready",
    "partitioned",
    "pluggable-storage-engines",
    "reshard",
    "scheduler",
]
_NOT_CACHED = {
    "Cache-Control": "no-cache",
    "Expires": "Mon, 01 Jan 1990 00:00:00 GMT",
    "Pragma": "no-cache",
}
_INTEGER = re.compile(r"[+-]?\d+")


@server_route("", methods=_READ)
async def welcome(exchange: Exchange) -> Reply:
    """Answer `/`."""
    value: dict[str, Any] = {
        "couchdb": "Welcome",
        "version": VERSION,
        "git_sha": _SHA,
        "uuid": exchange.server.uuid,
        "features": _FEATURES,
    }
    if vendor := exchange.server.config.section("vendor"):
        value["vendor"] = vendor
    return exchange.answer(value)


@server_route("_up", methods=_READ)
async def up(exchange: Exchange) -> Reply:
    """Answer `/_up`: 404 in the maintenance modes."""
    mode = exchange.server.config.get("couchdb", "maintenance_mode")
    if mode in ("true", "nolb"):
        status = "maintenance_mode" if mode == "true" else mode
        return exchange.answer({"status": status}, 404)
    return exchange.answer({"status": "ok", "seeds": {}})


@server_route("_uuids", methods=("GET",))
async def uuids(exchange: Exchange) -> Reply:
    """Answer `/_uuids`; `count` of them."""
    found = [exchange.server.uuids.new() for _ in range(_count(exchange))]
    headers = {**_NOT_CACHED, "ETag": etag_of(*found)}
    return exchange.answer({"uuids": found}, 200, headers)


def _count(exchange: Exchange) -> int:
    text = exchange.query.text("count", "1") or ""
    if not _INTEGER.fullmatch(text) or int(text) < 0:
        raise bad_request("count must be a positive integer")
    if int(text) > exchange.server.config.integer("uuids", "max_count", 1000):
        raise bad_request("count parameter too large")
    return int(text)


def etag_of(*parts: str) -> str:
    """Return a quoted tag that changes with the parts."""
    digest = hashlib.md5("\0".join(parts).encode(), usedforsecurity=False)
    return f'"{digest.hexdigest()}"'


@server_route("_active_tasks", methods=_READ)
async def active_tasks(exchange: Exchange) -> Reply:
    """Answer `/_active_tasks`; it is open to look at the method, but not to read."""
    if not exchange.user.is_server_admin:
        raise CouchError(401, "unauthorized", "You are not a server admin.")
    return exchange.answer(exchange.server.tasks.shown())


@server_route("_membership", methods=("GET",))
async def membership(exchange: Exchange) -> Reply:
    """Answer `/_membership`: a cluster of one."""
    if len(exchange.segments) > 1:
        raise internal("function_clause")
    return exchange.answer({"all_nodes": [NODE], "cluster_nodes": [NODE]})


@server_route("_reload_query_servers", methods=("POST",), json_post=True)
async def reload_query_servers(exchange: Exchange) -> Reply:
    """Answer `/_reload_query_servers`: JavaScript starts afresh."""
    await exchange.server.reload_javascript()
    return exchange.answer({"ok": True})
