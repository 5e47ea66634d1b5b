"""The functions of design documents that answer requests: `_show`, `_list` and `_update`."""

from __future__ import annotations

import base64
import binascii
import hashlib
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import quote

from aiocouch._wire.revision import format_revision, parse_revision
from aiocouch.embedded.codec import decode, encode
from aiocouch.embedded.documents.edits import read_edit
from aiocouch.embedded.erlang_text import flattened, printed
from aiocouch.embedded.errors import CouchError, internal, method_not_allowed, not_found
from aiocouch.embedded.http.policies import content_policy
from aiocouch.embedded.http.request_object import request_object
from aiocouch.embedded.http.routes.all_docs import all_docs_rows
from aiocouch.embedded.http.routes.attachments import compression
from aiocouch.embedded.http.routes.views import find_design, view_query
from aiocouch.embedded.http.routing import design_route
from aiocouch.embedded.javascript.queryserver import design_unit, function_error
from aiocouch.embedded.store.records import render
from aiocouch.embedded.views.options import ViewOptions

if TYPE_CHECKING:
    from collections.abc import Mapping

    from aiocouch.embedded.http.exchange import Exchange
    from aiocouch.embedded.http.message import Reply
    from aiocouch.embedded.javascript.pool import Unit
    from aiocouch.embedded.store.records import Entry

_LIST_METHODS = ("GET", "POST", "HEAD", "OPTIONS")
_ROW = ("id", "key", "value", "doc")
_DIGITS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"


def _function(exchange: Exchange, member: str, name: str) -> tuple[Entry, Unit]:
    """Find a function of the design document in the path; raise 404 when there is none."""
    database = exchange.database
    entry = find_design(database, exchange.segments[2])
    body = decode(entry.body)
    functions = body.get(member)
    if functions is None:
        raise not_found(f"missing json key: {member}")
    if name not in functions:
        raise not_found(f"missing json key: {name}")
    language = body.get("language", "javascript")
    return entry, design_unit(database.uuid, entry.id, entry.rev, render(entry), language)


def _document(exchange: Exchange, doc_id: str) -> Entry | None:
    """Return a document as the user may see it; None for one that he may not see."""
    entry = exchange.database.get(doc_id)
    if entry is None or entry.deleted:
        return None
    try:
        return exchange.shown(entry)
    except CouchError as error:
        if error.status != 404:
            raise
        return None


def _shown(entry: Entry | None) -> bytes:
    """Return a document as functions see it, with its revisions; `null` where there is none."""
    if entry is None:
        return b"null"
    path = entry.tree.ancestry(parse_revision(entry.rev))
    ids = [format_revision(node.rev).partition("-")[2] for node in path]
    revisions = {"start": path[0].rev[0], "ids": ids}
    return render(entry, [("_revisions", revisions)])


# _show


@design_route("_show")
async def show(exchange: Exchange) -> Reply:
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
        "doc": _shown(entry),
        "req": encode(await request_object(exchange, doc_id)),
    }
    result = await exchange.server.javascript.render(unit, "show", given)
    return respond(exchange, result, {"ETag": etag, "Vary": "Accept"})


def _etag(exchange: Exchange, design: Entry, entry: Entry | None) -> str:
    """Return the tag that changes with everything the function may look at."""
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
async def list_function(exchange: Exchange) -> Reply:
    """Answer `/db/_design/ddoc/_list/function[/other ddoc]/view`; `_all_docs` is a view, too."""
    if exchange.method not in _LIST_METHODS:
        raise method_not_allowed(_LIST_METHODS[:3])
    rest = exchange.segments[4:]
    if len(rest) not in {2, 3}:
        raise CouchError(404, "list_error", "Invalid path.")
    options = await _list_options(exchange)
    _, unit = _function(exchange, "lists", rest[0])
    design = rest[1] if len(rest) == 3 else exchange.segments[2]
    head, rows = await _rows(exchange, design, rest[-1], options)
    request = await request_object(exchange)
    if exchange.method == "POST":
        request["body"] = await exchange.json_object()
    given = {"name": encode(rest[0]), "head": head, "rows": rows, "req": encode(request)}
    return _listed(exchange, await exchange.server.javascript.render(unit, "list", given))


async def _list_options(exchange: Exchange) -> ViewOptions:
    options = ViewOptions()
    if exchange.method == "POST":
        exchange.require_json_type()
        options.apply_json(await exchange.json_object())
    return options.apply_text(exchange.query.pairs)


async def _rows(
    exchange: Exchange, design: str, view: str, options: ViewOptions
) -> tuple[bytes, bytes]:
    """Return what stands before the rows, and the rows, as JSON texts."""
    if view == "_all_docs":
        find_design(exchange.database, design)
        return await _all_docs(exchange, options)
    query = view_query(exchange, design, view, options)
    await query.prepare()
    return await query.collect()


async def _all_docs(exchange: Exchange, options: ViewOptions) -> tuple[bytes, bytes]:
    options.check(has_reduce=False)
    pieces = [piece async for piece in all_docs_rows(exchange.database, options)]
    answer = decode(b"".join(pieces))
    rows = [
        {name: row[name] for name in _ROW if (name in row and "error" not in row) or name == "key"}
        for row in answer.pop("rows")
    ]
    return encode(answer), encode(rows)


