"""The functions of design documents that answer requests: `_show`, `_list` and `_update`."""

from __future__ import annotations

import base64
import binascii
import hashlib
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from aiocouch.embedded.codec import decode, encode
from aiocouch.embedded.erlang_text import printed
from aiocouch.embedded.errors import CouchError, method_not_allowed, not_found
from aiocouch.embedded.http.attachments import compression
from aiocouch.embedded.http.request_object import request_object
from aiocouch.embedded.http.routes import design_route
from aiocouch.embedded.http.views import find_design, view_query
from aiocouch.embedded.incoming import read_edit
from aiocouch.embedded.javascript.queryserver import design_unit
from aiocouch.embedded.revision import format_revision, parse_revision
from aiocouch.embedded.store.records import render
from aiocouch.embedded.views.options import ViewOptions
from aiocouch.embedded.writing import Update

if TYPE_CHECKING:
    from collections.abc import Mapping

    from aiohttp import web

    from aiocouch.embedded.http.exchange import Exchange
    from aiocouch.embedded.javascript.pool import Unit
    from aiocouch.embedded.store.records import Entry

_LIST_METHODS = ("GET", "POST", "HEAD")
_MEMBERS = frozenset({"code", "json", "body", "base64", "headers", "stop"})
_DIGITS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"


def _function(exchange: Exchange, member: str, name: str) -> tuple[Entry, Unit]:
    """Find a function of the design document in the path; raises 404 when there is none."""
    database = exchange.database
    entry = find_design(database, exchange.segments[2])
    functions = decode(entry.body).get(member)
    if functions is None:
        raise not_found(f"missing json key: {member}")
    if name not in functions:
        raise not_found(f"missing json key: {name}")
    return entry, design_unit(database.uuid, entry.id, entry.rev, render(entry))


def _document(exchange: Exchange, doc_id: str) -> Entry | None:
    entry = exchange.database.get(doc_id)
    return None if entry is None or entry.deleted else entry


def _shown(exchange: Exchange, entry: Entry | None) -> bytes:
    """Give a document as functions see it, with its revisions; `null` where there is none."""
    if entry is None:
        return b"null"
    path = entry.tree.ancestry(parse_revision(entry.rev))
    ids = [format_revision(node.rev).partition("-")[2] for node in path]
    revisions = {"start": path[0].rev[0], "ids": ids}
    return render(exchange.shown(entry), [("_revisions", revisions)])


# _show


@design_route("_show")
async def show(exchange: Exchange) -> web.StreamResponse:
    """Answer `/db/_design/ddoc/_show/function/document` with what the function makes of it."""
    rest = exchange.segments[4:]
    if not rest:
        raise CouchError(404, "show_error", "Invalid path.")
    design, unit = _function(exchange, "shows", rest[0])
    doc_id = "/".join(rest[1:]) or None
    entry = None if doc_id is None else _document(exchange, doc_id)
    etag = _etag(exchange, design, entry)
    if exchange.has_etag(etag):
        return exchange.not_modified(etag)
    given = {
        "name": encode(rest[0]),
        "doc": _shown(exchange, entry),
        "req": encode(await request_object(exchange, doc_id)),
    }
    try:
        result = await exchange.server.javascript.render(unit, "show", given)
    except CouchError as error:
        if doc_id is not None and entry is None:
            raise not_found("document not found") from error
        raise
    return respond(exchange, result, {"ETag": etag, "Vary": "Accept"})


def _etag(exchange: Exchange, design: Entry, entry: Entry | None) -> str:
    """Give the tag that changes with everything the function may look at."""
    told = [
        design.rev,
        None if entry is None else entry.rev,
        exchange.headers.get("Accept"),
        exchange.user.name,
        list(exchange.user.roles),
        exchange.query.raw,
    ]
    number = int(hashlib.md5(encode(told), usedforsecurity=False).hexdigest(), 16)
    digits = ""
    while number:
        number, digit = divmod(number, len(_DIGITS))
        digits = _DIGITS[digit] + digits
    return f'"{digits}"'


# _list


