"""From a request to its handler, and from an exception to an answer."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING

from aiohttp import HttpVersion11, web

from aiocouch.embedded.auth import authenticate, challenge, check_access
from aiocouch.embedded.errors import CouchError, internal, method_not_allowed, no_database
from aiocouch.embedded.http import rooms
from aiocouch.embedded.http.exchange import Exchange
from aiocouch.embedded.http.routes import Route, find_database_route, find_server_route

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from aiocouch.embedded.state import Server

_log = logging.getLogger("aiocouch.embedded")

rooms.load()


def application(server: Server) -> Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]:
    """Give the handler of all requests to a server."""

    async def handle(request: web.BaseRequest) -> web.StreamResponse:
        return await _handle(server, request)

    return handle


async def _handle(server: Server, request: web.BaseRequest) -> web.StreamResponse:
    try:
        exchange = Exchange(request, server)
    except CouchError as error:
        return web.json_response(error.body(), status=error.status)
    try:
        await _expected(request)
        return await _dispatch(exchange)
    except CouchError as error:
        return _error_answer(exchange, error)
    except (ConnectionError, asyncio.CancelledError):
        raise
    except Exception as error:
        _log.exception("%s %s failed", request.method, request.path)
        return _error_answer(exchange, internal(type(error).__name__))


async def _expected(request: web.BaseRequest) -> None:
    expectation = request.headers.get("Expect", "")
    if expectation.lower() == "100-continue" and request.version == HttpVersion11:
        await request.writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        # the answer proper has not begun: aiohttp looks at the count to know
        request.writer.output_size = 0


def _error_answer(exchange: Exchange, error: CouchError) -> web.StreamResponse:
    if exchange.response is not None:
        # headers are out: only a broken connection can tell the client
        _abort(exchange.request)
        return exchange.response
    challenge(error, exchange.headers, exchange.server.config)
    return exchange.answer(error.body(), error.status, error.headers)


def _abort(request: web.BaseRequest) -> None:
    if request.transport is not None:
        request.transport.abort()


async def _dispatch(exchange: Exchange) -> web.StreamResponse:
    exchange.user = await authenticate(exchange)
    segments = exchange.segments
    route = find_server_route(segments) or find_database_route(segments)
    _open_database(exchange)
    await check_access(exchange, "")
    _check_method(exchange, route)
    return await route.handler(exchange)


def _open_database(exchange: Exchange) -> None:
    if exchange.segments:
        database = exchange.server.databases.open(exchange.segments[0])
        if database is not None:
            exchange.attach(database)
        elif len(exchange.segments) > 1 and not find_server_route(exchange.segments):
            raise no_database()


def _check_method(exchange: Exchange, route: Route) -> None:
    if route.methods and exchange.method not in route.methods:
        raise method_not_allowed(route.methods)
    if route.json_post and exchange.method == "POST":
        exchange.require_json_type()
