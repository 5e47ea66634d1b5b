"""`/_node`: the one node that the server is."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from aiocouch.embedded.errors import CouchError, bad_request, method_not_allowed, not_found
from aiocouch.embedded.http.figures import levels, system_figures
from aiocouch.embedded.http.routes.config import config
from aiocouch.embedded.http.routes.server_info import VERSION, active_tasks, uuids
from aiocouch.embedded.http.routes.session import session
from aiocouch.embedded.http.routing import server_route
from aiocouch.embedded.node.prometheus import prometheus
from aiocouch.embedded.node.statistics import nested
from aiocouch.embedded.node.tasks import NODE
from aiocouch.embedded.store.registry import check_database_name
from aiocouch.embedded.who.cookies import HASHES

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from aiocouch.embedded.http.exchange import Exchange
    from aiocouch.embedded.http.message import Reply

_CHANNELS = (
    "upgrade_views",
    "upgrade_dbs",
    "slack_views",
    "slack_dbs",
    "ratio_views",
    "ratio_dbs",
    "index_cleanup",
)


@server_route("_node")
async def node(exchange: Exchange) -> Reply:
    """Answer `/_node/{node}/…`."""
    path = exchange.segments[1:]
    if not path:
        raise bad_request("Incomplete path to _node request")
    if path == ["_local"]:
        return exchange.answer({"name": NODE})
    if path[0] not in ("_local", NODE):
        if path[1:] in (["_config"], ["_stats"]):
            _allow_only(exchange, "GET")
        raise not_found(f"no such node: {path[0]}")
    if len(path) == 1:
        return _local_welcome(exchange)
    if path[1] == "_config":
        return await config(exchange, path[2:])
    return await _part(exchange, path[1:])


async def _part(exchange: Exchange, path: list[str]) -> Reply:
    handler = _PARTS.get("/".join(path)) or (_stats if path[0] == "_stats" else None)
    if handler is None:
        if path[0].startswith("_"):
            check_database_name(path[0])
        raise not_found("no_db_file")
    _allow_only(exchange, *_METHODS.get(path[0], ("GET",)))
    return await handler(exchange)


def _allow_only(exchange: Exchange, *methods: str) -> None:
    if methods and ("GET" if exchange.method == "HEAD" else exchange.method) not in methods:
        raise method_not_allowed(methods)


def _local_welcome(exchange: Exchange) -> Reply:
    value = {"couchdb": "Welcome", "uuid": exchange.server.uuid, "version": VERSION}
    return exchange.answer({**value, "vendor": exchange.server.config.section("vendor")})


async def _stats(exchange: Exchange) -> Reply:
    value: Any = nested(_metrics(exchange))
    for step in exchange.segments[3:]:
        value = value.get(step) if isinstance(value, dict) else None
    return exchange.answer(value)


async def _prometheus(exchange: Exchange) -> Reply:
    text = prometheus(_metrics(exchange), system_figures(exchange.server)).encode()
    answer = exchange.answer_bytes(text, "text/plain; version=2.0")
    del answer.headers["Cache-Control"]
    return answer


def _metrics(exchange: Exchange) -> dict[tuple[str, ...], dict[str, Any]]:
    server = exchange.server
    return server.statistics.metrics(levels(server))


async def _system(exchange: Exchange) -> Reply:
    return exchange.answer(system_figures(exchange.server))


async def _versions(exchange: Exchange) -> Reply:
    version = ".".join(str(part) for part in sys.version_info[:3])
    value = {
        "javascript_engine": {"name": "quickjs"},
        "erlang": {"version": "none", "supported_hashes": list(HASHES)},
        "python": {"version": version},
        "collation_driver": {"name": "libicu"},
    }
    return exchange.answer(value)


async def _all_dbs(exchange: Exchange) -> Reply:
    return exchange.answer(exchange.server.databases.names())


async def _smoosh(exchange: Exchange) -> Reply:
    idle = {"waiting": {"size": 0, "min": 0, "max": 0}, "starting": 0, "active": 0}
    return exchange.answer({"channels": dict.fromkeys(_CHANNELS, idle)})


async def _utils(exchange: Exchange) -> Reply:
    del exchange
    reason = "The web interface is no longer available on the node-local port."
    raise CouchError(410, "no_node_local_fauxton", reason)


async def _restart(exchange: Exchange) -> Reply:
    # There is no node to restart apart from the process that holds us.
    await exchange.server.reload_javascript()
    return exchange.answer({"ok": True})


_PARTS: dict[str, Callable[[Exchange], Awaitable[Reply]]] = {
    "_active_tasks": active_tasks,
    "_all_dbs": _all_dbs,
    "_session": session,
    "_utils": _utils,
    "_versions": _versions,
    "_system": _system,
    "_prometheus": _prometheus,
    "_smoosh/status": _smoosh,
    "_restart": _restart,
    "_uuids": uuids,
}

_METHODS: dict[str, tuple[str, ...]] = {
    "_active_tasks": ("GET", "HEAD"),
    "_all_dbs": ("GET", "HEAD"),
    "_restart": ("POST",),
    # these look themselves
    "_session": (),
    "_utils": (),
}
