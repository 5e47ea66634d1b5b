"""`/_replicate` and `/_scheduler`: replications, what they do, and how they are stopped."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from aiocouch.embedded.codec import encode
from aiocouch.embedded.errors import CouchError, bad_request, method_not_allowed, not_found
from aiocouch.embedded.http.routes import server_route
from aiocouch.embedded.replicator.documents import DATABASE

if TYPE_CHECKING:
    from collections.abc import Sequence

    from aiohttp import web

    from aiocouch.embedded.http.exchange import Exchange


@server_route("_replicate", json_post=True)
async def replicate(exchange: Exchange) -> web.StreamResponse:
    """Answer `/_replicate`: replicate, or stop a replication."""
    body = await exchange.json_object()
    status, answer = await exchange.server.replicator.replicate(body, exchange.user)
    return exchange.answer(answer, status)


@server_route("_scheduler")
async def scheduler(exchange: Exchange) -> web.StreamResponse:
    """Answer `/_scheduler/jobs` and `/_scheduler/docs`."""
    kind = exchange.segments[1] if len(exchange.segments) > 1 else ""
    if kind not in {"jobs", "docs"}:
        raise CouchError(404, "not found")
    if exchange.method not in {"GET", "HEAD"}:
        raise method_not_allowed(("GET", "HEAD"))
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
        raise bad_request("Invalid path")
    if len(path) > 1:
        shown = documents.shown_one("/".join(path[1:]))
        if shown is None:
            raise not_found()
        return exchange.answer(shown)
    page = _page(exchange, "docs", _in_states(exchange, documents.shown()))
    rows = b",\n".join(encode(row) for row in page["docs"])
    head = b'{"total_rows":%d,"offset":%d,"docs":[\n' % (page["total_rows"], page["offset"])
    return exchange.answer_json(head + rows + b"\n]}")


def _in_states(exchange: Exchange, rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    wanted = exchange.query.text("states")
    if not wanted:
        return rows
    states = {state.strip() for state in wanted.split(",")}
    return [row for row in rows if row["state"] in states]


def _page(exchange: Exchange, name: str, rows: Sequence[dict[str, Any]]) -> dict[str, Any]:
    skip = exchange.query.integer("skip", 0)
    limit = exchange.query.integer("limit", len(rows))
    return {"total_rows": len(rows), "offset": skip, name: rows[skip : skip + limit]}
