"""The options of `_all_docs` and its relatives: those of a view, save that `keys` are always keys."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from msgspec.structs import replace

from aiocouch.embedded.errors import bad_request
from aiocouch.embedded.store.spans import Span
from aiocouch.embedded.views.options import UNSET, ViewOptions

if TYPE_CHECKING:
    from aiocouch.embedded.errors import CouchError
    from aiocouch.embedded.http.exchange import Exchange
    from aiocouch.embedded.http.query import Query


def row_limit(exchange: Exchange, *, in_partition: bool) -> int | None:
    """Return how many rows one query may give at most, None where the configuration sets no limit."""
    name = "partition_query_limit" if in_partition else "query_limit"
    return exchange.server.config.limit("query_server_config", name, None)


def options_of_query(query: Query) -> ViewOptions:
    """Read the options of the query; later ones win. A list of one key is a range as well."""
    keys = None
    if "keys" in query:
        keys = _keys(query.json("keys"), bad_request("`keys` parameter must be an array."))
    return _of_keys(ViewOptions().apply_text(query.pairs), keys)


def options_of_body(body: dict[str, Any], query: Query) -> ViewOptions:
    """Read the options of the body of a request, and of the query on top of them."""
    keys = None
    if "keys" in body:
        keys = _keys(body["keys"], bad_request("`keys` body member must be an array."))
    return _of_keys(ViewOptions().apply_json(body).apply_text(query.pairs), keys)


def _of_keys(options: ViewOptions, keys: list[Any] | None) -> ViewOptions:
    if keys is not None:
        options.keys = keys
        if len(keys) == 1:
            _forget_range(options, keys[0])
    return options


def _forget_range(options: ViewOptions, key: object) -> None:
    """Take back bounds that say what a list of one key says already; others contradict it."""
    if options.start == key:
        options.start = UNSET
    if options.end == key:
        options.end = UNSET


def options_of_member(query: Query, member: dict[str, Any]) -> ViewOptions:
    """Read the options of one of many queries, on top of those that the URL has for all.

    A list of one key is that key here.
    """
    return ViewOptions().apply_text(query.pairs).apply_json(member)


def _keys(value: object, refusal: CouchError) -> list[Any]:
    if not isinstance(value, list):
        raise refusal
    return value


def span_of(options: ViewOptions, low: str | None = None, high: str | None = None) -> Span:
    """Return the range of ids; `low` and `high` hold where no key is given.

    Keys that are not strings sort before all ids.
    """
    start = _bound(options.start, options.start_id)
    end = _bound(options.end, options.end_id)
    if options.descending:
        start, end = end, start
    span = Span(low if start is None else start, high if end is None else end, options.descending)
    if options.inclusive_end:
        return span
    if options.descending:
        return replace(span, low_open=True)
    return replace(span, high_open=True)


def _bound(key: Any, doc_id: str | None) -> str | None:
    if key is UNSET:
        return doc_id
    return key if isinstance(key, str) else ""
