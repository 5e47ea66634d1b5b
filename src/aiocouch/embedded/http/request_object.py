"""The request as functions of design documents see it: the object `req`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, unquote_plus

from aiocouch.embedded.http.databases import info

if TYPE_CHECKING:
    from aiocouch.embedded.http.exchange import Exchange

_FORM = "application/x-www-form-urlencoded"
_SECRET = frozenset({"authorization", "cookie", "proxy-authorization"})


async def request_object(
    exchange: Exchange, doc_id: str | None = None, *, with_body: bool = True
) -> dict[str, Any]:
    """Give `req` for a request in a database; `doc_id` names the document it is about.

    `with_body` False keeps the body from the function, as CouchDB does in a changes feed.
    """
    body = await exchange.body() if with_body else b""
    text = body.decode("utf-8", "replace") if body else "undefined"
    return {
        "info": info(exchange.database),
        "uuid": exchange.server.uuids.new(),
        "id": doc_id,
        "method": exchange.method,
        "requested_path": [unquote_plus(part) for part in exchange.raw_path.split("/") if part],
        "path": exchange.segments,
        "raw_path": exchange.raw_path,
        "query": dict(exchange.query.pairs),
        "headers": _headers(exchange),
        "body": text,
        "peer": exchange.peer,
        "form": dict(parse_qsl(text)) if exchange.content_type == _FORM else {},
        "cookie": {},
        "userCtx": user_context(exchange),
        "secObj": exchange.database.security,
    }


def user_context(exchange: Exchange) -> dict[str, Any]:
    """Give the object `userCtx`: who asks, and in which database."""
    user = exchange.user
    return {"db": exchange.database.name, "name": user.name, "roles": list(user.roles)}


def _headers(exchange: Exchange) -> dict[str, str]:
    # A design document could send away what a client proves its identity with.
    return {
        name.title(): value
        for name, value in exchange.headers.items()
        if name.lower() not in _SECRET
    }
