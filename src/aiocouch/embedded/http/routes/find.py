"""`/db/_find` and `/db/_explain`: Mango queries."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from aiocouch.embedded.erlang_text import written
from aiocouch.embedded.errors import CouchError, query_parse_error
from aiocouch.embedded.http.routing import database_route
from aiocouch.embedded.mango.catalog import definition_of, list_indexes
from aiocouch.embedded.mango.cursor import OpenIndex, run
from aiocouch.embedded.mango.explain import explanation
from aiocouch.embedded.mango.options import read_find
from aiocouch.embedded.mango.planning import make_plan
from aiocouch.embedded.mango.ranges import EMPTY

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from aiocouch.embedded.http.exchange import Exchange
    from aiocouch.embedded.http.message import Reply
    from aiocouch.embedded.mango.options import FindOptions
    from aiocouch.embedded.mango.planning import Plan

_BUFFER = 64 * 1024


@database_route("_find", methods=("POST",), json_post=True)
async def find(exchange: Exchange) -> Reply:
    """Answer `POST /db/_find`."""
    options = await _read(exchange)
    plan = _plan(exchange, options)
    _check_partition(exchange, options)
    opened = await _open(exchange, plan, options)
    threshold = exchange.server.config.integer("mango", "index_scan_warning_threshold", 10)
    return await _send(exchange, run(exchange.database, plan, options, opened, threshold))


@database_route("_explain", methods=("POST",), json_post=True)
async def explain(exchange: Exchange) -> Reply:
    """Answer `POST /db/_explain`."""
    options = await _read(exchange)
    plan = _plan(exchange, options, explaining=True)
    return exchange.answer(explanation(exchange.database, plan, options))


async def _read(exchange: Exchange) -> FindOptions:
    body = _with_partition(exchange, await exchange.json_object())
    return read_find(body, exchange.server.config.integer("mango", "default_limit", 25))


def _with_partition(exchange: Exchange, body: dict[str, Any]) -> dict[str, Any]:
    """Put the partition of the path into the body, where CouchDB wants none to be."""
    partition = exchange.query.text("partition")
    if partition is None:
        return body
    if "partition" in body:
        reason = f"Unknown Error: mango_httpd :: {{bad_partition,{written(body['partition'])}}}"
        raise CouchError(500, "unknown_error", reason)
    return {"partition": partition, **body}


def _plan(exchange: Exchange, options: FindOptions, *, explaining: bool = False) -> Plan:
    database = exchange.database
    return make_plan(
        list_indexes(database),
        options,
        database_partitioned=database.partitioned,
        explaining=explaining,
    )


def _check_partition(exchange: Exchange, options: FindOptions) -> None:
    if options.partition and not exchange.database.partitioned:
        raise query_parse_error("`partition` parameter is not supported on this db")


async def _open(exchange: Exchange, plan: Plan, options: FindOptions) -> OpenIndex | None:
    """Bring the chosen index up to date, unless the query wants it as it is."""
    chosen = plan.index
    if chosen is None or chosen.is_special or plan.ranges == [EMPTY]:
        return None
    definition = definition_of(exchange.database, chosen)
    opened = exchange.server.indexes.views(exchange.database, definition)
    if options.update and options.stale != "ok":
        await opened.index.refresh()
    return OpenIndex(opened.index, definition.view(chosen.name).tree)


async def _send(exchange: Exchange, pieces: AsyncIterator[bytes]) -> Reply:
    """Answer at once when there is little; what goes wrong first is a proper error."""
    held = []
    size = 0
    async for piece in pieces:
        held.append(piece)
        size += len(piece)
        if size > _BUFFER:
            return await exchange.answer_stream(_all(held, pieces))
    if "callback" in exchange.query:
        return exchange.answer_json(b"".join(held).removesuffix(b"\n"))
    return exchange.answer_bytes(b"".join(held), "application/json")


async def _all(held: list[bytes], pieces: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    yield b"".join(held)
    held.clear()
    async for piece in pieces:
        yield piece
