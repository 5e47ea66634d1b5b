"""From a path to its handler, for requests from outside and for those that a rewrite makes."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from aiocouch.embedded.documents.edits import read_rev
from aiocouch.embedded.documents.partitions import check_partitioned_id
from aiocouch.embedded.errors import (
    bad_request,
    method_not_allowed,
    no_database,
    not_found,
)
from aiocouch.embedded.http import loading
from aiocouch.embedded.http.query import is_utf8
from aiocouch.embedded.http.routing import Route, find_database_route, find_server_route
from aiocouch.embedded.who.access import check_design_request, check_request

if TYPE_CHECKING:
    from aiocouch.embedded.http.exchange import Exchange
    from aiocouch.embedded.http.message import Reply

_WITH_DOCUMENT = frozenset({"GET", "HEAD", "DELETE", "COPY"})
_ENCODED = re.compile("_design%2f", re.IGNORECASE)


async def dispatch(exchange: Exchange) -> Reply:
    """Answer a request whose user is known, if that user may send it."""
    segments = exchange.segments
    route = find_server_route(segments)
    if route is None:
        loading.load_all()
        route = find_server_route(segments) or find_database_route(segments)
    _open_database(exchange)
    _check_access(exchange)
    if not _is_plain(exchange):
        if _hides_design(exchange):
            return _redirect(exchange)
        _check_text(exchange)
        _require_design(exchange)
        _check_local(exchange)
    _check_method(exchange, route)
    _check_partitioned_id(exchange)
    return await route.handler(exchange)


def _open_database(exchange: Exchange) -> None:
    if exchange.segments:
        database = exchange.server.databases.open(exchange.segments[0])
        if database is not None:
            exchange.attach(database)


def _check_access(exchange: Exchange) -> None:
    security = exchange.database.security if exchange.has_database else None
    check_request(
        exchange.method, exchange.segments, exchange.user, exchange.server.config, security
    )
    # a server admin passes where the database is missing
    if security is None and len(exchange.segments) > 1:
        _require_database(exchange)


def _require_database(exchange: Exchange) -> None:
    if find_server_route(exchange.segments) is None:
        raise no_database()


def _is_plain(exchange: Exchange) -> bool:
    """Return whether the path is that of a document with an ordinary id, as most are."""
    segments, path = exchange.segments, exchange.raw_path
    return len(segments) == 2 and segments[1][:1] != "_" and "%" not in path and path.isascii()


def _hides_design(exchange: Exchange) -> bool:
    """Return whether a read names a design document as `_design%2Fname`."""
    if exchange.method not in {"GET", "HEAD"} or len(exchange.segments) < 2:
        return False
    return exchange.segments[1].startswith("_design/")


def _redirect(exchange: Exchange) -> Reply:
    path = _ENCODED.sub("_design/", exchange.request.raw_path, count=1)
    return exchange.answer_bytes(b"", None, 301, {"Location": exchange.url(path[1:])})


def _check_partitioned_id(exchange: Exchange) -> None:
    """Raise 400 for a document that a partitioned database cannot have."""
    if not exchange.has_database or not exchange.database.partitioned:
        return
    segments = exchange.segments
    if exchange.method in _WITH_DOCUMENT and len(segments) > 1:
        if exchange.method != "DELETE" and "rev" in exchange.query:
            read_rev(exchange.query.text("rev"))
        check_partitioned_id(segments[1])


def _check_local(exchange: Exchange) -> None:
    """Raise 400 for paths of `_local` documents that no method makes good."""
    segments = exchange.segments
    if not exchange.has_database or len(segments) < 2 or segments[1] not in {"_local", "_local/"}:
        return
    if len(segments) == 2:
        raise bad_request("Invalid _local document id.")
    if len(segments) > 3:
        raise bad_request("_local documents do not accept attachments.")


def _check_text(exchange: Exchange) -> None:
    """Raise for a path that is not all UTF-8: nothing has such a name, and nothing can get one."""
    if exchange.raw_path.isascii() and "%" not in exchange.raw_path:
        return
    segments = exchange.segments[1:]
    wrong = next((place for place, text in enumerate(segments) if not is_utf8(text)), None)
    if wrong is None:
        return
    if not exchange.has_database:
        raise bad_request("invalid UTF-8 in the path")
    own = 2 if segments[0] in {"_design", "_local"} else 1
    if wrong < own:
        if exchange.method == "PUT" and not any(part[:1] == "_" for part in segments[own:]):
            raise bad_request("Document id must be valid UTF-8", "illegal_docid")
        raise not_found()
    if exchange.method in {"PUT", "DELETE"}:
        raise bad_request("Attachment name is not UTF-8 encoded")
    raise not_found("Document is missing attachment")


def _require_design(exchange: Exchange) -> None:
    """Raise for what is asked of a design document: 404 where it is missing, 403 if it may not be."""
    segments = exchange.segments
    if len(segments) < 4 or segments[1] != "_design":
        return
    entry = exchange.database.get(f"_design/{segments[2]}")
    if entry is not None and not entry.deleted:
        check_design_request(segments, exchange.user, exchange.database.security)
    elif segments[3][:1] == "_":
        raise not_found("missing" if entry is None else "deleted")


def _check_method(exchange: Exchange, route: Route) -> None:
    # CouchDB treats HEAD as GET, even where it does not list it
    method = "GET" if exchange.method == "HEAD" else exchange.method
    if route.methods and method not in route.methods:
        raise method_not_allowed(route.methods)
    if route.json_post and exchange.method == "POST":
        exchange.require_json_type()