def _listed(exchange: Exchange, result: Mapping[str, Any]) -> Reply:
    """Answer with what a list function sent; where it failed meanwhile, say so at the end."""
    failure = result.get("failure")
    error = None if failure is None else function_error(failure["error"], failure["reason"])
    if error is not None and not result["body"] and result["atEnd"]:
        raise error
    if error is None and not result["body"]:
        return exchange.answer_bytes(b"", None)
    shaped = _shape(result["head"])
    status = shaped.code if result["body"] or error is None else error.status
    body = result["body"].encode()
    if error is not None:
        body += b"\n%b\n" % encode({"code": error.status, **error.body()})
    return _send(exchange, shaped._replace(code=status, body=body, json=None), {})


# _update


@design_route("_update")
async def update(exchange: Exchange) -> Reply:
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
            "doc": _shown(entry),
            "req": encode(await request_object(exchange, doc_id)),
        },
    )
    if not isinstance(result["response"], dict):
        shown = printed(["up", result["doc"], result["response"]])
        raise internal(shown, "case_clause")
    if not isinstance(result["doc"], dict):
        return respond(exchange, {"code": 200, **result["response"]})
    written = await _write(exchange, result["doc"])
    code = 202 if exchange.query.text("batch") == "ok" else 201
    return respond(exchange, {"code": code, **result["response"]}, written)


async def _write(exchange: Exchange, document: Any) -> dict[str, str]:
    edit = read_edit(document, compression(exchange.server.config))
    if not edit.id:
        raise CouchError(400, "illegal_docid", "Document id must not be empty")
    writer = exchange.server.update(exchange.database, exchange.user)
    outcome = await writer.write(edit)
    return {"X-Couch-Update-NewRev": outcome.rev, "X-Couch-Id": quote(outcome.id, safe="")}


# what functions answer


class _Shape(NamedTuple):
    """What a response object says; `json` is text, None where it is not given."""

    code: Any = 200
    body: bytes = b""
    json: bytes | None = None
    content_type: str = "application/json"
    headers: Mapping[str, str] = {}


def respond(exchange: Exchange, result: Any, headers: Mapping[str, str] | None = None) -> Reply:
    """Answer with the response object that a function gave; `headers` are added.

    Only what `json` gives is trusted to be no page of its own: the rest is sandboxed.
    """
    if headers and isinstance(result, dict) and not isinstance(result.get("headers", {}), dict):
        raise internal("function_clause")
    return _send(exchange, _shape(result), headers or {})


def _send(exchange: Exchange, shape: _Shape, headers: Mapping[str, str]) -> Reply:
    if type(shape.code) is not int and not isinstance(shape.code, str):
        raise internal("function_clause")
    given = {name: value for name, value in shape.headers.items() if name.lower() != "content-type"}
    types = [value for name, value in shape.headers.items() if name.lower() == "content-type"]
    sent = {**given, **headers}
    if shape.json is None:
        _add_policy(exchange, sent)
    body = shape.body if shape.json is None else shape.json
    if exchange.method == "HEAD":
        body = b""
    content_type = types[-1] if types else shape.content_type
    response = exchange.answer_bytes(body, content_type, int(shape.code), sent)
    if shape.json is None and "cache-control" not in map(str.lower, sent):
        response.headers.pop("Cache-Control", None)
    return response


def _add_policy(exchange: Exchange, headers: dict[str, str]) -> None:
    """Add the policy of the server; one of the function can but restrict it further."""
    for name, value in content_policy(exchange.server.config, "showlist", "sandbox").items():
        own = [headers.pop(given) for given in list(headers) if given.lower() == name.lower()]
        headers[name] = ", ".join([value, *own])


def _shape(result: Any) -> _Shape:
    """Read a response object member by member: a later one overrides what an earlier one set."""
    if not isinstance(result, dict):
        raise internal("function_clause")
    shape = _Shape()
    for name, value in result.items():
        shape = shape._replace(**_member(name, value))
    return shape


def _member(name: str, value: Any) -> dict[str, Any]:
    if name == "code":
        return {"code": value}
    if name == "json":
        return {"json": encode(value) + b"\n", "content_type": "application/json"}
    if name == "body":
        return {"body": _body(value), "content_type": "text/html; charset=utf-8"}
    if name == "base64":
        return {"body": _decoded(value), "content_type": "application/binary"}
    if name == "headers" and isinstance(value, dict):
        return {"headers": {each: _header(text) for each, text in value.items()}}
    if (name == "stop" and value is True) or not name:
        return {}
    shown = f"{{{printed(name)},{printed(value)}}}"
    raise CouchError(500, "external_response_error", f"Invalid data from external server: {shown}")


def _header(value: Any) -> str:
    return value if isinstance(value, str) else printed(value)


def _body(value: Any) -> bytes:
    try:
        return flattened(value)
    except ValueError:
        raise internal("badarg") from None


def _decoded(value: Any) -> bytes:
    if not isinstance(value, str):
        raise internal("function_clause")
    try:
        return base64.b64decode(value, validate=True)
    except (binascii.Error, ValueError):
        raise internal("missing_padding") from None
