"""From a request to its handler, and from an exception to an answer."""

from __future__ import annotations

import logging
import re
import time
from typing import TYPE_CHECKING, NamedTuple

from aiocouch.embedded.errors import CouchError, bad_request, internal, no_database
from aiocouch.embedded.http import loading
from aiocouch.embedded.http.challenge import challenged
from aiocouch.embedded.http.cors import answer_headers, preflight_headers
from aiocouch.embedded.http.dispatch import dispatch
from aiocouch.embedded.http.exchange import Exchange
from aiocouch.embedded.http.message import Answer
from aiocouch.embedded.http.policies import frame_policy
from aiocouch.embedded.http.vhosts import at_virtual_host
from aiocouch.embedded.store.faults import explained
from aiocouch.embedded.who.auth import authenticate

if TYPE_CHECKING:
    from collections.abc import Collection

    from aiocouch.embedded.http.message import Incoming, Reply
    from aiocouch.embedded.node.config import Configuration
    from aiocouch.embedded.state import Server

_log = logging.getLogger("aiocouch.embedded")

_BAD_ESCAPE = re.compile(r"%(?![0-9A-Fa-f]{2})")
_PORT = re.compile(r":[0-9]+$")
_OVERRIDES = frozenset({"GET", "HEAD", "POST", "PUT", "DELETE", "TRACE", "CONNECT", "COPY"})

loading.load_first()


class _Checks(NamedTuple):
    """What the settings say of every request, so that each setting is looked up once."""

    longest_url: int | None
    hosts: Collection[str] | None
    """The names that the server goes by; None if by any."""
    has_vhosts: bool
    shares: bool
    """Whether pages of other origins may have answers."""
    frames: bool
    """Whether answers say who may show them in a frame."""


def _checks(config: Configuration) -> _Checks:
    is_strict = config.flag("chttpd", "validate_host", default=False)
    return _Checks(
        config.limit("chttpd", "max_uri_length", None),
        config.text("chttpd", "valid_hosts").split(",") if is_strict else None,
        config.has_section("vhosts"),
        config.flag("chttpd", "enable_cors", default=False),
        config.flag("chttpd", "enable_xframe_options", default=False),
    )


async def answer(server: Server, request: Incoming) -> Reply:
    """Answer a request to a server, whatever happens."""
    begun = time.perf_counter()
    checks = server.config.derived(_checks)
    exchange = Exchange(request, server)
    if checks.has_vhosts:
        exchange = at_virtual_host(exchange)
    traffic = server.databases.traffic
    traffic.requests += 1
    try:
        response = await _answer(exchange, checks)
    finally:
        traffic.requests -= 1
        exchange.leave()
    server.statistics.count(request.method, response.status, time.perf_counter() - begun)
    return response


async def _answer(exchange: Exchange, checks: _Checks) -> Reply:
    try:
        return await _dispatch(exchange, checks)
    except CouchError as error:
        return _error_answer(exchange, error)
    except Exception as error:  # noqa: BLE001 - a fault of one request is not one of the server
        return _failed(exchange, error)


def _failed(exchange: Exchange, error: Exception) -> Reply:
    if exchange.request.is_gone:
        _log.debug("the client of %s %s hung up", exchange.method, exchange.path)
        return exchange.response or Answer(200, {})
    if exchange.has_database and exchange.database.closed:
        return _error_answer(exchange, no_database())
    _log.error("%s %s failed", exchange.method, exchange.path, exc_info=error)
    told = explained(error, exchange.database.name if exchange.has_database else None)
    if isinstance(told, CouchError):
        return _error_answer(exchange, told)
    return _error_answer(exchange, internal(type(error).__name__))


def _error_answer(exchange: Exchange, error: CouchError) -> Reply:
    if exchange.response is not None:
        # headers are out: only a broken connection can tell the client
        exchange.request.abort()
        return exchange.response
    status, headers = challenged(error, exchange)
    return exchange.answer(error.body(), status, headers)


async def _dispatch(exchange: Exchange, checks: _Checks) -> Reply:
    _check_url(exchange, checks)
    _use_override(exchange)
    if checks.shares and "Origin" in exchange.headers:
        config = exchange.server.config
        preflight = preflight_headers(exchange.method, exchange.headers, config)
        if preflight is not None:
            return exchange.answer_bytes(b"", None, 204, preflight)
        exchange.added_headers |= answer_headers(exchange.headers, config)
    if checks.frames:
        exchange.added_headers |= frame_policy(exchange)
    exchange.user = await authenticate(exchange)
    return await dispatch(exchange)


def _check_url(exchange: Exchange, checks: _Checks) -> None:
    if checks.hosts is not None:
        _check_host(exchange, checks.hosts)
    url = exchange.request.raw_path
    if checks.longest_url is not None and len(url) > checks.longest_url:
        raise CouchError(414, "too_long", "the request uri is too long")
    if "%" in url and _BAD_ESCAPE.search(url):
        raise bad_request("invalid_url_encoding")


def _check_host(exchange: Exchange, hosts: Collection[str]) -> None:
    if _PORT.sub("", exchange.headers.get("Host", "")) not in hosts:
        raise bad_request("Invalid host header")


def _use_override(exchange: Exchange) -> None:
    # for clients that know only GET and POST
    wanted = exchange.headers.get("X-HTTP-Method-Override")
    if exchange.method == "POST" and wanted in _OVERRIDES:
        exchange.method = wanted
