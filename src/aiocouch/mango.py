"""Queries of Mango: what is asked, and what is found."""

from __future__ import annotations

import warnings
from collections.abc import AsyncGenerator, Callable, Generator, Iterable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, TypedDict, TypeVar

import msgspec

from aiocouch._continued import Continued
from aiocouch._hints import complete
from aiocouch._tracked import of_text
from aiocouch._transport.request import Repeat
from aiocouch._wire.left import DocumentsLeft
from aiocouch._wire.options import FIND, checked
from aiocouch._wire.rows import document_id
from aiocouch.document import Document
from aiocouch.exception import CouchDBError, InvalidInputError, InvalidTypeError

if TYPE_CHECKING:
    from aiocouch.database import Database
    from aiocouch.remote import Remote, Stream
    from aiocouch.typing import FindOptions, JsonDict

__all__ = [
    "ExecutionStats",
    "Found",
    "OnWarning",
    "Query",
    "QueryWarning",
    "QueryWarningError",
    "found",
    "found_documents",
    "query_of",
    "read_found",
    "refuse_body",
]

M = TypeVar("M")

OnWarning: TypeAlias = Literal["ignore", "warn", "raise"]
"""What is done when the server warns of a query, such as of one that no index serves: nothing, a
`QueryWarning` of Python, or a `QueryWarningError`. It comes after the rows."""

# What CouchDB takes for no limit itself. By pages with bookmarks a row could be lost.
_ALL = 1 << 28
_TEXTS = msgspec.json.Decoder(list[msgspec.Raw])
_ON_WARNING = ("ignore", "warn", "raise")


_ONLY_SELECTOR = (
    "find({'selector': …}) finds documents that have a member 'selector'. If it is the body of a request, "
    "give find() its selector only; else write the member as in {'selector.name': …}"
)


class QueryWarning(UserWarning):
    """The server warns of a query."""

    def __init__(self, said: str) -> None:
        super().__init__(said)


class QueryWarningError(CouchDBError):
    """The server warns of a query, and `on_warning="raise"` makes that an error."""


class ExecutionStats(TypedDict, total=False):
    """What a query has cost."""

    total_keys_examined: int
    total_docs_examined: int
    total_quorum_docs_examined: int
    results_returned: int
    execution_time_ms: float


class Query(msgspec.Struct, frozen=True):
    """A query: the path of its database or partition, and the body of the request."""

    endpoint: str
    body: JsonDict
    is_limited: bool = False
    on_warning: OnWarning = "ignore"


class _Told:
    """What the server tells beside the rows. Its own object: a generator must not hold what holds it."""

    def __init__(self) -> None:
        self.bookmark: str | None = None
        self.warning: str | None = None
        self.execution_stats: ExecutionStats | None = None

    def take(self, meta: JsonDict) -> None:
        """Take note of what stands beside the rows."""
        self.bookmark = meta.get("bookmark")
        self.warning = meta.get("warning")
        self.execution_stats = meta.get("execution_stats")


class Found(AsyncGenerator[M, None]):
    """What a query finds, an async iterator; what the server tells beside the rows is there after the last.

    Nothing is sent before the loop begins; leaving it ends the request.
    """

    def __init__(self, told: _Told, rows: AsyncGenerator[M, None]) -> None:
        self._told = told
        self._rows = rows

    @property
    def bookmark(self) -> str | None:
        """Where another query goes on (`bookmark=`); None before the end.

        If the document that it points at is deleted meanwhile, CouchDB passes over the next one;
        `Database.find_pages` does not.
        """
        return self._told.bookmark

    @property
    def warning(self) -> str | None:
        """What the server warns of, such as that no index serves the query."""
        return self._told.warning

    @property
    def execution_stats(self) -> ExecutionStats | None:
        """What the query has cost, with `execution_stats=True`."""
        return self._told.execution_stats

    def __aiter__(self) -> AsyncGenerator[M, None]:
        return self._rows

    async def __anext__(self) -> M:
        return await anext(self._rows)

    async def asend(self, value: None) -> M:
        """Return the next, as `anext`."""
        return await self._rows.asend(value)

    async def athrow(self, *error: Any) -> M:
        """Raise an error inside the loop, which ends it."""
        return await self._rows.athrow(*error)

    async def aclose(self) -> None:
        """Stop, and free the connection."""
        await self._rows.aclose()


