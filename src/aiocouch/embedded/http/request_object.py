"""The request as functions of design documents see it: the object `req`."""

from __future__ import annotations

from http.cookies import CookieError, SimpleCookie
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl

from aiocouch.embedded.http.databases import info

if TYPE_CHECKING:
    from aiocouch.embedded.http.exchange import Exchange

_FORM = "application/x-www-form-urlencoded"


async def request_object(exchange: Exchange, doc_id: str | None = None) -> dict[str, Any]:
    """Give `req` for a request in a database; `doc_id` names the document it is about."""
    body = await exchange.body()
    text = body.decode("utf-8", "replace") if body else "undefined"
    return {
        "info": info(exchange.database),
        "uuid": exchange.server.uuids.new(),
        "id": doc_id,
        "method": exchange.method,
        "requested_path": exchange.raw_segments,
        "path": exchange.segments,
        "raw_path": exchange.request.raw_path,
        "query": dict(exchange.query.pairs),
        "headers": {name.title(): value for name, value in exchange.headers.items()},
        "body": text,
        "peer": exchange.peer,
        "form": dict(parse_qsl(text)) if exchange.content_type == _FORM else {},
        "cookie": _cookies(exchange.headers.get("Cookie", "")),
        "userCtx": user_context(exchange),
        "secObj": exchange.database.security,
    }


def user_context(exchange: Exchange) -> dict[str, Any]:
    """Give the object `userCtx`: who asks, and in which database."""
    user = exchange.user
    return {"db": exchange.database.name, "name": user.name, "roles": list(user.roles)}


def _cookies(header: str) -> dict[str, str]:
    cookies = SimpleCookie()
    try:
        cookies.load(header)
    except CookieError:
        return {}
    return {name: morsel.value for name, morsel in cookies.items()}
