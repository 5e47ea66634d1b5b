"""`/_all_dbs` and `/_dbs_info`: which databases there are."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import msgspec

from aiocouch.embedded.errors import bad_request, not_found, query_parse_error
from aiocouch.embedded.http.database_info import database_info
from aiocouch.embedded.http.routes.server_info import etag_of
from aiocouch.embedded.http.routing import server_route
from aiocouch.embedded.store.faults import StorageError
from aiocouch.embedded.views.options import ViewOptions

if TYPE_CHECKING:
    from collections.abc import Iterable

    from aiocouch.embedded.http.exchange import Exchange
    from aiocouch.embedded.http.message import Reply
    from aiocouch.embedded.http.query import Query

_MOST_KEYS = 100


class NameRange(msgspec.Struct, frozen=True):
    """Which names are wanted.

    A bound is a rank and a name: other types of JSON than strings stand before (0) or after (2)
    all names.
    """

    start: tuple[int, str] | None
    end: tuple[int, str] | None
    keys: list[object] | None
    inclusive_end: bool
    descending: bool
    skip: int
    limit: int | None

    @classmethod
    def of(cls, query: Query) -> NameRange:
        """Read the options of a request: those of a view, whatever they are good for here."""
        ViewOptions().apply_text(query.pairs).check(has_reduce=False)
        if "partition" in query:
            raise query_parse_error("`partition` parameter is not supported on this db")
        return cls(
            _bound(query, "key", "start_key", "startkey"),
            _bound(query, "key", "end_key", "endkey"),
            query.json("keys"),
            query.flag("inclusive_end", default=True),
            query.flag("descending"),
            query.integer("skip", 0),
            query.integer("limit", 0) if "limit" in query else None,
        )

    def choose(self, names: list[str]) -> list[str]:
        """Return the names that are wanted, in the wanted order."""
        end = None if self.limit is None else self.skip + self.limit
        return self._wanted(names)[self.skip : end]

    def _wanted(self, names: list[str]) -> list[str]:
        if self.keys is not None:
            return [key for key in self.keys if isinstance(key, str) and key in names]
        ordered = sorted(names, key=str.encode, reverse=self.descending)
        return [name for name in ordered if self._is_within((1, name))]

    def _is_within(self, place: tuple[int, str]) -> bool:
        low, high = (self.end, self.start) if self.descending else (self.start, self.end)
        if not self.inclusive_end and place == self.end:
            return False
        return (low is None or low <= place) and (high is None or place <= high)


def _bound(query: Query, *names: str) -> tuple[int, str] | None:
    for name in names:
        if name in query:
            value = query.json(name)
            if isinstance(value, str):
                return 1, value
            return (2 if isinstance(value, list | dict) else 0), ""
    return None


@server_route("_all_dbs", methods=("GET", "HEAD"))
async def all_dbs(exchange: Exchange) -> Reply:
    """Answer `/_all_dbs`."""
    _allow_no_more(exchange)
    wanted, etag = _wanted(exchange)
    if exchange.has_etag(etag):
        return exchange.not_modified(etag)
    return exchange.answer(wanted, 200, {"ETag": etag})


@server_route("_dbs_info", methods=("GET", "HEAD", "POST"), json_post=True)
async def dbs_info(exchange: Exchange) -> Reply:
    """Answer `/_dbs_info`: of all databases, or of those in the body."""
    _allow_no_more(exchange)
    if exchange.method == "POST":
        keys = _keys(await exchange.json_object(), exchange)
        return exchange.answer(await _infos(exchange, keys))
    wanted, etag = _wanted(exchange)
    if exchange.has_etag(etag):
        return exchange.not_modified(etag)
    return exchange.answer(await _infos(exchange, wanted), 200, {"ETag": etag})


def _allow_no_more(exchange: Exchange) -> None:
    if len(exchange.segments) > 1:
        raise not_found()


def _wanted(exchange: Exchange) -> tuple[list[str], str]:
    """Return the names that the query asks for, and the ETag of all there are."""
    names = exchange.server.databases.names()
    return NameRange.of(exchange.query).choose(names), etag_of(*names)


async def _infos(exchange: Exchange, names: Iterable[object]) -> list[dict[str, Any]]:
    infos = []
    for name in names:
        infos.append(_info(exchange, name))
        # many files may have to be opened: others are served in between
        await asyncio.sleep(0)
    return infos


def _keys(body: dict[str, Any], exchange: Exchange) -> list[Any]:
    keys = body.get("keys")
    if keys is None:
        raise bad_request("`keys` member must exist.")
    if not isinstance(keys, list):
        raise bad_request("`keys` member must be an array.")
    most = exchange.server.config.integer("chttpd", "max_db_number_for_dbs_info_req", _MOST_KEYS)
    if len(keys) > most:
        raise bad_request("too_many_keys")
    return keys


def _info(exchange: Exchange, name: object) -> dict[str, Any]:
    try:
        database = exchange.server.databases.open(name) if isinstance(name, str) else None
    except StorageError as error:
        return {"key": name, "error": error.error}
    if database is None:
        return {"key": name, "error": "not_found"}
    return {"key": name, "info": database_info(database)}
