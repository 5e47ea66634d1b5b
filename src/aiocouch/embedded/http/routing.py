"""Which handler answers which path: a registry, filled by decorators, and the look-up."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import msgspec

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from aiocouch.embedded.http.exchange import Exchange
    from aiocouch.embedded.http.message import Reply

    Handler = Callable[[Exchange], Awaitable[Reply]]


class Route(msgspec.Struct, frozen=True):
    """A handler with what must hold before it runs.

    `methods` stand in the order in which CouchDB lists them in a 405; empty: the handler looks
    at the method itself. `exact`: a longer path is answered as if it were of an attachment. Who
    may send a request is decided before (`access`).
    """

    handler: Handler
    methods: tuple[str, ...]
    json_post: bool
    exact: bool = False


# Of these CouchDB knows the path of two segments only; what is longer names an attachment.
_WITHOUT_MORE = frozenset(
    {
        "_bulk_docs",
        "_bulk_get",
        "_ensure_full_commit",
        "_missing_revs",
        "_purge",
        "_purged_infos",
        "_purged_infos_limit",
        "_revs_diff",
        "_revs_limit",
        "_security",
    }
)
_server: dict[str, Route] = {}
_database: dict[str, Route] = {}
_design: dict[str, Route] = {}
_default: dict[str, Route] = {}


def _registering(
    table: dict[str, Route],
    name: str,
    methods: tuple[str, ...],
    json_post: bool,
    *,
    exact: bool = False,
) -> Callable[[Handler], Handler]:
    def register(handler: Handler) -> Handler:
        assert name not in table, f"two routes for {name}"
        table[name] = Route(handler, methods, json_post, exact)
        return handler

    return register


def server_route(
    segment: str,
    *,
    methods: tuple[str, ...] = (),
    json_post: bool = False,
) -> Callable[[Handler], Handler]:
    """Register a handler for paths whose first segment is this one; "" is the path `/`.

    `json_post`: POST with another content type than JSON is refused with 415.
    """
    return _registering(_server, segment, methods, json_post)


def database_route(
    segment: str,
    *,
    methods: tuple[str, ...] = (),
    json_post: bool = False,
    exact: bool = False,
) -> Callable[[Handler], Handler]:
    """Register a handler for `/db/<segment>…`; the database is open when it runs."""
    return _registering(_database, segment, methods, json_post, exact=exact)


def design_route(
    segment: str,
    *,
    methods: tuple[str, ...] = (),
    json_post: bool = False,
) -> Callable[[Handler], Handler]:
    """Register a handler for `/db/_design/name/<segment>…`."""
    return _registering(_design, segment, methods, json_post)


def default_route(
    kind: Literal["database", "document", "attachment"],
    *,
    methods: tuple[str, ...] = (),
) -> Callable[[Handler], Handler]:
    """Register the handler for every other path of a kind.

    `database` is `/db`, where the database need not exist and the handler opens it itself;
    `document` is `/db/id`, `/db/_design/id`, `/db/_local/id`; `attachment` is anything longer.
    """
    return _registering(_default, kind, methods, False)


def find_server_route(segments: list[str]) -> Route | None:
    """Return the route of a path that is not in a database, or None."""
    return _server.get(segments[0] if segments else "")


def find_database_route(segments: list[str]) -> Route:
    """Return the route of a path in a database."""
    if len(segments) == 1:
        return _default["database"]
    if len(segments) >= 4 and segments[1] == "_design" and segments[3] in _design:
        return _design[segments[3]]
    special = _database.get(segments[1])
    if special is None or (len(segments) > 2 and segments[1] in _WITHOUT_MORE):
        return _default[_kind(segments)]
    return special


def find_default(kind: Literal["database", "document", "attachment"]) -> Route:
    """Return the default route of a kind."""
    return _default[kind]


def _kind(segments: list[str]) -> str:
    own = 3 if segments[1] in {"_design", "_local"} else 2
    return "document" if len(segments) <= own else "attachment"
