"""`/db/doc`: one document; read, write, remove, copy."""

from __future__ import annotations

import asyncio
import hashlib
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, unquote_plus, urlsplit

from aiocouch._wire.revision import Rev, format_revision
from aiocouch.embedded.codec import decode, encode, encode_text
from aiocouch.embedded.documents.attachment import Content, decode_list
from aiocouch.embedded.documents.edits import LOCAL, Edit, check_id, read_edit, read_rev
from aiocouch.embedded.documents.partitions import check_partition_of
from aiocouch.embedded.documents.sent_attachments import SentAttachment
from aiocouch.embedded.errors import CouchError, bad_content_type, bad_request, not_found
from aiocouch.embedded.http.accept import accepts_type
from aiocouch.embedded.http.multipart_answers import (
    Part,
    answer_mixed,
    answer_related,
    package,
)
from aiocouch.embedded.http.multipart_bodies import read_form, read_related
from aiocouch.embedded.http.query import quoted_segment
from aiocouch.embedded.http.reading import (
    PLAIN,
    ReadOptions,
    find_revision,
    open_revisions,
    path_of,
    read_options,
    revision_members,
    text_of,
    winner_members,
)
from aiocouch.embedded.http.routes.attachments import compression
from aiocouch.embedded.http.routing import default_route
from aiocouch.embedded.store.attachment_texts import Shown
from aiocouch.embedded.store.records import Entry, Local, Revision, render, splice
from aiocouch.embedded.store.uploads import Uploads

if TYPE_CHECKING:
    from aiocouch.embedded.http.exchange import Exchange
    from aiocouch.embedded.http.message import Answer, Reply
    from aiocouch.embedded.writing.update import Outcome, Update

_METHODS = ("DELETE", "GET", "HEAD", "POST", "PUT", "COPY")


@default_route("document", methods=_METHODS)
async def document(exchange: Exchange) -> Reply:
    """Answer `/db/doc`, `/db/_design/name`, `/db/_local/name`."""
    doc_id = "/".join(exchange.segments[1:])
    if doc_id in {"_local", LOCAL}:
        raise bad_request("Invalid _local document id.")
    if exchange.method in {"GET", "HEAD"}:
        return await _get(exchange, doc_id)
    if exchange.method == "PUT":
        return await _put(exchange, doc_id)
    if exchange.method == "DELETE":
        return await _delete(exchange, doc_id)
    if exchange.method == "COPY":
        return await _copy(exchange, doc_id)
    return await _post_form(exchange, doc_id)


# reading


async def _get(exchange: Exchange, doc_id: str) -> Reply:
    options = read_options(exchange.query)
    if doc_id.startswith(LOCAL):
        return _get_local(exchange, doc_id, options)
    if options is PLAIN:
        return _get_plain(exchange, doc_id)
    if options.lists_revisions:
        return await _get_revisions(exchange, doc_id, options)
    return await _get_one(exchange, doc_id, options)


def _get_plain(exchange: Exchange, doc_id: str) -> Reply:
    entry = exchange.database.get(doc_id)
    if entry is None:
        raise not_found()
    if entry.deleted:
        raise not_found("deleted")
    etag = f'"{entry.rev}"'
    if exchange.has_etag(etag):
        return exchange.not_modified(etag)
    return exchange.answer_json(render(exchange.shown(entry)), 200, {"ETag": etag})


async def _get_one(exchange: Exchange, doc_id: str, options: ReadOptions) -> Reply:
    database = exchange.database
    entry, revision = find_revision(database, doc_id, options)
    record = exchange.shown(entry) if revision is None else exchange.shown(revision)
    added = winner_members(database, entry, options) if revision is None else []
    headers = {} if added else {"ETag": f'"{record.rev}"'}
    if headers and exchange.has_etag(headers["ETag"]):
        return exchange.not_modified(headers["ETag"])
    rev = read_rev(record.rev)
    members = [*revision_members(exchange.database, entry, rev, options), *added]
    path = path_of(entry, rev, options)
    if record.attachments and options.sends_attachments and _wants(exchange, "multipart/related"):
        return await answer_related(
            exchange, package(record, members, follow(options, path)), headers
        )
    return exchange.answer_json(text_of(database, record, members, options, path), 200, headers)


