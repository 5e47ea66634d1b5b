"""Many documents at once: `_bulk_docs`, `_bulk_get`, `_revs_diff`, `_missing_revs`."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any, NamedTuple

from msgspec.structs import replace

from aiocouch._wire.revision import format_revision
from aiocouch.embedded.codec import encode, encode_text
from aiocouch.embedded.documents.edits import LOCAL, Edit, check_id, read_edit, read_rev
from aiocouch.embedded.documents.partitions import check_partition_of, check_partitioned_id
from aiocouch.embedded.errors import CouchError, bad_request, internal
from aiocouch.embedded.http.accept import accepts_type
from aiocouch.embedded.http.multipart_answers import Part, answer_bulk, package
from aiocouch.embedded.http.reading import (
    ReadOptions,
    open_revisions,
    path_of,
    read_options,
    revision_members,
    text_of,
)
from aiocouch.embedded.http.routes.attachments import compression
from aiocouch.embedded.http.routes.documents import check_size, follow, must_replicate
from aiocouch.embedded.http.routing import database_route

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from aiocouch._wire.revision import Rev
    from aiocouch.embedded.documents.revtree import RevTree
    from aiocouch.embedded.http.exchange import Exchange
    from aiocouch.embedded.http.message import Reply
    from aiocouch.embedded.store.records import Entry, Revision
    from aiocouch.embedded.writing.update import Outcome

_MULTIPART = ("multipart/mixed", "multipart/related")


# _bulk_docs


@database_route("_bulk_docs", methods=("POST",), json_post=True, exact=True)
async def bulk_docs(exchange: Exchange) -> Reply:
    """Answer `/db/_bulk_docs`."""
    body = await exchange.json_object()
    docs = _docs(body)
    replicated = _is_replicated(body)
    edits = [_read(exchange, value, replicated=replicated) for value in docs]
    if edits and not replicated and body.get("all_or_nothing") is True:
        return exchange.answer([_refused(edit) for edit in edits], 417)
    update = exchange.server.update(exchange.database, exchange.user, replicated=replicated)
    outcomes = await update.run(edits)
    if not replicated:
        return _answer_outcomes(exchange, outcomes, _status(exchange, body))
    told = zip(edits, outcomes, strict=True)
    return exchange.answer([_lost(edit, outcome) for edit, outcome in told if outcome.error], 201)


def _status(exchange: Exchange, body: dict[str, Any]) -> int:
    """Return 202 where more copies are asked for than one node has; the body counts first."""
    if "w" not in body:
        return exchange.written
    wanted = body["w"]
    return 202 if isinstance(wanted, int) and wanted > 1 else 201


def _answer_outcomes(exchange: Exchange, outcomes: list[Outcome], status: int) -> Reply:
    rows = [*map(_row, outcomes)]
    if status == 201:
        return exchange.answer_json(encode_text(rows), status)
    return exchange.answer(
        [{**row, "accepted": True} if "ok" in row else row for row in rows], status
    )


def _docs(body: dict[str, Any]) -> list[Any]:
    if "docs" not in body:
        raise bad_request("POST body must include `docs` parameter.")
    docs = body["docs"]
    if not isinstance(docs, list):
        raise bad_request("`docs` parameter must be an array.")
    return docs


def _is_replicated(body: dict[str, Any]) -> bool:
    new_edits = body.get("new_edits", True)
    if not isinstance(new_edits, bool):
        raise bad_request("`new_edits` parameter must be a boolean.")
    return not new_edits


def _read(exchange: Exchange, value: object, *, replicated: bool) -> Edit:
    edit = read_edit(value, compression(exchange.server.config))
    if exchange.database.partitioned and edit.id:
        check_partition_of(edit.id)
    check_size(exchange, edit, edit.id)
    if replicated:
        must_replicate(edit)
    if edit.id == "":
        edit.id = exchange.server.uuids.new()
    return edit


def _row(outcome: Outcome) -> dict[str, Any]:
    if outcome.error is None:
        return {"ok": True, "id": outcome.id, "rev": outcome.rev}
    return {"id": outcome.id, "error": outcome.error.error, "reason": outcome.error.reason}


def _lost(edit: Edit, outcome: Outcome) -> dict[str, Any]:
    return {**_row(outcome), "rev": format_revision(edit.revs[0])}


def _refused(edit: Edit) -> dict[str, str]:
    rev = format_revision(edit.revs[0]) if edit.revs else "0-"
    reason = "all_or_nothing is not supported"
    return {"id": edit.id, "rev": rev, "error": "not_implemented", "reason": reason}


# _bulk_get


class _Wish(NamedTuple):
    """One entry of `_bulk_get`, checked: what to read, or why it cannot be read."""

    id: Any
    rev: Any
    options: ReadOptions
    error: CouchError | None = None


@database_route("_bulk_get", methods=("POST",), json_post=True, exact=True)
async def bulk_get(exchange: Exchange) -> Reply:
    """Answer `/db/_bulk_get`, as JSON or as a multipart body."""
    body = await exchange.json_object()
    if "docs" not in body:
        raise bad_request("Missing JSON list of 'docs'.")
    for name in ("rev", "open_revs", "atts_since", "w", "new_edits"):
        if name in exchange.query:
            raise bad_request(f'"{name}" query parameter is not acceptable')
    if not isinstance(body["docs"], list):
        raise internal("function_clause")
    options = read_options(exchange.query)
    wishes = [_wish(exchange, value, options) for value in body["docs"]]
    kind = _multipart_type(exchange)
    if kind is not None:
        return await answer_bulk(exchange, kind, _parts(exchange, wishes))
    return await exchange.answer_stream(_results(exchange, wishes))


def _multipart_type(exchange: Exchange) -> str | None:
    accepted = exchange.headers.get("Accept")
    if accepts_type(accepted, "application/json"):
        return None
    return next((kind for kind in _MULTIPART if accepts_type(accepted, kind)), None)


def _wish(exchange: Exchange, value: object, options: ReadOptions) -> _Wish:
    if not isinstance(value, dict) or not value:
        return _Wish(None, None, options, bad_request("document must be a JSON object"))
    if "id" not in value:
        return _Wish(None, None, options, bad_request("document id missed"))
    doc_id, rev = value["id"], value.get("rev")
    if not isinstance(doc_id, str):
        raise internal("function_clause")
    try:
        check_id(doc_id)
        if exchange.database.partitioned:
            check_partition_of(doc_id)
    except CouchError as error:
        return _Wish(doc_id, None, options, error)
    try:
        wanted = (read_rev(rev),) if "rev" in value else None
    except CouchError as error:
        return _Wish(doc_id, rev, options, error)
    wish = _Wish(doc_id, rev, _of(options, wanted))
    return _with_since(wish, value["atts_since"]) if "atts_since" in value else wish


def _of(options: ReadOptions, wanted: tuple[Rev] | None) -> ReadOptions:
    return replace(options, open_revs=wanted, all_leaves=wanted is None)


def _with_since(wish: _Wish, since: object) -> _Wish:
    if not isinstance(since, list):
        error = bad_request("att_since value must be array of revs.")
        return wish._replace(rev=since, error=error)
    revs = []
    for text in since:
        try:
            revs.append(read_rev(text))
        except CouchError as error:
            return wish._replace(rev=text, error=error)
    if not revs:
        return wish
    return wish._replace(options=replace(wish.options, atts_since=tuple(revs)))


def _found(
    exchange: Exchange, wish: _Wish
) -> tuple[Entry | None, list[Revision], list[CouchError | Rev | None]]:
    """Return what there is of a wish, and what is missing: an error, a revision, or anything."""
    if wish.error is not None:
        return None, [], [wish.error]
    entry = None if wish.id.startswith(LOCAL) else exchange.database.get(wish.id)
    if entry is None:
        return None, [], [*(wish.options.open_revs or (None,))]
    revisions, missing = open_revisions(exchange.database, entry, wish.options)
    if len(revisions) > 1:
        revisions = _in_order_of_tree(entry.tree, revisions)
    try:
        return entry, [exchange.shown(item) for item in revisions], [*missing]
    except CouchError:
        return None, [], [CouchError(404, "internal_fabric_error", "not_found")]


def _in_order_of_tree(tree: RevTree, revisions: list[Revision]) -> list[Revision]:
    """Return revisions branch after branch; CouchDB has the roots in descending order."""
    paths = {
        item.rev: [node.rev for node in tree.ancestry(read_rev(item.rev))][::-1]
        for item in revisions
    }
    ascending = sorted(revisions, key=lambda item: paths[item.rev])
    return sorted(ascending, key=lambda item: paths[item.rev][0], reverse=True)


def _failure(wish: _Wish, missing: CouchError | Rev | None) -> bytes:
    rev, error, reason = "undefined", "not_found", "missing"
    if isinstance(missing, CouchError):
        rev, error, reason = wish.rev, missing.error, missing.reason or ""
    elif missing is not None:
        rev = format_revision(missing)
    return encode({"rev": rev, "reason": reason, "id": wish.id, "error": error})


def _part_failure(wish: _Wish, missing: CouchError | Rev | None) -> bytes:
    """Return an error as a part has it: CouchDB leaves out the id where a revision was named."""
    if missing is None or isinstance(missing, CouchError):
        return _failure(wish, missing)
    return encode({"rev": format_revision(missing), "error": "not_found", "reason": "missing"})


async def _results(exchange: Exchange, wishes: list[_Wish]) -> AsyncIterator[bytes]:
    pieces = [b'{"results":[']
    for number, wish in enumerate(wishes):
        docs = b",".join(_answers(exchange, wish))
        lead = b"," if number else b""
        pieces.append(b'%b{"id":%b,"docs":[%b]}' % (lead, encode_text(wish.id), docs))
        if len(pieces) >= 50:
            yield b"".join(pieces)
            pieces.clear()
    yield b"".join([*pieces, b"]}\n"])


def _answers(exchange: Exchange, wish: _Wish) -> Iterator[bytes]:
    entry, revisions, missing = _found(exchange, wish)
    for revision in revisions if entry else ():
        assert entry is not None
        rev = read_rev(revision.rev)
        members = revision_members(exchange.database, entry, rev, wish.options)
        path = path_of(entry, rev, wish.options)
        text = text_of(exchange.database, revision, members, wish.options, path)
        yield b'{"ok":%b}' % text
    for item in missing:
        yield b'{"error":%b}' % _failure(wish, item)


def _parts(exchange: Exchange, wishes: list[_Wish]) -> Iterator[Part]:
    for wish in wishes:
        entry, revisions, missing = _found(exchange, wish)
        for revision in revisions if entry else ():
            assert entry is not None
            rev = read_rev(revision.rev)
            shown = follow(wish.options, path_of(entry, rev, wish.options))
            yield package(
                revision, revision_members(exchange.database, entry, rev, wish.options), shown
            )
        for item in missing:
            yield _part_failure(wish, item)


# what a replicator asks


@database_route("_revs_diff", methods=("POST",), json_post=True, exact=True)
async def revs_diff(exchange: Exchange) -> Reply:
    """Answer `/db/_revs_diff`: which of these revisions are missing here."""
    answer = {}
    for doc_id, revs in await _asked(exchange):
        tree, missing = _missing(exchange, doc_id, revs)
        if missing:
            answer[doc_id] = {"missing": _texts(missing)}
            ancestors = [] if tree is None else tree.possible_ancestors(missing)
            if ancestors:
                answer[doc_id]["possible_ancestors"] = _texts(ancestors)
    return exchange.answer(answer)


@database_route("_missing_revs", methods=("POST",), json_post=True, exact=True)
async def missing_revs(exchange: Exchange) -> Reply:
    """Answer `/db/_missing_revs`."""
    answer = {}
    for doc_id, revs in await _asked(exchange):
        _, missing = _missing(exchange, doc_id, revs)
        if missing:
            answer[doc_id] = _texts(missing)
    return exchange.answer({"missing_revs": answer})


async def _asked(exchange: Exchange) -> list[tuple[str, list[Rev]]]:
    body = await exchange.json_object()
    for revs in body.values():
        if not isinstance(revs, list) or not all(isinstance(rev, str | list) for rev in revs):
            raise internal("function_clause")
    asked = [(doc_id, [*map(read_rev, revs)]) for doc_id, revs in body.items()]
    if exchange.database.partitioned:
        for doc_id in body:
            check_partitioned_id(doc_id)
    return asked


def _missing(exchange: Exchange, doc_id: str, revs: list[Rev]) -> tuple[RevTree | None, list[Rev]]:
    entry = exchange.database.get(doc_id)
    if entry is None:
        return None, revs
    once = dict.fromkeys(revs)
    missing = entry.tree.missing(once)
    if len(once) < len(revs):
        # CouchDB strikes a revision off the list once only
        missing = sorted([*missing, *(Counter(revs) - Counter(once.keys())).elements()])
    return entry.tree, missing


def _texts(revs: list[Rev]) -> list[str]:
    return [*map(format_revision, revs)]
