"""`/_reshard`: a server without shards has nothing to split, and says so."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from aiocouch.embedded.errors import CouchError, bad_request, method_not_allowed, not_found
from aiocouch.embedded.http.routing import server_route

if TYPE_CHECKING:
    from collections.abc import Sequence

    from aiocouch.embedded.http.exchange import Exchange
    from aiocouch.embedded.http.message import Reply

_READ = ("GET", "HEAD")


@server_route("_reshard")
async def reshard(exchange: Exchange) -> Reply:
    """Answer `/_reshard` and what is below it."""
    rest = exchange.segments[1:]
    if not rest:
        return _summary(exchange)
    if rest == ["state"]:
        return await _state(exchange)
    if rest == ["jobs"]:
        return await _jobs(exchange)
    if rest[0] == "jobs" and len(rest) == 3 and exchange.method == "PUT":
        _wanted_state(await exchange.json_object())
    if rest[0] == "jobs" and (len(rest) == 2 or rest[2:] == ["state"]):
        return _job(exchange, ("GET", "HEAD", "DELETE") if len(rest) == 2 else (*_READ, "PUT"))
    raise not_found()


def _summary(exchange: Exchange) -> Reply:
    _allow(exchange, _READ)
    state, reason = exchange.server.reshard_state
    counts = dict.fromkeys(("completed", "failed", "running", "stopped", "total"), 0)
    return exchange.answer({"state": state, "state_reason": reason, **counts})


async def _state(exchange: Exchange) -> Reply:
    _allow(exchange, (*_READ, "PUT"))
    if exchange.method != "PUT":
        state, reason = exchange.server.reshard_state
        return exchange.answer({"state": state, "reason": reason})
    body = await exchange.json_object()
    exchange.server.reshard_state = (_wanted_state(body), _reason(body))
    return exchange.answer({"ok": True})


def _wanted_state(body: dict[str, Any]) -> str:
    state = body.get("state")
    if state is None:
        raise bad_request("Expected a `state` field")
    if state not in ("running", "stopped"):
        raise bad_request("State field not `running` or `stopped`")
    return str(state)


def _reason(body: dict[str, Any]) -> str | None:
    # CouchDB forgets the reason when it starts again.
    reason = body.get("reason") or body.get("state_reason")
    return str(reason) if reason and body["state"] == "stopped" else None


async def _jobs(exchange: Exchange) -> Reply:
    _allow(exchange, (*_READ, "POST"))
    if exchange.method != "POST":
        return exchange.answer({"total_rows": 0, "offset": 0, "jobs": []})
    raise _job_error(await exchange.json_object(), exchange)


def _job_error(body: dict[str, Any], exchange: Exchange) -> CouchError:
    name = body.get("db")
    if name is None and body.get("shard") is None:
        split = body.get("type") == "split"
        reason = "Must specify at least `db` or `shard`" if split else "`job type must be `split`"
        return bad_request(reason)
    if name is not None and name not in exchange.server.databases:
        return bad_request("Invalid `db`")
    return bad_request("This server has no shards to split")


def _job(exchange: Exchange, methods: Sequence[str]) -> Reply:
    _allow(exchange, methods)
    raise not_found()


def _allow(exchange: Exchange, methods: Sequence[str]) -> None:
    if exchange.method not in methods:
        raise method_not_allowed(methods)
