"""`/db/_index`: JSON indexes are listed, made and deleted."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from aiocouch._wire.revision import parse_revision
from aiocouch.embedded.codec import decode
from aiocouch.embedded.documents.edits import Edit, check_id
from aiocouch.embedded.erlang_text import read_integer, written
from aiocouch.embedded.errors import CouchError, bad_request, method_not_allowed, not_found
from aiocouch.embedded.http.routing import database_route
from aiocouch.embedded.mango.catalog import list_indexes
from aiocouch.embedded.mango.definition import LANGUAGE, NewIndex, design_id, plan_index
from aiocouch.embedded.mango.options import read_bulk_delete, read_index

if TYPE_CHECKING:
    from collections.abc import Callable

    from aiocouch.embedded.http.exchange import Exchange
    from aiocouch.embedded.http.message import Reply
    from aiocouch.embedded.mango.definition import JsonIndex

_EMPTY = {"language": LANGUAGE}


@database_route("_index")
async def index(exchange: Exchange) -> Reply:
    """Answer all of `/db/_index`."""
    rest = exchange.segments[2:]
    if not rest:
        return await _index(exchange)
    if rest == ["_bulk_delete"]:
        _allow(exchange, "POST")
        return await _bulk_delete(exchange)
    if rest[0] == "_design" and len(rest) > 3:
        rest = [f"_design/{rest[1]}", *rest[2:]]
    if len(rest) != 3:
        raise not_found()
    _allow(exchange, "DELETE")
    return await _delete_one(exchange, *rest)


def _allow(exchange: Exchange, *methods: str) -> None:
    method = "GET" if exchange.method == "HEAD" else exchange.method
    if method not in methods:
        raise method_not_allowed(methods)
    if method == "POST":
        exchange.require_json_type()


async def _index(exchange: Exchange) -> Reply:
    _allow(exchange, "GET", "POST")
    return await _create(exchange) if exchange.method == "POST" else _list(exchange)


# --- GET


def _list(exchange: Exchange) -> Reply:
    indexes = sorted(list_indexes(exchange.database), key=lambda each: each.order)
    total = len(indexes)
    limit = _number(exchange, "limit", total, lowest=1)
    skip = _number(exchange, "skip", 0, lowest=0)
    shown = [each.as_json() for each in indexes[skip : skip + limit]]
    return exchange.answer({"total_rows": total, "indexes": shown})


def _number(exchange: Exchange, name: str, default: int, lowest: int) -> int:
    text = exchange.query.text(name)
    try:
        number = default if text is None else read_integer(text)
    except ValueError:
        number = lowest - 1
    if number < lowest:
        reason = "Index parameter ranges: limit > 1, skip > 0"
        raise CouchError(500, "invalid_list_index_params", reason)
    return number


# --- POST


async def _create(exchange: Exchange) -> Reply:
    new = plan_index(read_index(await exchange.json_object()))
    check_id(new.ddoc)
    body, edit = _open_design(exchange, new.ddoc)
    changed = _with_option(new.add_to(body), new, is_new=not edit.revs)
    result = "exists"
    if changed != body:
        result = "created"
        edit.body = changed
        await _save(exchange, edit)
    return exchange.answer({"result": result, "id": new.ddoc, "name": new.name})


def _open_design(exchange: Exchange, doc_id: str) -> tuple[dict[str, Any], Edit]:
    """Return a design document to be edited, an empty one where there is none."""
    entry = exchange.database.get(doc_id)
    if entry is None or entry.deleted:
        return _EMPTY, Edit(doc_id, {})
    body: dict[str, Any] = decode(entry.body)
    if body.get("language") != LANGUAGE:
        found = "false"
        if "language" in body:
            found = f"{{{written('language')},{written(body['language'])}}}"
        reason = f"Existing design doc has an invalid language: {found}"
        raise bad_request(reason, "invalid_ddoc_lang")
    return body, Edit(doc_id, body, revs=(parse_revision(entry.rev),))


def _with_option(body: dict[str, Any], new: NewIndex, *, is_new: bool) -> dict[str, Any]:
    """Write down whether the index is partitioned; an old document must have said the same."""
    options = body.get("options")
    options = options if isinstance(options, dict) else {}
    if options.get("partitioned") == new.partitioned:
        return body
    if not is_new:
        reason = (
            "Requested partitioned option does not match existing value on"
            f" design document {new.ddoc}"
        )
        raise bad_request(reason, "invalid_partitioned_option")
    return {**body, "options": {**options, "partitioned": new.partitioned}}


async def _save(exchange: Exchange, edit: Edit) -> None:
    update = exchange.server.update(exchange.database, exchange.user)
    (outcome,) = await update.run([edit])
    if outcome.error is None:
        return
    if outcome.error.error == "conflict":
        reason = "Encountered a conflict while saving the design document."
    else:
        reason = f"Unknown error while saving the design document: {outcome.error.error}"
    raise CouchError(500, "error_saving_ddoc", reason)


# --- Deleting


async def _delete_one(exchange: Exchange, ddoc: str, kind: str, name: str) -> Reply:
    wanted = design_id(ddoc), kind, name
    if not await _delete(exchange, lambda each: (each.ddoc, each.type, each.name) == wanted):
        raise not_found()
    return exchange.answer({"ok": True})


async def _bulk_delete(exchange: Exchange) -> Reply:
    ids = map(design_id, read_bulk_delete(await exchange.json_object()))
    done: list[dict[str, Any]] = []
    failed: list[dict[str, Any]] = []
    for doc_id in ids:
        if await _delete(exchange, partial(_is_in, doc_id)):
            done.insert(0, {"id": doc_id, "ok": True})
        else:
            failed.insert(0, {"id": doc_id, "error": "not_found"})
    return exchange.answer({"success": done, "fail": failed})


def _is_in(doc_id: str, index: JsonIndex) -> bool:
    return index.ddoc == doc_id


async def _delete(exchange: Exchange, is_wanted: Callable[[JsonIndex], bool]) -> bool:
    """Delete the one index that is wanted; False when there is none."""
    found = [each for each in list_indexes(exchange.database) if is_wanted(each)]
    if not found or found[0].ddoc is None:
        return False
    if len(found) > 1:
        # CouchDB does not get over a design document with several indexes either.
        raise CouchError(500, "unknown_error", "case_clause")
    body, edit = _open_design(exchange, found[0].ddoc)
    views = {name: view for name, view in body["views"].items() if name != found[0].name}
    edit.body = {**body, "views": views}
    if not views:
        del edit.body["views"]
    if edit.body == _EMPTY:
        edit.body, edit.deleted = {}, True
    await _save(exchange, edit)
    return True
