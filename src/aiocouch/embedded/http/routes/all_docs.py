"""`_all_docs`, `_design_docs`, `_local_docs`: documents by id, as rows."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from aiocouch._wire.ready_row import ReadyRow
from aiocouch.embedded.codec import encode, encode_text
from aiocouch.embedded.documents.edits import DESIGN, LOCAL
from aiocouch.embedded.documents.partitions import check_partitioned_id, partition_range
from aiocouch.embedded.errors import bad_request, internal, method_not_allowed, query_parse_error
from aiocouch.embedded.http.reading import ReadOptions, text_of, winner_members
from aiocouch.embedded.http.routes.documents import local_text
from aiocouch.embedded.http.routing import database_route, find_default
from aiocouch.embedded.http.row_options import (
    options_of_body,
    options_of_member,
    options_of_query,
    row_limit,
    span_of,
)
from aiocouch.embedded.store.ranks import count_documents
from aiocouch.embedded.store.records import Entry, render
from aiocouch.embedded.store.spans import (
    CHUNK,
    Span,
    documents,
    documents_with_trees,
    locals_,
    revs,
)

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Iterable

    from aiocouch.embedded.http.exchange import Exchange
    from aiocouch.embedded.http.message import Reply
    from aiocouch.embedded.store.database import Database
    from aiocouch.embedded.views.options import ViewOptions

    Take = Callable[[list[ReadyRow]], Awaitable[None]]
    Rows = Callable[[Database, ViewOptions, Take | None], AsyncIterator[bytes]]

_METHODS = ("GET", "HEAD", "POST")
_FIRST_CHUNK = 100
_CHUNK_BYTES = 4 << 20
_DESIGN_END = "_design0"


@database_route("_all_docs")
async def all_docs(exchange: Exchange) -> Reply:
    """Answer `/db/_all_docs` and `/db/_all_docs/queries`."""
    return await _answer(exchange, all_docs_rows)


@database_route("_design_docs")
async def design_docs(exchange: Exchange) -> Reply:
    """Answer `/db/_design_docs` and `/db/_design_docs/queries`."""
    return await _answer(exchange, _design_rows)


@database_route("_local_docs")
async def local_docs(exchange: Exchange) -> Reply:
    """Answer `/db/_local_docs` and `/db/_local_docs/queries`."""
    return await _answer(exchange, _local_rows)


async def _answer(exchange: Exchange, rows: Rows) -> Reply:
    rest = exchange.segments[2:]
    if rest == ["queries"]:
        return await _answer_queries(exchange, rows)
    if rest:
        return await _answer_attachment(exchange)
    if exchange.method not in _METHODS:
        raise method_not_allowed(_METHODS)
    if exchange.method == "POST":
        exchange.require_json_type()
        options = options_of_body(await exchange.json_object(), exchange.query)
    else:
        options = options_of_query(exchange.query)
    _check(exchange, options)
    pieces = rows(exchange.database, options, _taker(exchange, options))
    return await exchange.answer_stream(_ended(pieces))


def _taker(exchange: Exchange, options: ViewOptions) -> Take | None:
    """Return who takes rows with documents as they are, None where all is to be text."""
    is_plain = options.include_docs and "callback" not in exchange.query
    return exchange.request.write_rows if is_plain else None


async def _answer_attachment(exchange: Exchange) -> Reply:
    """Answer a longer path as CouchDB does: like the attachment of a document of that name."""
    route = find_default("attachment")
    if exchange.method not in route.methods:
        raise method_not_allowed(route.methods)
    return await route.handler(exchange)


async def _answer_queries(exchange: Exchange, rows: Rows) -> Reply:
    if exchange.method != "POST":
        raise method_not_allowed(("POST",))
    body = await exchange.json_object()
    if "queries" not in body:
        raise bad_request("POST body must include `queries` parameter.")
    queries = body["queries"]
    if not isinstance(queries, list):
        raise bad_request("`queries` member must be an array.")
    options = [_query(exchange, query) for query in queries]
    return await exchange.answer_stream(_results(exchange, rows, options))


def _query(exchange: Exchange, query: object) -> ViewOptions:
    if not isinstance(query, dict):
        raise internal("function_clause")
    options = options_of_member(exchange.query, query)
    _check(exchange, options)
    return options


def _check(exchange: Exchange, options: ViewOptions) -> None:
    options.cap(row_limit(exchange, in_partition=options.partition is not None))
    options.check(has_reduce=False)
    if exchange.database.partitioned:
        _check_keys(exchange, options.keys or ())
    elif options.partition is not None:
        raise query_parse_error("`partition` parameter is not supported on this db")


def _check_keys(exchange: Exchange, keys: Iterable[object]) -> None:
    if exchange.segments[1] in {"_design_docs", "_local_docs"}:
        return
    for key in keys:
        if isinstance(key, str):
            check_partitioned_id(key)


async def _results(
    exchange: Exchange, rows: Rows, queries: list[ViewOptions]
) -> AsyncIterator[bytes]:
    yield b'{"results":['
    for number, options in enumerate(queries):
        yield b",\r\n" if number else b"\r\n"
        async for piece in rows(exchange.database, options, None):
            yield piece
    yield b"\r\n]}\n"


async def _ended(pieces: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    async for piece in pieces:
        yield piece
    yield b"\n"


# the three lists


async def all_docs_rows(
    database: Database, options: ViewOptions, take: Take | None = None
) -> AsyncIterator[bytes]:
    """Yield the JSON text of `_all_docs`, in chunks of rows; `take` gets those with documents instead."""
    total = database.doc_count
    if options.keys is not None:
        async for piece in _by_keys(database, options, total, ""):
            yield piece
        return
    span = span_of(options)
    if options.partition is not None:
        span = _clipped(span, *partition_range(options.partition))
    offset = min(total, await _rank(database, span) + options.skip)
    yield _head(total, offset, _sequence(database, options))
    async for piece in _ranged(database, span, options, take):
        yield piece


async def _design_rows(
    database: Database, options: ViewOptions, take: Take | None
) -> AsyncIterator[bytes]:
    total = await count_documents(database, Span(DESIGN, _DESIGN_END, high_open=True))
    if options.keys is not None:
        async for piece in _by_keys(database, options, total, DESIGN):
            yield piece
        return
    span = _clipped(span_of(options, DESIGN, _DESIGN_END), DESIGN, _DESIGN_END)
    offset = min(total, await _rank(database, span) + options.skip)
    yield _head(total, offset, _sequence(database, options))
    async for piece in _ranged(database, span, options, take):
        yield piece


async def _local_rows(
    database: Database, options: ViewOptions, _take: Take | None
) -> AsyncIterator[bytes]:
    sequence = b"null" if options.update_seq else None
    if options.keys is not None:
        async for piece in _by_keys(database, options, None, LOCAL):
            yield piece
        return
    yield _head(None, None, sequence)
    lead = b""
    span = span_of(options)
    async for chunk in _chunks(locals_, database, span, options):
        yield lead + b",\r\n".join(_local_row(item, options) for item in chunk)
        lead = b",\r\n"
    yield b"\r\n]}"


def _clipped(span: Span, low: str, high: str) -> Span:
    """Return the part of a range that lies within a name space."""
    if span.low is None or span.low < low:
        span = Span(low, span.high, span.descending, False, span.high_open)
    if span.high is None or span.high >= high:
        span = Span(span.low, high, span.descending, span.low_open, True)
    return span


def _sequence(database: Database, options: ViewOptions) -> bytes | None:
    return encode_text(database.sequence(database.update_seq)) if options.update_seq else None


def _head(total: int | None, offset: int | None, sequence: bytes | None) -> bytes:
    added = b"" if sequence is None else b'"update_seq":%b,' % sequence
    return b'{"total_rows":%b,"offset":%b,%b"rows":[\r\n' % (
        encode_text(total),
        encode_text(offset),
        added,
    )


# counting


async def _rank(database: Database, span: Span) -> int:
    """Count the documents that come before a range, in its direction."""
    if not span.descending:
        return 0 if span.low is None else await database.ranks.before(database, span.low)
    if span.high is None:
        return 0
    entry = database.get(span.high)
    own = 0 if entry is None or entry.deleted else 1
    total = database.doc_count
    return max(total - await database.ranks.before(database, span.high) - own, 0)


# rows of a range


async def _chunks(
    read: Callable[..., list[Any]], database: Database, span: Span, options: ViewOptions
) -> AsyncIterator[list[Any]]:
    """Yield the rows of a range as the store gives them, chunk by chunk."""
    left, skip, fitting = options.limit, options.skip, _FIRST_CHUNK
    while left > 0:
        size = min(fitting, left)
        chunk = read(database.reader, span, size, skip)
        if chunk:
            yield chunk
        if len(chunk) < size:
            return
        span = span.after(chunk[-1][0])
        left -= size
        skip, fitting = 0, _fitting(chunk)
        await asyncio.sleep(0)


def _fitting(chunk: list[Any]) -> int:
    """Return how many rows the next chunk may have, so that large documents fill no memory."""
    if len(chunk[0]) < 3:  # no body
        return CHUNK
    average = sum([len(row[2]) for row in chunk]) // len(chunk) + 1
    return max(min(CHUNK, 4 * len(chunk), _CHUNK_BYTES // average), 1)


async def _ranged(
    database: Database, span: Span, options: ViewOptions, take: Take | None
) -> AsyncIterator[bytes]:
    lead = b""
    if options.include_docs:
        read = documents_with_trees if options.conflicts else documents
        async for chunk in _chunks(read, database, span, options):
            texts = zip(chunk, _texts(database, chunk, options), strict=True)
            if take is not None:
                await take([ReadyRow(row[0], row[0], None, text) for row, text in texts])
                continue
            yield lead + b",\r\n".join([_row_with_doc(row[0], row[1], text) for row, text in texts])
            lead = b",\r\n"
    else:
        async for chunk in _chunks(revs, database, span, options):
            yield lead + b",\r\n".join(_row(doc_id, rev) for doc_id, rev in chunk)
            lead = b",\r\n"
    yield b"\r\n]}"


def _row(doc_id: str, rev: str) -> bytes:
    name = encode_text(doc_id)
    return b'{"id":%b,"key":%b,"value":{"rev":"%b"}}' % (name, name, rev.encode())


def _row_with_doc(doc_id: str, rev: str, text: bytes) -> bytes:
    name = encode_text(doc_id)
    return b'{"id":%b,"key":%b,"value":{"rev":"%b"},"doc":%b}' % (name, name, rev.encode(), text)


def _texts(database: Database, chunk: list[Any], options: ViewOptions) -> list[bytes]:
    """Return the texts of documents that the store gives as rows."""

    def text(doc_id: str, rev: str, members: bytes, *rest: bytes | None) -> bytes:
        attachments, tree = (*rest, None)[:2]
        entry = Entry(0, doc_id, rev, 0, b"{" + members, attachments, tree)
        return doc_text(database, entry, options)

    if options.conflicts:
        return [text(*row) for row in chunk]
    # in one go: most documents have nothing but their body
    return [
        b'{"_id":%b,"_rev":"%b",%b' % (encode_text(doc_id), rev.encode(), members)
        if attachments is None and members != b"}"
        else text(doc_id, rev, members, attachments)
        for doc_id, rev, members, attachments in chunk
    ]


def doc_text(database: Database, entry: Entry, options: ViewOptions) -> bytes:
    """Return the text of a document as `include_docs` shows it."""
    if not options.conflicts and entry.attachments is None:
        return render(entry)
    shown = ReadOptions(
        conflicts=bool(options.conflicts),
        attachments=options.attachments,
        att_encoding_info=options.att_encoding_info,
    )
    return text_of(database, entry, winner_members(database, entry, shown), shown, ())


# rows of keys


async def _by_keys(
    database: Database, options: ViewOptions, total: int | None, prefix: str
) -> AsyncIterator[bytes]:
    yield _head(total, None, b"null" if options.update_seq else None)
    keys = options.keys or []
    if options.descending:
        keys = keys[::-1]
    end = options.skip + options.limit
    wanted = [key for key in keys if _is_in(key, prefix)][options.skip : end]
    for start in range(0, len(wanted), CHUNK):
        lead = b",\r\n" if start else b""
        chunk = wanted[start : start + CHUNK]
        yield lead + b",\r\n".join(_key_row(database, key, options) for key in chunk)
        await asyncio.sleep(0)
    yield b"\r\n]}"


def _is_in(key: object, prefix: str) -> bool:
    return not prefix or (isinstance(key, str) and key.startswith(prefix))


def _key_row(database: Database, key: object, options: ViewOptions) -> bytes:
    if isinstance(key, str) and key.startswith(LOCAL):
        local = database.local(key)
        return _no_row(key) if local is None else _local_row(local, options)
    entry = database.get(key) if isinstance(key, str) else None
    if entry is None:
        return _no_row(key)
    name = encode_text(entry.id)
    deleted = b',"deleted":true' if entry.deleted else b""
    row = b'{"id":%b,"key":%b,"value":{"rev":"%b"%b}' % (name, name, entry.rev.encode(), deleted)
    if options.include_docs:
        row += b',"doc":' + (b"null" if entry.deleted else doc_text(database, entry, options))
    return row + b"}"


def _no_row(key: object) -> bytes:
    return b'{"key":%b,"error":"not_found"}' % encode(key)


def _local_row(local: Any, options: ViewOptions) -> bytes:
    name = encode_text(local.id)
    row = b'{"id":%b,"key":%b,"value":{"rev":"0-%d"}' % (name, name, local.rev)
    if options.include_docs:
        row += b',"doc":' + local_text(local)
    return row + b"}"
