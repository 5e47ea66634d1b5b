"""The paths of full-text search, which is not installed here, nor on a plain CouchDB."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aiocouch.embedded.errors import CouchError, bad_request, method_not_allowed, not_found
from aiocouch.embedded.http.routes.views import find_design
from aiocouch.embedded.http.routing import database_route, design_route, server_route

if TYPE_CHECKING:
    from aiocouch.embedded.http.exchange import Exchange
    from aiocouch.embedded.http.message import Reply


# /db/_design/name/_search
_WITHOUT_INDEX = 4


@server_route("_search_analyze", methods=("GET", "POST"))
@design_route("_search", methods=("GET", "POST"))
async def search(exchange: Exchange) -> Reply:
    """Answer requests to Clouseau's indexes."""
    if exchange.has_database:
        find_design(exchange.database, exchange.segments[2])
        if len(exchange.segments) == _WITHOUT_INDEX:
            raise bad_request("path not recognized")
    raise CouchError(503, "service unavailable", "Search is not available")


@design_route("_search_info")
@design_route("_search_disk_size")
async def search_info(exchange: Exchange) -> Reply:
    """Answer what asks about Clouseau's indexes."""
    if len(exchange.segments) > _WITHOUT_INDEX and exchange.method not in {"GET", "HEAD"}:
        raise method_not_allowed(("GET",))
    return await search(exchange)


@server_route("_nouveau_analyze", methods=("POST",))
@design_route("_nouveau")
@design_route("_nouveau_info")
async def nouveau(exchange: Exchange) -> Reply:
    """Answer requests to Nouveau's indexes."""
    del exchange
    raise not_found()


@database_route("_search_cleanup", methods=("POST",))
async def search_cleanup(exchange: Exchange) -> Reply:
    """Answer `/db/_search_cleanup`: there is nothing to clean."""
    return exchange.answer({"ok": True}, 202)


@database_route("_nouveau_cleanup", methods=("POST",), json_post=True)
async def nouveau_cleanup(exchange: Exchange) -> Reply:
    """Answer `/db/_nouveau_cleanup`: nothing to clean."""
    return exchange.answer({"ok": True}, 202)
