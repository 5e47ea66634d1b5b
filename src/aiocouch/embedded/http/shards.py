"""`/db/_shards` and `/db/_sync_shards`: a database is one shard on one node."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aiocouch.embedded.errors import internal
from aiocouch.embedded.http.routes import database_route
from aiocouch.embedded.tasks import NODE

if TYPE_CHECKING:
    from aiohttp import web

    from aiocouch.embedded.http.exchange import Exchange

_RANGE = "00000000-ffffffff"


@database_route("_shards", methods=("GET",))
async def shards(exchange: Exchange) -> web.StreamResponse:
    """Answer `/db/_shards` and `/db/_shards/{id}`."""
    if len(exchange.segments) > 3:
        raise internal("function_clause")
    if len(exchange.segments) == 3:
        return exchange.answer({"range": _RANGE, "nodes": [NODE]})
    return exchange.answer({"shards": {_RANGE: [NODE]}})


@database_route("_sync_shards", methods=("POST",))
async def sync_shards(exchange: Exchange) -> web.StreamResponse:
    """Answer `/db/_sync_shards`: there is nothing to synchronise."""
    return exchange.answer({"ok": True}, 202)
