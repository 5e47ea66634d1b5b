"""A database on a server, by the client's own transport."""

from __future__ import annotations

import contextlib
import math
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec

from aiocouch._transport.request import Repeat
from aiocouch._wire.codec import DECODE_ERRORS, encode
from aiocouch._wire.ids import design_document_id, quote_document_id, quote_name
from aiocouch._wire.multipart import boundary_of
from aiocouch._wire.options import with_query
from aiocouch._wire.part_reader import PartReader
from aiocouch._wire.related import Outgoing, PlainDocument, document_of, following
from aiocouch._wire.rows import BrokenBodyError, RowSplitter
from aiocouch.exception import (
    ConflictError,
    CouchDBError,
    ForbiddenError,
    NotFoundError,
    UnauthorizedError,
    UnexpectedAnswerError,
)
from aiocouch.remote import Span, silent_for
from aiocouch.replication.checkpoints import is_same_log
from aiocouch.replication.endpoint import (
    Change,
    Fetched,
    LargeRevisionError,
    Missing,
    NoBulkGetError,
    PageEnd,
    Refused,
)
from aiocouch.replication.texts import bulk_answer, bulk_results, deep_change

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping, Sequence

    from aiocouch._wire.related import IncomingDocument
    from aiocouch.remote import Remote, Stream

T = TypeVar("T")

_SILENCE = 300.0  # seconds that a server may need to find what it sends
_AT_ONCE = 4 << 20  # bytes of an answer that are decoded in one go
_NO_BULK_GET = frozenset({400, 404, 405, 415, 501})
_LONGEST_ERROR = 1 << 16
_WAITING = frozenset({"longpoll", "continuous"})

_rows = msgspec.json.Decoder(list[Change])
_missing = msgspec.json.Decoder(dict[str, Missing]).decode
_refused = msgspec.json.Decoder(list[dict[str, Any]]).decode
_found = msgspec.json.Decoder(list[dict[str, msgspec.Raw]]).decode
_missing_part = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_encode = msgspec.json.Encoder().encode  # for names that came out of JSON, and so go into it


