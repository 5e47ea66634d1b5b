"""`/_session`: log in, log out, ask who one is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl

from aiocouch.embedded.codec import decode
from aiocouch.embedded.erlang_text import flattened, printed
from aiocouch.embedded.errors import (
    bad_content_type,
    bad_request,
    internal,
    method_not_allowed,
    unauthorized,
)
from aiocouch.embedded.http.routing import server_route
from aiocouch.embedded.who.auth import WRONG

if TYPE_CHECKING:
    from aiocouch.embedded.errors import CouchError
    from aiocouch.embedded.http.exchange import Exchange
    from aiocouch.embedded.http.message import Reply

_WRONG_TYPE = "Content-Type must be 'application/x-www-form-urlencoded' or 'application/json'"


@server_route("_session")
async def session(exchange: Exchange) -> Reply:
    """Answer GET, POST and DELETE of `/_session`."""
    if exchange.method in ("GET", "HEAD"):
        return _who(exchange)
    if exchange.method == "POST":
        return await _log_in(exchange)
    if exchange.method == "DELETE":
        return _answer(exchange, {"ok": True}, 200, "next", _cleared(exchange))
    raise method_not_allowed(("GET", "HEAD", "POST", "DELETE"))


def _who(exchange: Exchange) -> Reply:
    user, auth = exchange.user, exchange.server.auth
    if user.name is None and exchange.query.text("basic") == "true":
        raise unauthorized("Please login.")
    info: dict[str, object] = {"authentication_handlers": list(auth.handler_names)}
    if user.handler is not None:
        info["authenticated"] = user.handler
    database = exchange.server.config.get("chttpd_auth", "authentication_db")
    if database is not None:
        info["authentication_db"] = database
    context = {"name": user.name, "roles": list(user.roles)}
    return exchange.answer({"ok": True, "userCtx": context, "info": info})


async def _log_in(exchange: Exchange) -> Reply:
    form = await _form(exchange)
    name, password, token = _name(form), form.get("password", ""), form.get("token", "")
    auth = exchange.server.auth
    account = await auth.log_in(name, password, token, exchange.peer)
    if account is None:
        refusal = {"error": "unauthorized", "reason": WRONG}
        return _answer(exchange, refusal, 401, "fail", _cleared(exchange))
    value = {"ok": True, "name": name, "roles": list(account.roles)}
    return _answer(exchange, value, 200, "next", auth.new_cookie(account, secure=False))


def _cleared(exchange: Exchange) -> str:
    return exchange.server.auth.cleared_cookie(secure=False)


def _answer(
    exchange: Exchange, value: dict[str, Any], status: int, option: str, cookie: str
) -> Reply:
    """Answer with a cookie; the query option sends a browser on to another page."""
    target = exchange.query.text(option)
    if target is None:
        exchange.set_cookie = cookie
        return exchange.answer(value, status)
    if not target.startswith("/"):
        raise bad_request("path must begin with a /.")
    exchange.set_cookie = cookie
    return exchange.answer(value, 302, {"Location": exchange.url(target[1:])})


async def _form(exchange: Exchange) -> dict[str, str]:
    kind = exchange.headers.get("Content-Type", "")
    body = await exchange.body()
    if kind.startswith("application/x-www-form-urlencoded"):
        # a semicolon separates as well
        return _first(parse_qsl(_text(body).replace(";", "&"), keep_blank_values=True))
    if kind.startswith("application/json"):
        return _first(_strings(decode(body)))
    raise bad_content_type(_WRONG_TYPE)


def _text(body: bytes) -> str:
    try:
        return body.decode()
    except UnicodeDecodeError as error:
        raise internal("badarg") from error


def _strings(value: object) -> list[tuple[str, str]]:
    if not isinstance(value, dict):
        raise _no_form(value)
    if not all(isinstance(item, str) for item in value.values()):
        raise internal("badarg")
    return list(value.items())


def _no_form(value: object) -> CouchError:
    """CouchDB trips over it, and shows what it is."""
    if value is None:
        return internal("badmatch")
    try:
        shown = flattened(value).decode(errors="replace")
    except ValueError:
        shown = printed(value)
    return internal(shown, "badmatch")


def _first(pairs: list[tuple[str, str]]) -> dict[str, str]:
    return dict(reversed(pairs))


def _name(form: dict[str, str]) -> str:
    name, username = form.get("name"), form.get("username", form.get("name"))
    if username is None:
        raise bad_request("request body must contain a username")
    if name is not None and name != username:
        raise bad_request("request body contains different usernames")
    return username
