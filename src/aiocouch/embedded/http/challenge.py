"""What a 401 adds for browsers: a question for the password, or the way to a log-in page."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import quote

if TYPE_CHECKING:
    from aiocouch.embedded.errors import CouchError
    from aiocouch.embedded.http.exchange import Exchange

_LOGIN_PAGE = "/_utils/session.html"


def challenged(error: CouchError, exchange: Exchange) -> tuple[int, dict[str, str]]:
    """Return the status and headers of an error; only a 401 gets others than its own."""
    headers = dict(error.headers)
    if error.status != 401:
        return error.status, headers
    wanted = _challenge(exchange)
    if wanted is not None:
        return error.status, {**headers, "WWW-Authenticate": wanted}
    if _is_for_people(exchange.headers.get("Accept")):
        return 302, {**headers, "Location": _login_page(error, exchange)}
    return error.status, headers


def _challenge(exchange: Exchange) -> str | None:
    config = exchange.server.config
    wanted = exchange.headers.get("X-CouchDB-WWW-Authenticate")
    wanted = wanted or config.get("chttpd", "WWW-Authenticate")
    # under its former name the setting requires nothing any more, but browsers are still asked
    former = config.flag("httpd", "require_valid_user", default=False)
    if wanted is None and config.flag("chttpd", "require_valid_user", default=former):
        return 'Basic realm="server"'
    return wanted


def _is_for_people(accept: str | None) -> bool:
    types = {part.partition(";")[0].strip() for part in (accept or "*/*").lower().split(",")}
    is_json = not types.isdisjoint({"*/*", "application/*", "application/json"})
    return not is_json and not types.isdisjoint({"text/*", "text/html"})


def _login_page(error: CouchError, exchange: Exchange) -> str:
    page = exchange.server.config.text("chttpd_auth", "authentication_redirect", _LOGIN_PAGE)
    back = quote(exchange.request.raw_path.partition("?")[0], safe="")
    reason = quote(error.reason or "", safe="")
    return exchange.url(f"{page.removeprefix('/')}?return={back}&reason={reason}")
