"""The paths of full-text search, which is not installed here, nor on a plain CouchDB."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aiocouch.embedded.errors import CouchError, not_found
from aiocouch.embedded.http.routes import database_route, design_route, server_route

if TYPE_CHECKING:
    from aiohttp import web

    from aiocouch.embedded.http.exchange import Exchange


@server_route("_search_analyze", methods=("GET", "POST"))
@design_route("_search", methods=("GET", "POST"))
@design_route("_search_info", methods=("GET",))
@design_route("_search_disk_size", methods=("GET",))
async def search(exchange: Exchange) -> web.StreamResponse:
    """Answer requests to Clouseau's indexes."""
    del exchange
    raise CouchError(503, "service unavailable", "Search is not available")


@server_route("_nouveau_analyze", methods=("POST",))
@design_route("_nouveau")
@design_route("_nouveau_info")
async def nouveau(exchange: Exchange) -> web.StreamResponse:
    """Answer requests to Nouveau's indexes."""
    del exchange
    raise not_found()


@database_route("_search_cleanup", methods=("POST",))
async def search_cleanup(exchange: Exchange) -> web.StreamResponse:
    """Answer `/db/_search_cleanup`: there is nothing to clean."""
    return exchange.answer({"ok": True}, 202)


@database_route("_nouveau_cleanup", methods=("POST",), json_post=True)
async def nouveau_cleanup(exchange: Exchange) -> web.StreamResponse:
    """Answer `/db/_nouveau_cleanup`: nothing to clean."""
    return exchange.answer({"ok": True}, 202)