def _wants(exchange: Exchange, content_type: str) -> bool:
    return accepts_type(exchange.headers.get("Accept"), content_type)


def follow(options: ReadOptions, path: list[Rev]) -> Shown:
    """Return what comes with its bytes in a multipart body: everything that is not known there."""
    return Shown(data=True, since=options.shown(path).since, encoding_info=True)


async def _get_revisions(exchange: Exchange, doc_id: str, options: ReadOptions) -> Reply:
    entry = exchange.database.get(doc_id)
    if entry is None and options.all_leaves:
        raise not_found()
    found, missing = open_revisions(exchange.database, entry, options)
    revisions = [exchange.shown(item) for item in found]
    if _wants(exchange, "multipart/mixed"):
        parts: list[Part] = [
            _package(exchange, entry, item, options) for item in revisions if entry
        ]
        return await answer_mixed(exchange, [*parts, *map(_missing, missing)])
    texts = [_ok(exchange, entry, item, options) for item in revisions if entry]
    return exchange.answer_json(b"[%b]" % b",".join([*texts, *map(_missing, missing)]))


def _package(exchange: Exchange, entry: Entry, revision: Revision, options: ReadOptions) -> Part:
    rev = read_rev(revision.rev)
    shown = follow(options, path_of(entry, rev, options))
    return package(revision, revision_members(exchange.database, entry, rev, options), shown)


def _ok(exchange: Exchange, entry: Entry, revision: Revision, options: ReadOptions) -> bytes:
    rev = read_rev(revision.rev)
    members = revision_members(exchange.database, entry, rev, options)
    path = path_of(entry, rev, options)
    return b'{"ok":%b}' % text_of(exchange.database, revision, members, options, path)


def _missing(rev: Rev) -> bytes:
    return encode({"missing": format_revision(rev)})


# _local documents


def _get_local(exchange: Exchange, doc_id: str, options: ReadOptions) -> Reply:
    if options.open_revs:
        missing = sorted(options.open_revs)
        return exchange.answer_json(b"[%b]" % b",".join(map(_missing, missing)))
    local = exchange.database.local(doc_id)
    if local is None or options.rev is not None or options.lists_revisions:
        raise not_found()
    etag = local_etag(local.rev, local.body)
    if exchange.has_etag(etag):
        return exchange.not_modified(etag)
    return exchange.answer_json(local_text(local, revs=options.revs), 200, {"ETag": etag})


def local_text(local: Local, *, revs: bool = False) -> bytes:
    """Return the JSON text of a `_local` document."""
    head = b'{"_id":%b,"_rev":"0-%d"' % (encode(local.id), local.rev)
    if revs:
        head += b',"_revisions":{"start":0,"ids":["%d"]}' % local.rev
    return splice(head, local.body)


def local_etag(rev: int, body: bytes) -> str:
    """Return the ETag of a `_local` document, with its quotes."""
    digest = hashlib.md5(b"%d%b" % (rev, body), usedforsecurity=False)
    return f'"{digest.hexdigest()[:25].upper()}"'


# writing


async def _put(exchange: Exchange, doc_id: str) -> Reply:
    rev = exchange.query.text("rev")
    if rev is not None:
        read_rev(rev)
    check_id(doc_id)
    _check_partition(exchange, doc_id)
    replicated = exchange.query.text("new_edits") == "false"
    settings = compression(exchange.server.config)

    def read(value: object) -> Edit:
        return _read_put(exchange, doc_id, value)

    if exchange.headers.get("Content-Type", "").startswith("multipart/related;"):
        async with Uploads(exchange.database) as uploads:
            edit = await read_related(exchange, uploads, settings, read)
            return await _write(exchange, edit, replicated=replicated, batch=False)
    return await _write(exchange, read(await exchange.json()), replicated=replicated)


