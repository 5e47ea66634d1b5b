"""`/db/_security`: who are the members and admins of a database."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aiocouch.embedded.errors import forbidden, internal
from aiocouch.embedded.http.routing import database_route
from aiocouch.embedded.identity import is_database_admin, is_valid_security

if TYPE_CHECKING:
    from aiocouch.embedded.http.exchange import Exchange
    from aiocouch.embedded.http.message import Reply


@database_route("_security", methods=("PUT", "GET"))
async def security(exchange: Exchange) -> Reply:
    """Answer GET and PUT of `/db/_security`."""
    if exchange.method != "PUT":
        return exchange.answer(exchange.database.security)
    _check_editable(exchange)
    value = await exchange.json()
    if not is_database_admin(exchange.user, exchange.database.security):
        raise _no_majority()
    if not is_valid_security(value):
        raise _no_majority()
    await exchange.database.set_security(value)
    return exchange.answer({"ok": True})


def _no_majority() -> Exception:
    # The nodes of a cluster refuse one by one, and the answer tells of the vote only.
    return internal("no_majority", "error")


def _check_editable(exchange: Exchange) -> None:
    config = exchange.server.config
    users = config.text("chttpd_auth", "authentication_db", "_users")
    editable = config.flag("couchdb", "users_db_security_editable", default=False)
    if exchange.segments[0] == users and not editable:
        raise forbidden("You can't edit the security object of the user database.")
