"""The request as functions of design documents see it: the object `req`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import unquote_plus

from aiocouch.embedded.codec import decode
from aiocouch.embedded.http.database_info import database_info
from aiocouch.embedded.http.query import read_pairs
from aiocouch.embedded.http.vhosts import VHOST_PATH
from aiocouch.embedded.who.cookies import read_cookies

if TYPE_CHECKING:
    from aiocouch.embedded.http.exchange import Exchange

_FORM = "application/x-www-form-urlencoded"
_JSON = frozenset({"descending", "endkey", "key", "startkey"})
# what CouchDB makes of a request that has no body at all
_NO_BODY = "undefined"
_SECRET = frozenset({"authorization", "cookie", "proxy-authorization", "x-auth-couchdb-token"})


async def request_object(
    exchange: Exchange, doc_id: str | None = None, *, with_body: bool = True
) -> dict[str, Any]:
    """Return `req` for a request in a database; `doc_id` names the document it is about.

    `with_body` False keeps the body from the function, as CouchDB does in a changes feed. A
    query that says `key`, `startkey`, `endkey` or `descending` says them in JSON, or it is a 400.
    """
    query = _query(exchange)
    text = await _body(exchange) if with_body else _NO_BODY
    return {
        "info": database_info(exchange.database),
        "uuid": exchange.server.uuids.new(),
        "id": doc_id,
        "method": exchange.method,
        "requested_path": [unquote_plus(part) for part in _requested(exchange).split("/") if part],
        "path": exchange.segments,
        "raw_path": exchange.raw_path,
        "query": query,
        "headers": _headers(exchange),
        "body": text,
        "peer": exchange.peer,
        "form": _form(exchange, text),
        "cookie": _cookies(exchange),
        "userCtx": user_context(exchange),
        "secObj": exchange.database.security,
    }


def _requested(exchange: Exchange) -> str:
    return exchange.headers.get(VHOST_PATH, exchange.raw_path)


def _query(exchange: Exchange) -> dict[str, Any]:
    pairs = exchange.query.pairs
    return {name: decode(value) if name in _JSON else value for name, value in pairs}


async def _body(exchange: Exchange) -> str:
    if not exchange.announces_body:
        return _NO_BODY
    return (await exchange.sent()).decode("utf-8", "replace")


def _form(exchange: Exchange, text: str) -> dict[str, str]:
    if exchange.method not in {"POST", "PUT"} or not exchange.content_type.startswith(_FORM):
        return {}
    return dict(read_pairs(text))


def user_context(exchange: Exchange) -> dict[str, Any]:
    """Return the object `userCtx`: who asks, and in which database."""
    user = exchange.user
    return {"db": exchange.database.name, "name": user.name, "roles": list(user.roles)}


def _headers(exchange: Exchange) -> dict[str, str]:
    # A design document could send away what a client proves its identity with.
    secret = _SECRET if _is_scrubbed(exchange) else frozenset()
    return {
        name if name == VHOST_PATH else name.title(): exchange.headers[name]
        for name in sorted(exchange.headers, key=str.lower)
        if name.lower() not in secret
    }


def _cookies(exchange: Exchange) -> dict[str, str]:
    return {} if _is_scrubbed(exchange) else dict(read_cookies(exchange.headers.get("Cookie")))


def _is_scrubbed(exchange: Exchange) -> bool:
    return exchange.server.config.flag("chttpd", "scrub_json_request", default=True)