def _read_put(exchange: Exchange, doc_id: str, value: object) -> Edit:
    edit = read_edit(value, compression(exchange.server.config), doc_id=doc_id)
    if isinstance(value, dict) and "_id" in value:
        _check_partition(exchange, value["_id"])
    check_size(exchange, edit, _named(value))
    stated = edit.revs[0] if edit.revs else None
    rev = requested_rev(exchange, stated)
    if rev is not None and not edit.revs:
        edit.revs = (rev,)
    return edit


def _check_partition(exchange: Exchange, doc_id: str) -> None:
    if exchange.database.partitioned:
        check_partition_of(doc_id)


def _named(value: object) -> str:
    name = value.get("_id", "") if isinstance(value, dict) else ""
    return str(name)


def requested_rev(exchange: Exchange, stated: Rev | None = None) -> Rev | None:
    """Return the revision that the query or `If-Match` names; 400 when they contradict each other.

    `stated` is the one in the document.
    """
    text = exchange.query.text("rev")
    rev = None if text is None else read_rev(text)
    if rev is not None and stated not in {None, rev}:
        raise bad_request("Document rev from request body and query string have different values")
    header = exchange.headers.get("If-Match")
    if header is None:
        return rev
    match = read_rev(header.strip().strip('"'))
    if {rev, stated} - {None, match}:
        raise bad_request("Document rev and etag have different values")
    return match


def check_size(exchange: Exchange, edit: Edit, name: str) -> None:
    """Raise 413 for a document that is larger than the configuration allows."""
    limit = exchange.server.config.limit("couchdb", "max_document_size", 8_000_000)
    sent = exchange.size
    if limit is not None and sent > limit and len(encode(edit.body)) > limit:
        raise CouchError(413, "document_too_large", name)


def must_replicate(edit: Edit) -> None:
    """Raise 400 for a replicated document that does not say which revision it is."""
    if not edit.revs:
        raise bad_request(
            "When `new_edits: false`, the document needs `_rev` or `_revisions` specified"
        )


async def _write(
    exchange: Exchange, edit: Edit, *, replicated: bool = False, batch: bool = True
) -> Answer:
    if replicated:
        must_replicate(edit)
    update = exchange.server.update(exchange.database, exchange.user, replicated=replicated)
    if batch and exchange.query.text("batch") == "ok":
        return answer_batch(exchange, update, edit)
    outcome = await update.write(edit)
    headers = {"ETag": _etag(edit, outcome), "Location": location(exchange, edit.id)}
    status = _deleted(exchange) if edit.deleted else exchange.written
    text = b'{"ok":true,"id":%b,"rev":"%b"}' % (encode_text(edit.id), outcome.rev.encode())
    return exchange.answer_json(text, status, headers)


def answer_batch(exchange: Exchange, update: Update, edit: Edit) -> Answer:
    """Answer 202 at once, and write later; what goes wrong then nobody learns."""
    exchange.server.later(_swallow(update, edit))
    return exchange.answer({"ok": True, "id": edit.id}, 202)


async def _swallow(update: Update, edit: Edit) -> None:
    await asyncio.gather(update.write(edit), return_exceptions=True)


def _etag(edit: Edit, outcome: Outcome) -> str:
    if edit.is_local:
        return local_etag(int(outcome.rev[2:]), encode(edit.body))
    return f'"{outcome.rev}"'


def location(exchange: Exchange, doc_id: str) -> str:
    """Return the URL of a document."""
    return exchange.url(quoted_segment(exchange.segments[0]), quoted_segment(doc_id))


async def _delete(exchange: Exchange, doc_id: str) -> Reply:
    if doc_id.startswith(LOCAL):
        if exchange.database.local(doc_id) is None:
            raise not_found()
    else:
        # who may not see it, cannot delete it either
        exchange.shown(find_revision(exchange.database, doc_id, PLAIN)[0])
    rev = requested_rev(exchange)
    edit = Edit(doc_id, {}, deleted=True, revs=() if rev is None else (rev,))
    update = exchange.server.update(exchange.database, exchange.user)
    outcome = await update.write(edit)
    answer = {"ok": True, "id": doc_id, "rev": outcome.rev}
    return exchange.answer(answer, _deleted(exchange), {"ETag": _etag(edit, outcome)})


