"""`/_cluster_setup`: what set-up scripts send to a new CouchDB. Here a server is always one node."""

from __future__ import annotations

import contextlib
import ipaddress
from typing import TYPE_CHECKING, Any

from aiocouch.embedded.errors import CouchError, bad_request, internal
from aiocouch.embedded.http.routing import server_route

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from aiocouch.embedded.http.exchange import Exchange
    from aiocouch.embedded.http.message import Reply
    from aiocouch.embedded.state import Server

_SYSTEM_DATABASES = ["_users", "_replicator"]
_LOCAL = ("127.0.0.1", "::1")
_ALONE = "This server is a single node: it joins no cluster and takes no other node in."


@server_route("_cluster_setup", methods=("GET", "POST"), json_post=True)
async def cluster_setup(exchange: Exchange) -> Reply:
    """Answer GET and POST of `/_cluster_setup`."""
    if exchange.method != "POST":
        names = exchange.query.json("ensure_dbs_exist", _SYSTEM_DATABASES)
        return exchange.answer({"state": _state(exchange.server, names)})
    setup = await _body(exchange)
    action = setup.get("action", "missing")
    if not isinstance(action, str):
        raise internal("badarg")
    if action not in _ACTIONS:
        raise bad_request("Invalid Action'")
    await _ACTIONS[action](exchange.server, setup)
    return exchange.answer({"ok": True}, 201)


async def _body(exchange: Exchange) -> dict[str, Any]:
    try:
        return await exchange.json_object()
    except CouchError as error:
        raise bad_request("Missing JSON body'") from error


def _state(server: Server, names: object) -> str:
    config = server.config
    if config.flag("couchdb", "single_node", default=False):
        return "single_node_enabled"
    if config.integer("cluster", "n", 3) == 1:
        enabled = bool(config.section("admins")) and _have_all(server, names)
        return "single_node_enabled" if enabled else "single_node_disabled"
    if not _is_cluster_enabled(server):
        return "cluster_disabled"
    return "cluster_finished" if _have_all(server, names) else "cluster_enabled"


def _is_cluster_enabled(server: Server) -> bool:
    address = server.config.get("chttpd", "bind_address")
    return address != "127.0.0.1" and bool(server.config.section("admins"))


def _names(setup: Mapping[str, Any]) -> object:
    return setup.get("ensure_dbs_exist", _SYSTEM_DATABASES)


def _have_all(server: Server, names: object) -> bool:
    return all(name in server.databases for name in _listed(names))


def _listed(names: object) -> list[str]:
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise internal("function_clause")
    return names


# actions


async def _enable_single_node(server: Server, setup: Mapping[str, Any]) -> None:
    _require_admins(server, setup)
    await _set_up_node(server, setup, 1)
    _create_missing(server, _names(setup))


async def _enable_cluster(server: Server, setup: Mapping[str, Any]) -> None:
    if "remote_node" in setup:
        raise bad_request(_ALONE)
    if _is_cluster_enabled(server):
        raise bad_request("Cluster is already enabled")
    _require_admins(server, setup)
    _require_remote_address(server, setup.get("bind_address"))
    if "node_count" not in setup:
        raise _error("Cluster setup requires node_count to be configured")
    await _set_up_node(server, setup, setup["node_count"])


async def _finish_cluster(server: Server, setup: Mapping[str, Any]) -> None:
    if _have_all(server, _names(setup)):
        raise bad_request("Cluster is already finished")
    _create_missing(server, _names(setup))


async def _add_node(server: Server, setup: Mapping[str, Any]) -> None:
    del setup
    if not _is_cluster_enabled(server):
        raise bad_request("Cluster is not enabled.")
    raise bad_request(_ALONE)


async def _remove_node(server: Server, setup: Mapping[str, Any]) -> None:
    """Do nothing: CouchDB has no more to this action than its name."""


async def _receive_cookie(server: Server, setup: Mapping[str, Any]) -> None:
    del server, setup
    raise bad_request(_ALONE)


_ACTIONS: dict[str, Callable[[Server, Mapping[str, Any]], Awaitable[None]]] = {
    "enable_single_node": _enable_single_node,
    "enable_cluster": _enable_cluster,
    "finish_cluster": _finish_cluster,
    "add_node": _add_node,
    "remove_node": _remove_node,
    "receive_cookie": _receive_cookie,
}


def _error(reason: str) -> CouchError:
    return internal(reason, "error")


def _require_admins(server: Server, setup: Mapping[str, Any]) -> None:
    if not server.config.section("admins") and not {"username", "password"} & setup.keys():
        raise _error("Cluster setup requires admin account to be configured")


def _require_remote_address(server: Server, address: object) -> None:
    current = server.config.get("chttpd", "bind_address")
    if address in _LOCAL or (address is None and current in _LOCAL):
        raise _error("Cluster setup requires a remote bind_address (not 127.0.0.1 nor ::1)")
    if address is not None:
        _check_address(address)


def _check_address(address: object) -> None:
    if not isinstance(address, str):
        raise internal("badarg")
    try:
        ipaddress.ip_address(address)
    except ValueError:
        # the sentence that CouchDB has for it, it prints and forgets
        raise _error("ok") from None


async def _set_up_node(server: Server, setup: Mapping[str, Any], nodes: object) -> None:
    """Keep the settings. The address and the port are those of the next start, as far as they go."""
    await _set_admin(server, setup)
    address, port = setup.get("bind_address"), setup.get("port")
    _check_address(address)
    if not isinstance(nodes, int) or isinstance(nodes, bool):
        raise internal("badarg")
    server.config.put("chttpd", "bind_address", str(address))
    server.config.put("cluster", "n", str(min(nodes, 3)))
    if port is None:
        return
    if not isinstance(port, str | int) or isinstance(port, bool):
        raise internal("case_clause")
    server.config.put("chttpd", "port", str(port))


async def _set_admin(server: Server, setup: Mapping[str, Any]) -> None:
    name, password = setup.get("username"), setup.get("password_hash", setup.get("password"))
    if name is None and password is None:
        return
    if not isinstance(name, str) or not isinstance(password, str):
        raise internal("badarg")
    await server.auth.accounts.put_admin(name, password, persist=True)


def _create_missing(server: Server, names: object) -> None:
    for name in _listed(names):
        if name not in server.databases:
            with contextlib.suppress(CouchError):  # CouchDB does not look at what comes of it
                server.databases.create(name)
