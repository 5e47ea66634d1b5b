"""Views, and `_all_docs`, which is one by id.

The older methods (`get`, `post`, `akeys`, `aitems`, `avalues`, `ids`, `docs`) pass a str that is given
as `key`, `keys`, `startkey` or `endkey` through as JSON text, as ever, and encode anything else. The
newer ones (`rows`, `row_keys`) encode every value. All but `get` and `post` read the rows as they come
and hold a few of them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sized
from contextlib import aclosing
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar, overload

import msgspec

from aiocouch._former.resources import RemoteView
from aiocouch._renamed import Discreet, Renamed
from aiocouch._tracked import of_text
from aiocouch._transport.request import Repeat
from aiocouch._view_rows import (
    DOCUMENT_ROWS,
    ID_AND_KEY_ROWS,
    ID_ROWS,
    LINK_ROWS,
    ROWS,
    DocumentRow,
    IdAndKeyRow,
    IdRow,
    LinkRow,
    Row,
    rescued_document,
    rescued_id,
    rescued_id_and_key,
    rescued_link,
    rescued_row,
)
from aiocouch._wire.codec import encode, listed
from aiocouch._wire.ids import design_document_id, quote_document_id, quote_name
from aiocouch._wire.options import VIEW, checked, json_keys, with_query
from aiocouch._wire.rows import document_id
from aiocouch.document import Document
from aiocouch.exception import (
    Facts,
    InvalidInputError,
    InvalidTypeError,
    NotFoundError,
    TruncatedError,
    UnexpectedAnswerError,
)

if TYPE_CHECKING:
    from collections.abc import (
        AsyncGenerator,
        Generator,
        Iterable,
        Sequence,
    )
    from typing import Unpack

    from aiocouch._continued import Continued
    from aiocouch._wire.left import KeysLeft, RangeLeft
    from aiocouch.database import Database
    from aiocouch.paging import Page, Pages
    from aiocouch.remote import Remote, Stream
    from aiocouch.typing import Flag, JsonDict, RowOptions, ViewOptions

__all__ = [
    "AllDocsView",
    "DesignDocsView",
    "View",
    "ViewResponse",
    "ViewRow",
    "document_rows",
    "refuse_row",
]


class ViewRow(msgspec.Struct, frozen=True):
    """A row of a view.

    `id` is None in a reduced row. `error` says why there is no value, such as "not_found". `doc` is
    the document, with `include_docs`.
    """

    id: str | None = None
    key: Any = None
    value: Any = None
    error: str | None = None
    doc: Document | None = None


class _Answer(msgspec.Struct):
    """A whole answer. One that broke off has an `error`."""

    rows: list[dict[str, Any]]
    offset: Any = None
    total_rows: Any = None
    update_seq: Any = None
    error: str | None = None
    reason: str | None = None


class _Results(msgspec.Struct):
    results: list[_Answer]


_NULL = b"null"


@dataclass(frozen=True)
class ViewResponse(Discreet):
    """The whole answer of a view. `offset` and `total_rows` are None for a reduced one."""

    # Any is that None: who asks a view that is not reduced need not look for it.
    offset: int | Any = None
    rows: list[JsonDict] = field(default_factory=list)
    total_rows: int | Any = None
    update_seq: str | None = None
    database: Database | None = field(default=None, repr=False, compare=False)

    _database = Renamed("database")

    def _good(self) -> Generator[JsonDict, None, None]:
        return (row for row in self.rows if "error" not in row)

    def keys(self) -> Generator[str, None, None]:
        """Return the ids of the documents (not the keys of the rows, as in aiocouch 3)."""
        return (row["id"] for row in self._good() if "id" in row)

    def values(self) -> Generator[Any, None, None]:
        """Return the values of the rows."""
        return (row["value"] for row in self._good())

    def items(self) -> Generator[tuple[Any, Any], None, None]:
        """Return the keys and values of the rows."""
        return ((row["key"], row["value"]) for row in self._good())

    def docs(
        self, create: bool = False, include_ddocs: bool = False
    ) -> Generator[Document, None, None]:
        """Yield the documents; the answer must have been asked for with `include_docs`.

        Raise `NotFoundError` for a row without a document, unless `create`.
        """
        if self.database is None:
            raise InvalidInputError("the documents of a ViewResponse need its database")
        for row in self.rows:
            included = row.get("doc")
            value, text = encode(row.get("value")), encode(included)
            found = LinkRow(
                row.get("key"),
                row.get("id"),
                msgspec.Raw(value),
                row.get("error"),
                msgspec.Raw(text),
            )
            if include_ddocs or not (found.id or "").startswith("_design/"):
                yield _document(self.database, found, create)


class View(RemoteView):
    """A view of a design document. Building one sends no request.

    `design_doc` is the name of the design document, with or without `_design/`; `id` that of the view.
    """

    prefix_sentinel: ClassVar[str] = "\uffff"
    """What follows every text that begins with a prefix, in the order of the view."""

    _reduces: ClassVar[bool] = True

    def __init__(self, database: Database, design_doc: str, id: str) -> None:
        self.database = database
        self.design_doc = design_doc
        self.id = id
        ddoc = quote_document_id(design_document_id(design_doc))
        self.endpoint = f"{database.endpoint}/{ddoc}/_view/{quote_name(id, 'view name')}"

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.endpoint}>"

    # -- whole answers ----------------------------------------------------------------------------

    @overload
    async def get(self, **params: Unpack[ViewOptions]) -> ViewResponse: ...

    @overload  # only `**options`, a dict of any types, can give what is required
    async def get(self, *, _: object, **params: object) -> ViewResponse: ...

    async def get(self, **params: Any) -> ViewResponse:
        """Return the whole answer (`GET /{db}/_design/{ddoc}/_view/{view}`)."""
        path = with_query(self.endpoint, checked(params, VIEW))
        response = await self.database.remote.request("GET", path)
        return self._response(response.json(_Answer), response.status)

    @overload
    async def post(
        self,
        keys: Iterable[Any] | None = None,
        *,
        ids: Iterable[Any] | None = None,
        update: Flag = None,
        **params: Unpack[RowOptions],
    ) -> ViewResponse: ...

    @overload  # only `**options`, a dict of any types, can give what is required
    async def post(
        self, keys: Iterable[Any] | None = None, *, _: object, **params: object
    ) -> ViewResponse: ...

    async def post(
        self,
        keys: Iterable[Any] | None = None,
        *,
        ids: Any = None,
        **params: Any,
    ) -> ViewResponse:
        """Return the rows of these keys, whole (`POST /{db}/_design/{ddoc}/_view/{view}`).

        `ids` is the older name of `keys`.
        """
        wanted = listed(ids if keys is None else keys, "keys")
        path = with_query(self.endpoint, checked(params, VIEW))
        body = self.database.remote.encode({"keys": wanted})
        response = await self.database.remote.request("POST", path, body=body, repeat=Repeat.FREELY)
        return self._response(response.json(_Answer), response.status)

    def _response(self, answer: _Answer, status: int = 200) -> ViewResponse:
        if answer.error is not None:
            said = f"{answer.error}: {answer.reason or ''}"
            facts = Facts("GET", self.endpoint, status, answer.error, answer.reason)
            raise TruncatedError(f"{self!r}: the server broke off: {said}", facts)
        if not all("key" in row and ("value" in row or "error" in row) for row in answer.rows):
            raise _no_row(self.endpoint)
        return ViewResponse(
            answer.offset, answer.rows, answer.total_rows, answer.update_seq, self.database
        )

    # -- rows as they come ------------------------------------------------------------------------

    async def queries(self, queries: Iterable[Mapping[str, Any]]) -> list[ViewResponse]:
        """Return the whole answers to several queries in one request (`POST …/queries`).

        Each has the options of `get` by name, their values as they are, not as JSON text.
        """
        if isinstance(queries, Mapping):
            raise InvalidTypeError("queries must be a list of dicts, not one dict")
        asked = [_checked_query(query) for query in listed(queries, "queries")]
        remote = self.database.remote
        found = await remote.json(
            "POST",
            f"{self.endpoint}/queries",
            into=_Results,
            body=remote.encode({"queries": asked}),
            repeat=Repeat.FREELY,
        )
        return [self._response(answer) for answer in found.results]

    async def rows(
        self, *, prefix: str | None = None, **params: Unpack[ViewOptions]
    ) -> AsyncGenerator[ViewRow, None]:
        """Yield the rows, reduced ones and those with an `error` included. Keys are any JSON value."""
        async with self._stream(None, prefix, json_keys(params)) as stream:
            while batch := await stream.batch(ROWS, rescued_row):
                for row in batch:
                    yield self._row(row)

    def pages(
        self,
        size: int,
        token: str | None = None,
        *,
        prefix: str | None = None,
        secret: str | bytes | None = None,
        **params: Unpack[ViewOptions],
    ) -> Pages[ViewRow]:
        """Return the rows by pages: `async for page in view.pages(50)`, from the page of `token` on.

        A page begins after the last row of the one before, even if that was deleted or others were added:
        no row is skipped, none comes twice. `limit` counts the rows of all pages. With a `secret` tokens are
        signed. Raise `InvalidInputError` for a token of another query, for rows that are reduced or not
        sorted, for `keys` of which one is there twice, and where `skip` ends among equal rows of a document.
        """
        from aiocouch.paging import pages_of_view

        left = self._left(params.pop("keys", None), prefix, json_keys(params))
        of, unique = self.endpoint, not self._reduces
        more: Any = {"of": of, "unique": unique, "size": size, "token": token, "secret": secret}
        return pages_of_view(left, self._read, self._row, **more)

    async def page(
        self,
        size: int,
        token: str | None = None,
        *,
        prefix: str | None = None,
        secret: str | bytes | None = None,
        **params: Unpack[ViewOptions],
    ) -> Page[ViewRow]:
        """Return one page, the first or that of a token; as `pages`, and with its options."""
        return await self.pages(size, token, prefix=prefix, secret=secret, **params).page()

    def _row(self, row: Row) -> ViewRow:
        text = bytes(row.doc)
        doc = None
        if text != _NULL:
            doc = _of_text(self.database, text)
        return ViewRow(row.id, row.key, row.value, row.error, doc)

    async def row_keys(
        self, *, prefix: str | None = None, **params: Unpack[ViewOptions]
    ) -> AsyncGenerator[Any, None]:
        """Yield the keys of the rows. Keys that are given are any JSON value."""
        async with aclosing(self.rows(prefix=prefix, **params)) as rows:
            async for row in rows:
                if row.error is None:
                    yield row.key

    @overload
    def akeys(
        self,
        *,
        ids: Iterable[Any] | None = None,
        prefix: str | None = None,
        **params: Unpack[ViewOptions],
    ) -> AsyncGenerator[str, None]: ...

    @overload
    def akeys(self, *, _: object, **params: object) -> AsyncGenerator[str, None]: ...

    async def akeys(self, **params: Any) -> AsyncGenerator[str, None]:
        """Yield the ids of the documents, as `ids`; the keys come from `row_keys`."""
        async with aclosing(self.ids(**params)) as found:
            async for id in found:
                yield id

    @overload
    def aitems(
        self, *, prefix: str | None = None, **params: Unpack[ViewOptions]
    ) -> AsyncGenerator[tuple[Any, Any], None]: ...

    @overload
    def aitems(
        self, *, _: object, prefix: Any = None, **params: object
    ) -> AsyncGenerator[tuple[Any, Any], None]: ...

    async def aitems(
        self, *, prefix: str | None = None, **params: Any
    ) -> AsyncGenerator[tuple[Any, Any], None]:
        """Yield the keys and values of the rows."""
        async with self._stream(None, prefix, params) as stream:
            while batch := await stream.batch(ROWS, rescued_row):
                for row in batch:
                    if row.error is None:
                        yield row.key, row.value

    @overload
    def avalues(
        self, *, prefix: str | None = None, **params: Unpack[ViewOptions]
    ) -> AsyncGenerator[Any, None]: ...

    @overload
    def avalues(
        self, *, _: object, prefix: Any = None, **params: object
    ) -> AsyncGenerator[Any, None]: ...

    async def avalues(
        self, *, prefix: str | None = None, **params: Any
    ) -> AsyncGenerator[Any, None]:
        """Yield the values of the rows."""
        async with aclosing(self.aitems(prefix=prefix, **params)) as items:
            async for _, value in items:
                yield value

    async def ids(
        self,
        ids: Iterable[Any] | None = None,
        prefix: str | None = None,
        **params: Unpack[ViewOptions],
    ) -> AsyncGenerator[str, None]:
        """Yield the ids of the documents in the view, of some keys or of all whose key has the prefix."""
        if _is_empty(ids):
            return
        async with self._stream(ids, prefix, self._unreduced(params)) as stream:
            while batch := await self._id_rows(stream):
                for row in batch:
                    if row.error is None:
                        if row.id is None:
                            raise _no_row(self.endpoint)
                        yield row.id

    async def docs(
        self,
        ids: Iterable[Any] | None = None,
        create: bool = False,
        prefix: str | None = None,
        include_ddocs: bool = False,
        **params: Unpack[ViewOptions],
    ) -> AsyncGenerator[Document, None]:
        """Yield the documents in the view, of some keys or of all whose key has the prefix.

        Raise `NotFoundError` when one does not exist; with `create` a new document stands for it.
        Design documents are left out (here, so that `limit` counts them) unless `include_ddocs`, or
        named in `ids`.
        """
        include_ddocs = include_ddocs or ids is not None
        if prefix is not None and (ids is not None or create):
            raise InvalidInputError("prefix= cannot be used together with ids= or create=")
        if _is_empty(ids):
            return
        options: JsonDict = {**self._unreduced(params), "include_docs": True}
        # A row of a view may bring another document, which it links to.
        database, brings_own = self.database, not self._reduces
        async with self._stream(ids, prefix, options, as_rows=brings_own) as stream:
            while batch := await self._document_rows(stream):
                for row in batch:
                    id = row.id
                    if include_ddocs or id is None or id[:1] != "_" or id[:8] != "_design/":
                        text = bytes(row.doc)
                        if brings_own and id is not None and text != _NULL:
                            yield of_text(Document, database, id, text)
                        else:
                            yield _document(database, row, create)

    async def _id_rows(self, stream: Continued[Any]) -> Sequence[IdRow | IdAndKeyRow]:
        return await stream.batch(ID_AND_KEY_ROWS, rescued_id_and_key)

    async def _document_rows(self, stream: Continued[Any]) -> Sequence[DocumentRow | LinkRow]:
        return await stream.batch(LINK_ROWS, rescued_link)

    def _unreduced(self, params: Any) -> JsonDict:
        """Return the options for rows that are not reduced: only those belong to a document."""
        return {"reduce": False, **params} if self._reduces else params

    def _stream(
        self,
        ids: Iterable[Any] | None,
        prefix: str | None,
        params: Any,
        *,
        as_rows: bool = False,
    ) -> Continued[Any]:
        return self._continued(self._left(ids, prefix, params), as_rows=as_rows)

    def _continued(self, left: RangeLeft | KeysLeft, *, as_rows: bool = False) -> Continued[Any]:
        from aiocouch._continued import Continued

        remote = self.database.remote
        asked = partial(_asked, remote, self.endpoint, left, as_rows)
        return Continued(asked, left, remote.resume)

    async def _read(self, left: RangeLeft | KeysLeft) -> list[Row]:
        rows: list[Row] = []
        async with self._continued(left) as stream:
            while batch := await stream.batch(ROWS, rescued_row):
                rows += batch
        return rows

    def _left(
        self, ids: Iterable[Any] | None, prefix: str | None, params: Any
    ) -> RangeLeft | KeysLeft:
        from aiocouch._wire.left import KeysLeft, RangeLeft

        options = checked(params, VIEW)
        if ids is None and isinstance(options.get("keys"), list | tuple):
            ids = options.pop("keys")
        if prefix is not None:
            if not isinstance(prefix, str):
                raise InvalidTypeError(f"the prefix must be a str, not {type(prefix).__name__}")
            options["startkey"] = encode(prefix).decode()
            options["endkey"] = encode(prefix + self.prefix_sentinel).decode()
        unique = not self._reduces
        if ids is None:
            return RangeLeft(options, unique)
        return KeysLeft(options, listed(ids, "ids"), unique)


def _checked_query(query: Any) -> JsonDict:
    if not isinstance(query, Mapping):
        raise InvalidTypeError(f"a query must be a dict, not {type(query).__name__}")
    return checked(query, VIEW)


def _asked(
    remote: Remote, endpoint: str, left: RangeLeft | KeysLeft, as_rows: bool, options: JsonDict
) -> Stream:
    path = with_query(endpoint, options)
    if left.keys is None:
        return remote.stream("GET", path, rows=as_rows)
    body = remote.encode({"keys": left.keys})
    return remote.stream("POST", path, body=body, repeat=Repeat.FREELY, rows=as_rows)


class AllDocsView(View):
    """All documents of a database by id (`/{db}/_all_docs`)."""

    prefix_sentinel: ClassVar[str] = "\U0010fffe"

    _reduces: ClassVar[bool] = False

    def __init__(self, database: Database) -> None:
        self.database = database
        self.design_doc = ""
        self.id = "_all_docs"
        self.endpoint = f"{database.endpoint}/_all_docs"

    async def _id_rows(self, stream: Continued[Any]) -> Sequence[IdRow | IdAndKeyRow]:
        return await stream.batch(ID_ROWS, rescued_id)

    async def _document_rows(self, stream: Continued[Any]) -> Sequence[DocumentRow | LinkRow]:
        return await stream.batch(DOCUMENT_ROWS, rescued_document)


class DesignDocsView(AllDocsView):
    """The design documents of a database by id (`/{db}/_design_docs`)."""

    def __init__(self, database: Database) -> None:
        super().__init__(database)
        self.id = "_design_docs"
        self.endpoint = f"{database.endpoint}/_design_docs"


def document_rows(view: AllDocsView) -> Continued[Any]:
    """Return the stream of all rows with their documents."""
    return view._stream(None, None, {"include_docs": True}, as_rows=True)  # noqa: SLF001


def refuse_row(database: Database, id: str | None) -> None:
    """Raise for a row without a document, or without an id."""
    _document(database, DocumentRow(id, id), create=False)


def _document(database: Database, row: DocumentRow | LinkRow, create: bool) -> Document:
    text = bytes(row.doc)
    if text != _NULL:
        return _of_text(database, text)
    missing = _linked_id(row) or (row.key if row.id is None else row.id)
    if not isinstance(missing, str):
        raise _no_row(database.endpoint)
    if create:
        return Document(database, missing)
    facts = Facts("GET", database.endpoint, 404, row.error or "not_found", "deleted or missing")
    raise NotFoundError(f"the document {missing!r} does not exist in {database!r}", facts)


def _of_text(database: Database, text: bytes) -> Document:
    try:
        return of_text(Document, database, document_id(text), text)
    except ValueError as error:
        raise _no_row(database.endpoint) from error


def _no_row(path: str) -> UnexpectedAnswerError:
    facts = Facts("GET", path, 200)
    return UnexpectedAnswerError(
        f"GET {path}: the answer has a row that CouchDB does not send", facts
    )


def _linked_id(row: DocumentRow | LinkRow) -> str | None:
    """Return the id of the document that a row links to by its value."""
    value = bytes(row.value) if isinstance(row, LinkRow) else b""
    try:
        return document_id(value) if value.startswith(b"{") else None
    except ValueError:
        return None


def _is_empty(ids: Iterable[Any] | None) -> bool:
    return isinstance(ids, Sized) and len(ids) == 0