def _deleted(exchange: Exchange) -> int:
    return 200 if exchange.written == 201 else exchange.written


# copying


async def _copy(exchange: Exchange, doc_id: str) -> Reply:
    wanted = requested_rev(exchange)
    target, rev = _destination(exchange)
    check_id(target)
    _check_partition(exchange, target)
    source = _copied(exchange, doc_id, ReadOptions(rev=wanted))
    edit = Edit(target, decode(source.body), revs=() if rev is None else (rev,))
    if isinstance(source, Entry | Revision):
        edit.deleted = bool(source.deleted)
        edit.members = [*map(_again, decode_list(source.attachments))]
    outcome = await exchange.server.update(exchange.database, exchange.user).write(edit)
    # unlike all others this one is the revision, of `_local` documents as well
    headers = {"ETag": f'"{outcome.rev}"', "Location": location(exchange, target)}
    return exchange.answer({"ok": True, "id": target, "rev": outcome.rev}, 201, headers)


def _copied(exchange: Exchange, doc_id: str, options: ReadOptions) -> Entry | Revision | Local:
    if doc_id.startswith(LOCAL):
        local = exchange.database.local(doc_id)
        if local is None or options.rev is not None:
            raise not_found()
        return local
    entry, revision = find_revision(exchange.database, doc_id, options)
    return exchange.shown(entry) if revision is None else exchange.shown(revision)


def _again(item: Any) -> SentAttachment:
    """Return an attachment as new content that is in the store already."""
    content = Content(item.digest, item.length, item.encoded_length, item.encoding, item.blob)
    return SentAttachment(item.name, item.content_type, item.revpos, content, copied=True)


def _destination(exchange: Exchange) -> tuple[str, Rev | None]:
    header = exchange.headers.get("Destination")
    if header is None:
        raise bad_request("Destination header is mandatory for COPY.")
    if header.startswith(("http://", "https://")):
        raise bad_request("Destination URL must be relative.")
    path, _, query = header.partition("?")
    try:
        target = unquote_plus(path, errors="strict")
    except UnicodeDecodeError:
        raise bad_request("Document id must be valid UTF-8", "illegal_docid") from None
    # CouchDB does not look at the name of the option
    return target, read_rev(unquote(query.partition("=")[2])) if query else None


# forms


async def _post_form(exchange: Exchange, doc_id: str) -> Reply:
    """Take a form of a browser: fields `_doc` and `_rev`, files `_attachments`."""
    _check_referer(exchange)
    if exchange.content_type != "multipart/form-data":
        raise bad_content_type("Content-Type must be multipart/form-data")
    settings = compression(exchange.server.config)
    async with Uploads(exchange.database) as uploads:
        form = await read_form(exchange, uploads, settings)
        if "_doc" in form.fields:
            edit = read_edit(decode(form.fields["_doc"]), settings, doc_id=doc_id)
        else:
            edit = _stored(exchange, doc_id, form.fields.get("_rev", b"").decode())
        if "_rev" in form.fields:
            edit.revs = (read_rev(form.fields["_rev"].decode()),)
        new = {item.name for item in form.files}
        edit.members = [*form.files, *(old for old in edit.members if old.name not in new)]
        answer = await _write(exchange, edit)
        answer.headers.pop("Location", None)
        return answer


def _stored(exchange: Exchange, doc_id: str, rev: str) -> Edit:
    entry, revision = find_revision(exchange.database, doc_id, ReadOptions(rev=read_rev(rev)))
    record = entry if revision is None else revision
    members = [*map(_again, decode_list(record.attachments))]
    return Edit(doc_id, decode(record.body), members=[*members])


def _check_referer(exchange: Exchange) -> None:
    referer = exchange.headers.get("Referer")
    if referer is None:
        raise bad_request("Referer header required.")
    if urlsplit(referer).netloc != exchange.headers.get("Host"):
        raise bad_request("Referer header must match host.")
