"""`/db/_design/name/_rewrite/…`: requests that a design document turns into others."""

from __future__ import annotations

from contextvars import ContextVar
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, quote_plus

from aiocouch.embedded.codec import decode, encode
from aiocouch.embedded.erlang_text import printed
from aiocouch.embedded.errors import CouchError, bad_request
from aiocouch.embedded.http.dispatch import dispatch
from aiocouch.embedded.http.request_object import request_object
from aiocouch.embedded.http.rewriting import Target, apply_rules, check_rules, resolve_path
from aiocouch.embedded.http.routes.views import find_design
from aiocouch.embedded.http.routing import design_route
from aiocouch.embedded.javascript.queryserver import design_unit
from aiocouch.embedded.store.records import render

if TYPE_CHECKING:
    from aiocouch.embedded.http.exchange import Exchange
    from aiocouch.embedded.http.message import Reply
    from aiocouch.embedded.store.records import Entry

_MOST = 100
_TEXTS = frozenset({"body", "method", "path"})
_OBJECTS = frozenset({"headers", "query"})
_NOT_TOLD = ("info", "uuid", "id", "form")
_depth: ContextVar[int] = ContextVar("depth", default=0)


@design_route("_rewrite")
async def rewrite(exchange: Exchange) -> Reply:
    """Answer as the request would be answered that the rules or the function make of this one."""
    entry = find_design(exchange.database, exchange.segments[2])
    design = decode(entry.body)
    rules = design.get("rewrites")
    if rules is None:
        raise _invalid_path()
    depth = _depth.get()
    if depth >= exchange.server.config.integer("chttpd", "rewrite_limit", _MOST):
        raise bad_request("Exceeded rewrite recursion limit")
    token = _depth.set(depth + 1)
    try:
        if isinstance(rules, list):
            return await _by_rules(exchange, rules)
        return await _by_function(exchange, entry, design.get("language", "javascript"))
    finally:
        _depth.reset(token)


def _base(exchange: Exchange) -> str:
    database, design = (quote(exchange.segments[at], safe="") for at in (0, 2))
    return f"/{database}/_design/{design}"


async def _by_rules(exchange: Exchange, rules: list[Any]) -> Reply:
    if exchange.server.config.flag("chttpd", "secure_rewrites", default=True):
        check_rules(rules)
    rest = exchange.segments[4:]
    pairs = exchange.query.pairs
    target = apply_rules(rules, exchange.method, rest, pairs, _base(exchange))
    return await dispatch(exchange.redirected(exchange.method, target.url))


async def _by_function(exchange: Exchange, entry: Entry, language: str) -> Reply:
    unit = design_unit(exchange.database.uuid, entry.id, entry.rev, render(entry), language)
    request = await request_object(exchange)
    for name in _NOT_TOLD:
        request.pop(name)
    try:
        result = await exchange.server.javascript.render(unit, "rewrite", {"req": encode(request)})
    except CouchError as error:
        if error.error == "render_error":
            raise _error(error.reason or "") from error
        raise
    return await _follow(exchange, result)


async def _follow(exchange: Exchange, result: Any) -> Reply:
    if result is None:
        raise _invalid_path()
    if isinstance(result, str):
        result = {"path": result}
    _check(result)
    body = result["body"].encode() if "body" in result else None
    headers = result.get("headers") or {}
    if "code" in result:
        answer = await exchange.sent() if body is None else body
        return exchange.answer_bytes(answer, None, result["code"], headers)
    if "path" not in result:
        raise _error("Rewrite result must produce a new path.")
    target = Target(resolve_path(_base(exchange), result["path"]), _query(exchange, result))
    method = result.get("method", exchange.method)
    return await dispatch(exchange.redirected(method, target.url, body, headers))


def _query(exchange: Exchange, result: dict[str, Any]) -> str:
    pairs = result["query"].items() if "query" in result else exchange.query.pairs
    return "&".join(f"{quote_plus(name)}={quote_plus(value)}" for name, value in pairs)


def _check(result: Any) -> None:
    """Raise 500 for what a rewrite function must not give."""
    if not isinstance(result, dict):
        raise _error("bad rewrite")
    for name, value in result.items():
        if name in _TEXTS and not isinstance(value, str):
            raise _error(f"bad {name}")
        if name in _OBJECTS:
            _check_object(name, value)
        if name == "code" and not (type(value) is int and 200 <= value < 600):
            raise _error("bad code")


def _check_object(name: str, members: Any) -> None:
    if not isinstance(members, dict):
        raise _error(f"bad {name}")
    for each, value in members.items():
        if not isinstance(value, str):
            shown = f"{printed(each)}={printed(value)}"
            raise _error(f"object key/value must be strings {shown}")


def _error(reason: str) -> CouchError:
    return CouchError(500, "rewrite_error", reason)


def _invalid_path() -> CouchError:
    return CouchError(404, "rewrite_error", "Invalid path.")