class RemoteEndpoint:
    """The database at `path` of a server; `remote` may be shared with others."""

    def __init__(self, remote: Remote, path: str) -> None:
        self._remote = remote
        self._path = path

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.name}>"

    @property
    def name(self) -> str:
        """The URL without credentials, with a slash at its end, as CouchDB names it."""
        return f"{self._remote.url}{self._path}/"

    def has(self, path: str) -> bool:
        """Return whether a path of the server is that of the database, or below it."""
        return path == self._path or path.startswith(f"{self._path}/")

    # the database

    async def info(self) -> Mapping[str, Any]:
        """Return sizes and the like (`GET /{db}`)."""
        return self._object(await self._ask("GET", ""))

    async def create(self, options: Mapping[str, Any]) -> None:
        """Make the database unless it exists (`PUT /{db}`)."""
        try:
            await self._ask("PUT", with_query("", options))
        except CouchDBError as error:
            if error.status != 412:
                raise

    async def commit(self) -> str | None:
        """Have what was written on disk (`POST /{db}/_ensure_full_commit`)."""
        try:
            answer = self._object(await self._ask("POST", "/_ensure_full_commit", b"{}"))
        except CouchDBError as error:
            if error.status not in {401, 403, 404, 405}:
                raise
            return None
        made = answer.get("instance_start_time")
        return made if isinstance(made, str) else None

    # documents that are not replicated

    async def checkpoint(self, name: str) -> Mapping[str, Any]:
        """Return the document `_local/name` (`GET /{db}/_local/{docid}`)."""
        try:
            return self._object(await self._ask("GET", f"/_local/{quote_name(name)}"))
        except NotFoundError:
            return {}

    async def save_checkpoint(self, name: str, document: Mapping[str, Any]) -> str | None:
        """Write `_local/name` (`PUT /{db}/_local/{docid}`). Raise `ConflictError`."""
        path = f"/_local/{quote_name(name)}"
        try:
            answer = self._object(await self._ask("PUT", path, encode(dict(document))))
        except (UnauthorizedError, ForbiddenError):
            return None
        except ConflictError:
            found = await self.checkpoint(name)
            if not is_same_log(document, found):
                raise
            answer = {"rev": found.get("_rev")}
        rev = answer.get("rev")
        return rev if isinstance(rev, str) else None

    async def filter_code(self, name: str) -> str:
        """Return the code of a filter function (`GET /{db}/_design/{ddoc}`). Raise `NotFoundError`."""
        design, _, function = name.partition("/")
        path = f"/{quote_document_id(design_document_id(design))}"
        filters = self._object(await self._ask("GET", path)).get("filters")
        code = filters.get(function) if isinstance(filters, dict) else None
        if not isinstance(code, str):
            raise NotFoundError(f"{self.name}: there is no filter function {name!r}")
        return code

    # changes and revisions

    @contextlib.asynccontextmanager
    async def changes(
        self, query: Mapping[str, Any], body: Mapping[str, Any] | None, *, patience: float
    ) -> AsyncIterator[RemotePage]:
        """Yield one page of changes (`/{db}/_changes`)."""
        stream = self._remote.stream(
            "GET" if body is None else "POST",
            self._path + with_query("/_changes", query),
            body=None if body is None else encode(dict(body)),
            timeout=silent_for(patience),
            repeat=Repeat.NEVER,
            span=Span.WAITS if query.get("feed") in _WAITING else Span.ENDS,
        )
        async with stream:
            yield RemotePage(stream)

    async def revs_diff(self, revs: Mapping[str, Sequence[str]]) -> Mapping[str, Missing]:
        """Return which revisions are missing here (`POST /{db}/_revs_diff`)."""
        answer = await self._ask("POST", "/_revs_diff", _encode(revs))
        return self._decoded(_missing, answer)

    async def bulk_get(
        self,
        wanted: Sequence[tuple[str, str]],
        *,
        attachments: bool = False,
        most: float = math.inf,
    ) -> AsyncGenerator[list[tuple[str, Fetched | str]], None]:
        """Yield revisions with their histories (`POST /{db}/_bulk_get`).

        With `attachments` their texts have those, too, in base64. Raise `LargeRevisionError` for one that
        has more than about `most` bytes.
        """
        docs = [{"id": doc_id, "rev": rev} for doc_id, rev in wanted]
        path = f"{self._path}/_bulk_get?revs=true&latest=true"
        path += "&attachments=true" if attachments else ""
        body = _encode({"docs": docs})
        stream = self._remote.stream(
            "POST", path, body=body, timeout=silent_for(_SILENCE), repeat=Repeat.NEVER
        )
        async with _bulk_get_of(stream):
            text, is_whole = await _beginning(stream)
            if is_whole:
                yield self._decoded(bulk_answer, text)
                return
            splitter, size = RowSplitter(), 0
            while text:
                size += len(text)
                if found := self._decoded(splitter.feed, text):
                    yield self._decoded(bulk_results, found)
                    size = 0
                elif size > most:
                    raise LargeRevisionError(f"{self.name}: a revision has more than {most} bytes")
                text = await stream.chunk()
            self._decoded(lambda _: splitter.close(), b"")

    @contextlib.asynccontextmanager
    async def open_revs(
        self, doc_id: str, revs: Sequence[str], since: Sequence[str]
    ) -> AsyncIterator[AsyncGenerator[IncomingDocument | str, None]]:
        """Yield revisions with attachments (`GET /{db}/{docid}?open_revs=…`)."""
        query = {"open_revs": list(revs), "revs": True, "latest": True, "attachments": True}
        if since:
            query["atts_since"] = list(since)
        path = f"{self._path}/{quote_document_id(doc_id)}"
        headers = {"Accept": "multipart/mixed, application/json"}
        stream = self._remote.stream(
            "GET",
            with_query(path, query),
            headers=headers,
            timeout=silent_for(_SILENCE),
            repeat=Repeat.NEVER,
        )
        async with stream:
            yield self._documents(stream)

    async def _documents(self, stream: Stream) -> AsyncGenerator[IncomingDocument | str, None]:
        boundary = boundary_of(stream.response.headers.get("Content-Type"))
        if boundary is None:  # no CouchDB, and its attachments are in its texts
            text = b"".join([piece async for piece in _pieces(stream)])
            for item in self._decoded(_found, text):
                found = item.get("ok")
                yield _missing_rev(item) if found is None else PlainDocument(bytes(found))
            return
        parts = PartReader(_pieces(stream), boundary)
        while (headers := await parts.next_part()) is not None:
            kind = headers.get("content-type", "")
            if "error=" in kind:
                missing = self._decoded(_missing_part, await parts.body(_LONGEST_ERROR))
                yield _missing_rev(missing)
            else:
                yield await document_of(parts, kind)

    async def write(self, texts: Sequence[bytes]) -> Sequence[Refused]:
        """Write revisions with their histories (`POST /{db}/_bulk_docs`, `new_edits` false)."""
        body = b'{"new_edits":false,"docs":[%b]}' % b",".join(texts)
        rows = self._decoded(_refused, await self._ask("POST", "/_bulk_docs", body))
        return [_refusal(row) for row in rows if "error" in row]

    async def put(self, doc_id: str, document: IncomingDocument) -> None:
        """Write one revision (`PUT /{db}/{docid}?new_edits=false`)."""
        path = f"{self._path}/{quote_document_id(doc_id)}?new_edits=false"
        if not following(document.text):
            await self._remote.request("PUT", path, body=document.text, repeat=Repeat.NEVER)
            return
        sent = Outgoing(document)
        await self._remote.request(
            "PUT", path, body=sent.body(), headers=sent.headers(), repeat=Repeat.NEVER
        )

    # answers

    async def _ask(self, method: str, path: str, body: bytes | None = None) -> bytes:
        # The engine tries again: it knows how, also where bytes are on their way already.
        response = await self._remote.request(
            method, self._path + path, body=body, repeat=Repeat.NEVER
        )
        return response.body

    def _object(self, text: bytes) -> dict[str, Any]:
        return self._decoded(_json_object, text)

    def _decoded(self, decoder: Callable[[bytes], T], text: bytes) -> T:
        try:
            return decoder(text)
        except (*DECODE_ERRORS, BrokenBodyError, KeyError) as error:
            raise UnexpectedAnswerError(
                f"{self.name}: not an answer of a CouchDB: {error}"
            ) from error


