"""Which filter a request for changes asks for."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

import msgspec

from aiocouch.embedded.codec import decode, encode
from aiocouch.embedded.erlang_text import printed
from aiocouch.embedded.errors import CouchError, bad_request, internal, not_found
from aiocouch.embedded.feeds.changes import Everything, Leaf
from aiocouch.embedded.feeds.filters import ByDocument, ById, DesignDocuments
from aiocouch.embedded.http.request_object import request_object
from aiocouch.embedded.javascript.queryserver import design_unit
from aiocouch.embedded.selectors.match import compile_selector
from aiocouch.embedded.selectors.selector import normalize, parse_field
from aiocouch.embedded.store.records import render

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator, Sequence

    from aiocouch.embedded.feeds.changes import Filter
    from aiocouch.embedded.http.exchange import Exchange
    from aiocouch.embedded.javascript.pool import Unit


_ABSENT = object()


class Chosen(msgspec.Struct, frozen=True):
    """A filter, and what its `fields` make of the text of a document shown in a row."""

    filter: Filter
    project: Callable[[bytes], bytes] | None = None
    fields: tuple[str, ...] = ()


async def read_filter(exchange: Exchange, body: dict[str, Any]) -> Chosen:
    """Read the option `filter` and what belongs to it, from the query and the body of a POST."""
    name = exchange.query.text("filter") or ""
    if name == "_selector":
        return _selector(exchange, body)
    return Chosen(await _plain_filter(exchange, name, body))


def _selector(exchange: Exchange, body: dict[str, Any]) -> Chosen:
    if exchange.method != "POST":
        raise bad_request("Selector must be specified in POST payload")
    selector = body.get("selector")
    if not isinstance(selector, dict):
        raise bad_request("Selector error: expected a JSON object")
    fields = body.get("fields")
    if "fields" in body and not isinstance(fields, list):
        raise bad_request("Selector error: fields must be JSON array")
    asking = _asking(_compiled(selector))
    chosen = ByDocument(asking, Leaf.text, ("selector", encode(selector)))
    return Chosen(chosen, _projection(fields), tuple(fields or ()))


def _compiled(selector: dict[str, Any]) -> Callable[[Any], bool]:
    try:
        return compile_selector(normalize(selector))
    except CouchError as error:
        # A feed says bad_request where _find has a word for each mistake.
        raise bad_request(error.reason or error.error) from error


def _asking(matches: Callable[[Any], bool]) -> Callable[[Sequence[bytes]], Awaitable[list[bool]]]:
    async def ask(documents: Sequence[bytes]) -> list[bool]:
        return [matches(decode(text)) for text in documents]

    return ask


def _projection(fields: list[Any] | None) -> Callable[[bytes], bytes] | None:
    for field in fields or ():
        if not isinstance(field, str):
            raise bad_request(f"Invalid JSON for field spec: {encode(field).decode()}")
    if not fields:
        return None
    paths = [parse_field(field) for field in fields]
    return lambda text: encode(_projected(decode(text), paths))


def _projected(document: dict[str, Any], paths: Sequence[Sequence[str]]) -> dict[str, Any]:
    """Keep the members of a document that the paths name."""
    result: dict[str, Any] = {}
    for path in paths:
        value: Any = document
        for name in path:
            value = value.get(name, _ABSENT) if isinstance(value, dict) else _ABSENT
        if value is not _ABSENT:
            place = result
            for name in path[:-1]:
                place = place.setdefault(name, {})
            place[path[-1]] = value
    return result


async def _plain_filter(exchange: Exchange, name: str, body: dict[str, Any]) -> Filter:
    if not name:
        return Everything()
    if name == "_doc_ids":
        return ById(_doc_ids(exchange, body))
    if name == "_design":
        return DesignDocuments()
    if name == "_view":
        return _by_view(exchange)
    if name.startswith("_"):
        raise bad_request("unknown builtin filter name")
    return await _by_function(exchange, name, body)


def _doc_ids(exchange: Exchange, body: dict[str, Any]) -> list[str]:
    ids = body.get("doc_ids") if exchange.method == "POST" else None
    if exchange.method != "POST" and "doc_ids" in exchange.query:
        ids = exchange.query.json("doc_ids")
    if not isinstance(ids, list) or not all(isinstance(item, str) for item in ids):
        raise bad_request("`doc_ids` filter parameter is not a list of doc ids.")
    return ids


def _by_view(exchange: Exchange) -> ByDocument:
    text = exchange.query.text("view")
    if not text:
        raise bad_request("`view` filter parameter is not provided.")
    parts = _parts(text)
    if len(parts) != 2:
        raise internal(text, "case_clause")
    design, name = _function(exchange, parts[0], "views", parts[1])
    javascript = exchange.server.javascript

    async def ask(documents: Sequence[bytes]) -> Sequence[bool]:
        with _told_as_error():
            return await javascript.filter_view(design, name, documents)

    return ByDocument(ask, Leaf.text_with_revisions, ("view", design.name, name))


async def _by_function(exchange: Exchange, text: str, body: dict[str, Any]) -> ByDocument:
    parts = _parts(text)
    if len(parts) != 2:
        raise bad_request("`filter` must be of the form `designname/filtername`")
    design, name = _function(exchange, parts[0], "filters", parts[1])
    with _told_as_error():
        told = await request_object(exchange, with_body=False)
    if exchange.method == "POST" and await exchange.sent():
        told["body"] = body
    request = encode(told)
    # two requests are never the same, but these members tell of the moment only
    alike = encode({**told, "uuid": "", "info": {}})
    javascript = exchange.server.javascript

    async def ask(documents: Sequence[bytes]) -> Sequence[bool]:
        with _told_as_error():
            return await javascript.filter(design, name, documents, request)

    return ByDocument(ask, Leaf.text_with_revisions, ("function", design.name, name, alike))


def _parts(text: str) -> list[str]:
    return [part for part in text.split("/") if part]


def _function(exchange: Exchange, design: str, member: str, name: str) -> tuple[Unit, str]:
    """Find a function of a design document; raise 404 when there is none."""
    database = exchange.database
    entry = database.get(f"_design/{design}")
    if entry is None or entry.deleted:
        raise not_found("missing" if entry is None else "deleted")
    body = decode(entry.body)
    functions = body.get(member)
    if not isinstance(functions, dict):
        raise not_found(f"missing json key: {member}")
    if name not in functions:
        raise not_found(f"missing json key: {name}")
    language = body.get("language", "javascript")
    with _told_as_error():
        unit = design_unit(database.uuid, entry.id, entry.rev, render(entry), language)
    return unit, name


@contextlib.contextmanager
def _told_as_error() -> Iterator[None]:
    """Tell what a filter throws as CouchDB does: by the text of an Erlang term, with 500."""
    try:
        yield
    except CouchError as error:
        told = f"{{{error.error},{printed(error.reason)}}}"
        raise CouchError(500, "error", told) from error
