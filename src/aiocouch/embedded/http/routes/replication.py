"""`/_replicate` and `/_scheduler`: replications, what they do, and how they are stopped."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from aiocouch.embedded.codec import encode
from aiocouch.embedded.erlang_text import read_integer
from aiocouch.embedded.errors import (
    CouchError,
    bad_request,
    method_not_allowed,
    no_database,
    not_found,
    query_parse_error,
)
from aiocouch.embedded.http.routing import server_route
from aiocouch.embedded.replicator.documents import DATABASE, is_replicator

if TYPE_CHECKING:
    from collections.abc import Sequence

    from aiocouch.embedded.http.exchange import Exchange
    from aiocouch.embedded.http.message import Reply

_STATES = ("initializing", "error", "running", "pending", "crashing", "completed", "failed")


@server_route("_replicate")
async def replicate(exchange: Exchange) -> Reply:
    """Answer `/_replicate`: replicate, or stop a replication."""
    body = await exchange.json_object()
    if exchange.method != "POST":
        raise method_not_allowed(("POST",))
    exchange.require_json_type()
    status, answer = await exchange.server.replicator.replicate(body, exchange.user)
    return exchange.answer(answer, status)


@server_route("_scheduler")
async def scheduler(exchange: Exchange) -> Reply:
    """Answer `/_scheduler/jobs` and `/_scheduler/docs`."""
    kind = exchange.segments[1] if len(exchange.segments) > 1 else ""
    if exchange.method not in {"GET", "HEAD"}:
        raise method_not_allowed(("GET", "HEAD"))
    if kind not in {"jobs", "docs"}:
        raise CouchError(404, "not found")
    return _jobs(exchange) if kind == "jobs" else _documents(exchange)


def _jobs(exchange: Exchange) -> Reply:
    replicator = exchange.server.replicator
    if len(exchange.segments) > 3:
        raise CouchError(404, "not found")
    if len(exchange.segments) > 2:
        return exchange.answer(replicator.job(exchange.segments[2]).as_job())
    jobs = [job.as_job() for job in replicator.jobs]
    limit = _integer(exchange, "limit", len(jobs))
    return exchange.answer(_page("jobs", jobs, limit, _integer(exchange, "skip", 0)))


def _documents(exchange: Exchange) -> Reply:
    name, rest = _split(exchange.segments[2:])
    database = exchange.server.databases.open(name)
    if database is None:
        raise no_database()
    watch = exchange.server.replicator_documents.watch(name)
    if rest:
        shown = watch.shown_one(rest[0])
        if shown is None:
            raise not_found()
        return exchange.answer(shown)
    documents = _in_states(exchange, watch.shown())
    limit = exchange.query.integer("limit", len(documents))
    page = _page("docs", documents, limit, exchange.query.integer("skip", 0))
    page["total_rows"] = database.doc_count
    rows = b",\r\n".join(encode(row) for row in page["docs"])
    head = b'{"total_rows":%d,"offset":%d,"docs":[\r\n' % (page["total_rows"], page["offset"])
    return exchange.answer_json(head + rows + b"\r\n]}")


def _split(path: Sequence[str]) -> tuple[str, Sequence[str]]:
    """Return the name of a replicator database, which may have slashes, and one id after it."""
    if not path:
        return DATABASE, ()
    for end in range(1, len(path) + 1):
        name = "/".join(path[:end])
        if is_replicator(name) and len(path) - end < 2:
            return name, path[end:]
    raise bad_request("Invalid path")


def _in_states(exchange: Exchange, rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    wanted = exchange.query.text("states")
    if not wanted:
        return rows
    states = [state for state in wanted.lower().split(",") if state]
    unknown = [state for state in states if state not in _STATES]
    if unknown:
        reason = f"Unknown states [{','.join(unknown)}]. Choose from: [{','.join(_STATES)}]"
        raise query_parse_error(reason)
    return [row for row in rows if row["state"] in states]


def _page(name: str, rows: Sequence[dict[str, Any]], limit: int, skip: int) -> dict[str, Any]:
    skip = min(skip, len(rows))
    return {"total_rows": len(rows), "offset": skip, name: rows[skip : skip + limit]}


def _integer(exchange: Exchange, name: str, default: int) -> int:
    text = exchange.query.text(name)
    if text is None:
        return default
    try:
        number = read_integer(text)
    except ValueError:
        raise query_parse_error(f"{name} must be an integer") from None
    if number < 0:
        raise query_parse_error(f"{name} not in range of [0,infinity]")
    return number