@design_route("_list")
async def list_function(exchange: Exchange) -> web.StreamResponse:
    """Answer `/db/_design/ddoc/_list/function[/other ddoc]/view`."""
    if exchange.method not in _LIST_METHODS:
        raise method_not_allowed(_LIST_METHODS)
    rest = exchange.segments[4:]
    if len(rest) not in {2, 3}:
        raise CouchError(404, "list_error", "Invalid path.")
    options = await _list_options(exchange)
    _, unit = _function(exchange, "lists", rest[0])
    design = rest[1] if len(rest) == 3 else exchange.segments[2]
    query = view_query(exchange, design, rest[-1], options)
    await query.prepare()
    head, rows = await query.collect()
    request = await request_object(exchange)
    if exchange.method == "POST":
        request["body"] = await exchange.json_object()
    result = await exchange.server.javascript.render(
        unit,
        "list",
        {
            "name": encode(rest[0]),
            "head": head,
            "rows": rows,
            "req": encode(request),
        },
    )
    headers = result.get("headers") or {}
    result["headers"] = {"Content-Type": "application/json", **headers}
    return respond(exchange, result)


async def _list_options(exchange: Exchange) -> ViewOptions:
    options = ViewOptions()
    if exchange.method == "POST":
        exchange.require_json_type()
        options.apply_json(await exchange.json_object())
    return options.apply_text(exchange.query.pairs)


# _update


@design_route("_update")
async def update(exchange: Exchange) -> web.StreamResponse:
    """Answer `POST` and `PUT /db/_design/ddoc/_update/function[/document]`."""
    rest = exchange.segments[4:]
    if not rest:
        raise CouchError(404, "update_error", "Invalid path.")
    _, unit = _function(exchange, "updates", rest[0])
    if exchange.method in {"GET", "HEAD"}:
        raise CouchError(405, "method_not_allowed", "Update functions do not allow GET")
    doc_id = "/".join(rest[1:]) or None
    entry = None if doc_id is None else _document(exchange, doc_id)
    result = await exchange.server.javascript.render(
        unit,
        "update",
        {
            "name": encode(rest[0]),
            "doc": _shown(exchange, entry),
            "req": encode(await request_object(exchange, doc_id)),
        },
    )
    if result["doc"] is None:
        return respond(exchange, result["response"])
    written = await _write(exchange, result["doc"])
    code = 202 if exchange.query.text("batch") == "ok" else 201
    return respond(exchange, {"code": code, **result["response"]}, written)


async def _write(exchange: Exchange, document: Any) -> dict[str, str]:
    edit = read_edit(document, compression(exchange.server.config))
    if not edit.id:
        raise CouchError(400, "illegal_docid", "Document id must not be empty")
    writer = Update(exchange.server, exchange.database, exchange.user)
    outcome = await writer.write(edit)
    return {"X-Couch-Update-NewRev": outcome.rev, "X-Couch-Id": quote(outcome.id, safe="")}


# what functions answer


def respond(
    exchange: Exchange, result: Mapping[str, Any], headers: Mapping[str, str] | None = None
) -> web.StreamResponse:
    """Answer with the response object that a function gave; `headers` are added.

    Only what `json` gives is trusted to be no page of its own: the rest is sandboxed.
    """
    for name, value in result.items():
        if name not in _MEMBERS:
            shown = f"{{{printed(name)},{printed(value)}}}"
            reason = f"Invalid data from external server: {shown}"
            raise CouchError(500, "external_response_error", reason)
    body, content_type = _body_of(result)
    sent = {**_headers_of(result), **(headers or {})}
    if "json" not in result:
        sent["Content-Security-Policy"] = "sandbox"
    if exchange.method == "HEAD":
        body = b""
    response = exchange.answer_bytes(body, content_type, int(result.get("code", 200)), sent)
    if "json" not in result and "cache-control" not in map(str.lower, sent):
        response.headers.pop("Cache-Control", None)
    return response


def _headers_of(result: Mapping[str, Any]) -> dict[str, str]:
    headers = result.get("headers") or {}
    return {str(name): str(value) for name, value in headers.items()}


def _body_of(result: Mapping[str, Any]) -> tuple[bytes, str]:
    if "json" in result:
        return encode(result["json"]) + b"\n", "application/json"
    if "base64" in result:
        try:
            return base64.b64decode(result["base64"]), "application/binary"
        except (binascii.Error, TypeError, ValueError):
            raise CouchError(500, "external_response_error", "bad base64") from None
    if "body" in result:
        return str(result["body"]).encode(), "text/html; charset=utf-8"
    return b"", "application/json"