_Texts: TypeAlias = list[msgspec.Raw]
_Read: TypeAlias = Callable[[Continued[msgspec.Raw], _Texts], Iterable[M]]


def read_found(remote: Remote, query: Query, read: _Read[M]) -> Found[M]:
    """Return what `read` makes of the texts that a query finds, a batch at a time."""
    told = _Told()
    return Found(told, _rows(remote, query, told, read))


async def _rows(
    remote: Remote, query: Query, told: _Told, read: _Read[M]
) -> AsyncGenerator[M, None]:
    def asked(body: JsonDict) -> Stream:
        path, text = f"{query.endpoint}/_find", remote.encode(body)
        return remote.stream("POST", path, body=text, repeat=Repeat.FREELY)

    left = DocumentsLeft(query.body)
    async with Continued[msgspec.Raw](asked, left, remote.resume) as stream:
        while batch := await stream.batch(_TEXTS, msgspec.Raw):
            for row in read(stream, batch):
                yield row
    told.take(stream.meta)
    if told.warning is not None and query.on_warning != "ignore":
        _warn(query, told.warning)


def _warn(query: Query, warning: str) -> None:
    said = f"{query.endpoint}/_find: {warning}"
    if query.on_warning == "raise":
        raise QueryWarningError(said)
    warnings.warn(said, QueryWarning, stacklevel=3)  # where the loop is


def found(database: Database, query: Query, make: Callable[[Database, str, bytes], M]) -> Found[M]:
    """Return what `make` makes of the id and the text of each document that matches."""
    return read_found(database.remote, query, partial(_documents, database, make))


def _documents(
    database: Database,
    make: Callable[[Database, str, bytes], M],
    stream: Continued[msgspec.Raw],
    batch: list[msgspec.Raw],
) -> Generator[M, None, None]:
    for raw in batch:
        text = bytes(raw)
        try:
            id = document_id(text)
        except ValueError:
            id = stream.document_id(text)  # which tells what is wrong
        yield make(database, id, text)


def found_documents(database: Database, query: Query) -> Found[Document]:
    """Return the documents that match."""
    return found(database, query, partial(of_text, Document))


def query_of(
    endpoint: str,
    selector: Mapping[str, Any],
    limit: int | None,
    params: FindOptions,
    on_warning: OnWarning = "ignore",
) -> Query:
    """Return a query of whole documents. Raise `InvalidInputError`, `InvalidTypeError`."""
    if not isinstance(selector, Mapping):
        raise InvalidTypeError(f"the selector must be a dict, not {type(selector).__name__}")
    if on_warning not in _ON_WARNING:
        raise InvalidInputError(f"on_warning={on_warning!r}: {', '.join(_ON_WARNING)}")
    refuse_body(selector, on_warning)
    options = checked(params, FIND)
    if "fields" in options:
        raise InvalidInputError(
            "find() gives whole documents, which can be saved: fields= is an option of find_values()"
        )
    body = {**options, "selector": dict(selector), "limit": _ALL if limit is None else limit}
    return Query(endpoint, body, limit is not None, on_warning)


def refuse_body(selector: Mapping[str, Any], on_warning: OnWarning = "ignore") -> None:
    """Raise `InvalidInputError` for the whole body of a request in place of its selector.

    Alone, "selector" may be a member of documents: then it is a warning of Python, or an error for who
    wants to hear of warnings.
    """
    names = set(selector)
    if "selector" not in names or not isinstance(selector["selector"], Mapping):
        return
    beside = names - {"selector"}
    if beside <= FIND and (beside or on_warning != "ignore"):
        given = ", ".join(["body['selector']", *(f"{name}=…" for name in sorted(beside))])
        raise InvalidInputError(
            f"this is the body of a request, of which the selector is a member: find({given})"
        )
    if not beside:
        warnings.warn(_ONLY_SELECTOR, QueryWarning, stacklevel=4)  # where find() is called


complete("aiocouch")
