"""`/db/_partition/name…`: what a partition holds, and requests that look into one only.

`/db/_partition/name/_all_docs` is answered by the handler of `/db/_all_docs`, which finds the
option `partition` in its query; the same goes for views, `_find` and `_explain`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from aiocouch.embedded.documents.partitions import check_partition, partition_range
from aiocouch.embedded.errors import bad_request, method_not_allowed, not_found
from aiocouch.embedded.http.query import Query
from aiocouch.embedded.http.routing import database_route, find_database_route

if TYPE_CHECKING:
    from aiocouch.embedded.http.exchange import Exchange
    from aiocouch.embedded.http.message import Reply
    from aiocouch.embedded.http.routing import Route
    from aiocouch.embedded.store.database import Database

_PASSED_ON = ("_all_docs", "_find", "_explain", "_index")


@database_route("_partition")
async def partition(exchange: Exchange) -> Reply:
    """Answer everything below `/db/_partition`."""
    rest = exchange.segments[2:]
    if not rest:
        raise bad_request("invalid_partition_req")
    if len(rest) > 1:
        return await _pass_on(exchange, rest[0])
    return _information(exchange, rest[0])


def _information(exchange: Exchange, name: str) -> Reply:
    if exchange.method == "POST" and name.startswith("_"):
        check_partition(name)
    if exchange.method not in ("GET", "HEAD"):
        raise method_not_allowed(("GET",))
    check_partition(name)
    _require_partitions(exchange.database)
    return exchange.answer(_describe(exchange.database, name))


def _require_partitions(database: Database) -> None:
    if not database.partitioned:
        raise bad_request("database is not partitioned")


def _describe(database: Database, name: str) -> dict[str, Any]:
    row = database.reader.execute(
        "SELECT count(*) FILTER (WHERE NOT deleted), count(*) FILTER (WHERE deleted),"
        " coalesce(sum(length(body)) FILTER (WHERE NOT deleted), 0)"
        " FROM docs WHERE id >= ? AND id < ?",
        partition_range(name),
    ).fetchone()
    alive, deleted, size = row
    return {
        "db_name": database.name,
        "sizes": {"active": size, "external": size},
        "partition": name,
        "doc_count": alive,
        "doc_del_count": deleted,
    }


async def _pass_on(exchange: Exchange, name: str) -> Reply:
    """Send a request to the handler that serves the whole database."""
    _require_partitions(exchange.database)
    check_partition(name)
    if exchange.query.text("partition", name) != name:
        raise bad_request("Conflicting value for `partition` in query string")
    segments = [exchange.segments[0], *exchange.segments[3:]]
    if not _is_served(segments):
        raise not_found()
    exchange.segments = segments
    exchange.raw_segments = [exchange.raw_segments[0], *exchange.raw_segments[3:]]
    if "partition" not in exchange.query:
        option = f"partition={quote(name, safe='')}"
        raw = exchange.query.raw
        exchange.query = Query(f"{raw}&{option}" if raw else option)
    route = find_database_route(segments)
    _check_method(exchange, route)
    return await route.handler(exchange)


def _is_served(segments: list[str]) -> bool:
    if segments[1] in _PASSED_ON:
        return True
    return segments[1] == "_design" and len(segments) > 3 and segments[3].startswith("_")


def _check_method(exchange: Exchange, route: Route) -> None:
    # the dispatcher has only looked at the route of `_partition`
    method = "GET" if exchange.method == "HEAD" else exchange.method
    if route.methods and method not in route.methods:
        raise method_not_allowed(route.methods)
    if route.json_post and exchange.method == "POST":
        exchange.require_json_type()