_json_object = msgspec.json.Decoder(dict[str, Any]).decode


class RemotePage:
    """A page of changes while it comes. `end` is known after the last row."""

    def __init__(self, stream: Stream) -> None:
        self._stream = stream
        self.end = PageEnd(None, None)

    async def rows(self) -> Sequence[Change]:
        """Return the next rows; none at the end. Raise `TruncatedError` when the page ends before that."""
        found = await self._stream.batch(_rows, deep_change)
        if not found:
            meta = self._stream.meta
            self.end = PageEnd(meta.get("last_seq"), meta.get("pending"))
        return found


@contextlib.asynccontextmanager
async def _bulk_get_of(stream: Stream) -> AsyncIterator[None]:
    try:
        await stream.__aenter__()
    except CouchDBError as error:
        if error.status in _NO_BULK_GET:
            raise NoBulkGetError(str(error)) from error
        raise
    try:
        yield
    finally:
        await stream.close()


async def _beginning(stream: Stream) -> tuple[bytes, bool]:
    """Return some megabytes of an answer, and whether that is all of it."""
    pieces: list[bytes] = []
    size = 0
    while size < _AT_ONCE:
        piece = await stream.gathered()
        if not piece:
            return b"".join(pieces), True
        pieces.append(piece)
        size += len(piece)
    return b"".join(pieces), False


async def _pieces(stream: Stream) -> AsyncGenerator[bytes, None]:
    while piece := await stream.chunk():
        yield piece


def _missing_rev(item: Mapping[str, msgspec.Raw]) -> str:
    """Return the revision that a server says it has not; empty where it does not say which."""
    named = item.get("missing")
    return "" if named is None else str(msgspec.json.decode(named))


def _refusal(row: Mapping[str, Any]) -> Refused:
    rev = row.get("rev")
    return Refused(
        str(row.get("id", "")),
        rev if isinstance(rev, str) else None,
        str(row.get("error")),
        str(row.get("reason", "")),
    )
