"""`/db/_design/name/_view/…`, `_info`, `_view_cleanup`, and the views of a partition."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

from aiocouch.embedded.codec import decode
from aiocouch.embedded.errors import CouchError, bad_request, method_not_allowed, not_found
from aiocouch.embedded.http.routing import database_route, design_route
from aiocouch.embedded.http.row_options import row_limit
from aiocouch.embedded.views.options import ViewOptions
from aiocouch.embedded.views.query import ViewQuery

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from aiocouch.embedded.http.exchange import Exchange
    from aiocouch.embedded.http.message import Reply
    from aiocouch.embedded.http.query import Query
    from aiocouch.embedded.store.database import Database
    from aiocouch.embedded.store.records import Entry
    from aiocouch.embedded.views.definition import Definition

_METHODS = ("GET", "POST", "HEAD")
# The version of the root collation of ICU 72, whose order `string_order` keeps.
_COLLATOR = "153.120"


def find_design(database: Database, name: str) -> Entry:
    """Return a design document by its name, or raise 404 `missing` or `deleted`."""
    entry = database.get(f"_design/{name}")
    if entry is None:
        raise not_found()
    if entry.deleted:
        raise not_found("deleted")
    return entry


@design_route("_view")
async def view(exchange: Exchange) -> Reply:
    """Answer `GET` and `POST /db/_design/ddoc/_view/view` and `POST …/queries`."""
    design, rest = exchange.segments[2], exchange.segments[4:]
    return await answer_view(exchange, design, rest)


async def answer_view(exchange: Exchange, design: str, rest: list[str]) -> Reply:
    """Answer a query of a view; `rest` is the path after `_view`."""
    if len(rest) == 2 and rest[1] == "queries":
        return await _answer_queries(exchange, design, rest[0])
    if len(rest) != 1 or exchange.method not in _METHODS:
        raise method_not_allowed(_METHODS)
    options = await _options(exchange)
    query = view_query(exchange, design, rest[0], options)
    await query.prepare()
    return await _stream(exchange, query.answer(), b"\n")


def view_query(exchange: Exchange, design: str, name: str, options: ViewOptions) -> ViewQuery:
    """Make a query of a view of a design document."""
    database = exchange.database
    definition = exchange.server.indexes.definition(database, find_design(database, design))
    definition.view(name)
    options.cap(row_limit(exchange, in_partition=definition.partitioned))
    index = exchange.server.indexes.views(database, definition, f"_design/{design}")
    context = f"{database.name}/_design/{design}/_view/{name}"
    return ViewQuery(database, definition, index, name, options, context=context)


async def _options(exchange: Exchange) -> ViewOptions:
    options = ViewOptions()
    if exchange.method == "POST":
        exchange.require_json_type()
        body = await _body(exchange)
        if "queries" in body:
            _queries(body)
            reason = "The `queries` parameter is no longer supported at this endpoint"
            raise bad_request(reason)
        if not isinstance(body.get("keys", []), list):
            raise bad_request("`keys` member must be an array.")
        options.apply_json(body)
    return options.apply_text(_ordered(exchange.query))


def _ordered(query: Query) -> list[tuple[str, str]]:
    """Return the options in the order in which they count: the last one wins.

    For a partition CouchDB sorts them by name, and of two with one name takes the first.
    """
    if "partition" not in query:
        return query.pairs
    return sorted(dict(reversed(query.pairs)).items())


async def _body(exchange: Exchange) -> dict[str, Any]:
    body = decode(await exchange.body())
    if not isinstance(body, dict):
        raise bad_request("Request body must be a JSON object")
    return body


def _queries(body: dict[str, Any]) -> list[Any]:
    queries = body["queries"]
    if not isinstance(queries, list):
        raise bad_request("`queries` member must be an array.")
    return queries


async def _answer_queries(exchange: Exchange, design: str, name: str) -> Reply:
    if exchange.method != "POST":
        raise method_not_allowed(("POST",))
    exchange.require_json_type()
    body = await _body(exchange)
    if "queries" not in body:
        raise bad_request("POST body must include `queries` parameter.")
    queries = [
        view_query(exchange, design, name, _each_options(exchange, each)) for each in _queries(body)
    ]
    for query in queries:
        await query.prepare()
    return await _stream(exchange, _results(queries), b"\n")


def _each_options(exchange: Exchange, members: Any) -> ViewOptions:
    if not isinstance(members, dict):
        raise CouchError(500, "unknown_error", "function_clause")
    options = ViewOptions().apply_text(_ordered(exchange.query)).forget_grouping()
    return options.apply_json(members)


async def _results(queries: list[ViewQuery]) -> AsyncGenerator[bytes, None]:
    before = b'{"results":[\r\n'
    for query in queries:
        yield before
        async with contextlib.aclosing(query.answer()) as pieces:
            async for piece in pieces:
                yield piece
        before = b",\r\n"
    yield (before if not queries else b"\r\n") + b"]}"


async def _stream(exchange: Exchange, pieces: AsyncGenerator[bytes, None], tail: bytes) -> Reply:
    """Send pieces; an error before the first one is still an ordinary answer."""
    async with contextlib.aclosing(pieces) as source:
        first = await anext(source)
        response = await exchange.begin()
        if exchange.method != "HEAD":
            await response.write(first)
            async for piece in source:
                await response.write(piece)
            await response.write(tail)
    await response.write_eof()
    return response


@design_route("_info", methods=("GET",))
async def info(exchange: Exchange) -> Reply:
    """Answer `GET /db/_design/ddoc/_info`."""
    database = exchange.database
    if len(exchange.segments) > 4:
        raise CouchError(500, "badmatch", "_info")
    entry = find_design(database, exchange.segments[2])
    definition = exchange.server.indexes.definition(database, entry)
    told = _index_info(exchange, definition)
    return exchange.answer({"name": exchange.segments[2], "view_index": told})


def _index_info(exchange: Exchange, definition: Definition) -> dict[str, Any]:
    database = exchange.database
    if not exchange.server.indexes.runs(definition):
        return _no_index_info(database, definition)
    index = exchange.server.indexes.views(database, definition).index
    state = index.state
    pending = max(database.update_seq - state.seq, 0)
    file, used = index.tables.file_size()
    active = used if any(state.rows) else 0
    return {
        "signature": definition.signature,
        "language": definition.language,
        "update_seq": state.seq,
        "purge_seq": state.purge_seq,
        "updates_pending": {"minimum": pending, "preferred": pending, "total": pending},
        "sizes": {"file": file, "active": active, "external": active},
        "waiting_clients": index.waiting,
        "waiting_commit": False,
        "updater_running": index.is_updating,
        "compact_running": index in exchange.server.indexes.compacting,
        "collator_versions": [_COLLATOR],
    }


def _no_index_info(database: Database, definition: Definition) -> dict[str, Any]:
    """Tell of views in a language that is not run here what CouchDB tells of a new index."""
    pending = database.update_seq
    return {
        "signature": definition.signature,
        "language": definition.language,
        "update_seq": 0,
        "purge_seq": 0,
        "updates_pending": {"minimum": pending, "preferred": pending, "total": pending},
        "sizes": {"file": 0, "active": 0, "external": 0},
        "waiting_clients": 0,
        "waiting_commit": False,
        "updater_running": False,
        "compact_running": False,
        "collator_versions": [_COLLATOR],
    }


@database_route("_view_cleanup", methods=("POST",))
async def view_cleanup(exchange: Exchange) -> Reply:
    """Answer `POST /db/_view_cleanup`: delete the indexes that no design document has."""
    database = exchange.database
    rows = database.reader.execute(
        "SELECT id FROM docs WHERE id >= '_design/' AND id < '_design0' AND deleted = 0"
    ).fetchall()
    wanted = set()
    for (id_,) in rows:
        entry = database.get(id_)
        if entry is not None:
            wanted.add(exchange.server.indexes.definition(database, entry).signature)
    await exchange.server.indexes.clean(database, wanted)
    return exchange.answer({"ok": True}, 202)


@database_route("_temp_view")
async def temporary_view(exchange: Exchange) -> Reply:
    """Answer `/db/_temp_view` as every CouchDB since 2.0 does."""
    del exchange
    raise CouchError(410, "gone", "Temporary views are not supported in CouchDB")
