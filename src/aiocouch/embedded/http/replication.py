"""`/_replicate` and `/_scheduler`: replications, what they do, and how they are stopped."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from aiocouch.embedded.codec import encode
from aiocouch.embedded.errors import (
    CouchError,
    bad_request,
    method_not_allowed,
    no_database,
    not_found,
    query_parse_error,
)
from aiocouch.embedded.http.routes import server_route
from aiocouch.embedded.replicator.documents import DATABASE

if TYPE_CHECKING:
    from collections.abc import Sequence

    from aiohttp import web

    from aiocouch.embedded.http.exchange import Exchange

_STATES = ("initializing", "error", "running", "pending", "crashing", "completed", "failed")


@server_route("_replicate")
async def replicate(exchange: Exchange) -> web.StreamResponse:
    """Answer `/_replicate`: replicate, or stop a replication."""
    body = await exchange.json_object()
    if exchange.method != "POST":
        raise method_not_allowed(("POST",))
    exchange.require_json_type()
    status, answer = await exchange.server.replicator.replicate(body, exchange.user)
    return exchange.answer(answer, status)


@server_route("_scheduler")
async def scheduler(exchange: Exchange) -> web.StreamResponse:
    """Answer `/_scheduler/jobs` and `/_scheduler/docs`."""
    kind = exchange.segments[1] if len(exchange.segments) > 1 else ""
    if exchange.method not in {"GET", "HEAD"}:
        raise method_not_allowed(("GET", "HEAD"))
    if kind not in {"jobs", "docs"}:
        raise CouchError(404, "not found")
    return _jobs(exchange) if kind == "jobs" else _documents(exchange)


def _jobs(exchange: Exchange) -> web.StreamResponse:
    replicator = exchange.server.replicator
    if len(exchange.segments) > 2:
        return exchange.answer(replicator.job(exchange.segments[2]).as_job())
    jobs = [job.as_job() for job in replicator.jobs]
    return exchange.answer(_page(exchange, "jobs", jobs))


def _documents(exchange: Exchange) -> web.StreamResponse:
    path = exchange.segments[2:]
    documents = exchange.server.replicator_documents
    if path and path[0] != DATABASE:
        raise _no_replicator(path[0])
    if len(path) > 1:
        shown = documents.shown_one("/".join(path[1:]))
        if shown is None:
            raise not_found()
        return exchange.answer(shown)
    page = _page(exchange, "docs", _in_states(exchange, documents.shown()))
    rows = b",\n".join(encode(row) for row in page["docs"])
    head = b'{"total_rows":%d,"offset":%d,"docs":[\n' % (page["total_rows"], page["offset"])
    return exchange.answer_json(head + rows + b"\n]}")


def _no_replicator(name: str) -> CouchError:
    # a database whose name ends so would be one, too, if it were there
    return no_database() if name.endswith(f"/{DATABASE}") else bad_request("Invalid path")


def _in_states(exchange: Exchange, rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    wanted = exchange.query.text("states")
    if not wanted:
        return rows
    states = [state.strip() for state in wanted.split(",")]
    unknown = [state for state in states if state not in _STATES]
    if unknown:
        reason = f"Unknown states [{','.join(unknown)}]. Choose from: [{','.join(_STATES)}]"
        raise query_parse_error(reason)
    return [row for row in rows if row["state"] in states]


def _page(exchange: Exchange, name: str, rows: Sequence[dict[str, Any]]) -> dict[str, Any]:
    skip = exchange.query.integer("skip", 0)
    limit = exchange.query.integer("limit", len(rows))
    return {"total_rows": len(rows), "offset": skip, name: rows[skip : skip + limit]}
