"""`/_node/_local/_config`: read and change the settings."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aiocouch.embedded.errors import bad_request, forbidden, method_not_allowed, not_found
from aiocouch.embedded.node.config import CLOSED_SECTIONS, InvalidSettingError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from aiocouch.embedded.http.exchange import Exchange
    from aiocouch.embedded.http.message import Reply

_UNKNOWN = "unknown_config_value"


async def config(exchange: Exchange, path: Sequence[str]) -> Reply:
    """Answer a path below `_config`; `path` is what follows it."""
    if len(path) > 2:
        raise not_found()
    if len(path) == 2:
        return await _setting(exchange, path[0], path[1])
    if path and path[0] == "_reload":
        return _reload(exchange)
    if exchange.method not in ("GET", "HEAD"):
        raise method_not_allowed(("GET",))
    await exchange.server.auth.accounts.hash_admins()
    if path:
        return exchange.answer(exchange.server.config.section(path[0]))
    return exchange.answer(exchange.server.config.sections())


def _reload(exchange: Exchange) -> Reply:
    if exchange.method != "POST":
        raise method_not_allowed(("POST",))
    exchange.server.config.reload()
    return exchange.answer({"ok": True})


async def _setting(exchange: Exchange, section: str, key: str) -> Reply:
    if exchange.method in ("GET", "HEAD"):
        return await _read(exchange, section, key)
    if exchange.method == "PUT":
        return await _write(exchange, section, key)
    if exchange.method == "DELETE":
        return _delete(exchange, section, key)
    raise method_not_allowed(("GET", "PUT", "DELETE"))


async def _read(exchange: Exchange, section: str, key: str) -> Reply:
    if section == "admins":
        await exchange.server.auth.accounts.hash_admins()
    value = exchange.server.config.shown(section, key)
    if value is None:
        raise not_found(_UNKNOWN)
    return exchange.answer(value)


async def _write(exchange: Exchange, section: str, key: str) -> Reply:
    _check_open(section)
    value = await exchange.json()
    if not isinstance(value, str):
        raise bad_request("a JSON string expected")
    try:
        old = await _put(exchange, section, key, value)
    except InvalidSettingError as error:
        raise bad_request(str(error)) from error
    return exchange.answer(old)


async def _put(exchange: Exchange, section: str, key: str, value: str) -> str:
    server, persist = exchange.server, _is_kept(exchange)
    if section == "admins":
        return await server.auth.accounts.put_admin(key, value, persist=persist)
    return server.config.put(section, key, value, persist=persist)


def _delete(exchange: Exchange, section: str, key: str) -> Reply:
    _check_open(section)
    try:
        old = exchange.server.config.delete(section, key, persist=_is_kept(exchange))
    except KeyError as error:
        raise not_found(_UNKNOWN) from error
    return exchange.answer(old)


def _is_kept(exchange: Exchange) -> bool:
    return exchange.headers.get("X-Couch-Persist") != "false"


def _check_open(section: str) -> None:
    if section in CLOSED_SECTIONS:
        raise forbidden("Config section blacklisted for modification over HTTP API.")
