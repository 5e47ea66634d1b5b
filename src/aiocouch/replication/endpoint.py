"""What the engine asks of the database at an end of a replication."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

import msgspec

from aiocouch.exception import CouchDBError, NotFoundError

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Mapping, Sequence
    from contextlib import AbstractAsyncContextManager

    from aiocouch._wire.related import IncomingDocument

NO_TEXT = msgspec.Raw(b"")


class Leaf(msgspec.Struct, frozen=True, gc=False):
    """A leaf revision in a row of changes."""

    rev: str


class Change(msgspec.Struct, frozen=True, gc=False):
    """A row of changes: a document, its leaves, and its text where that was asked for."""

    id: str
    changes: list[Leaf]
    seq: Any = None
    doc: msgspec.Raw = NO_TEXT


class PageEnd(NamedTuple):
    """What comes after the rows of a page. Sequences are the source's own."""

    last_seq: Any
    pending: int | None


class Missing(msgspec.Struct, frozen=True, gc=False):
    """Revisions of a document that the target misses, and those of it that it may have."""

    missing: list[str]
    possible_ancestors: list[str] = []


class Fetched(msgspec.Struct, frozen=True, gc=False):
    """A revision with its history: the text of the document, and what has to be known of it."""

    text: bytes
    rev: str
    has_attachments: bool = False
    deleted: bool = False


class Refused(NamedTuple):
    """A revision that the target does not take, and why. `status` is that of HTTP, where it has one."""

    id: str
    rev: str | None
    error: str
    reason: str
    status: int | None = None


class NoBulkGetError(CouchDBError):
    """The server does not know `_bulk_get`."""


class LargeRevisionError(CouchDBError):
    """A revision with its attachments is larger than is to be held."""


class MissingRevisionError(NotFoundError):
    """The source lists revisions in its changes that it does not give. Another node may have them."""


class Endpoint(Protocol):
    """A database. What fails raises a `CouchDBError`."""

    @property
    def name(self) -> str:
        """The URL without credentials, for messages."""
        ...

    async def info(self) -> Mapping[str, Any]:
        """Return sizes and the like (`GET /{db}`)."""
        ...

    async def create(self, options: Mapping[str, Any]) -> None:
        """Make the database unless it exists."""
        ...

    async def commit(self) -> str | None:
        """Have what was written on disk; tell when the database was made, where that is known."""
        ...

    async def checkpoint(self, name: str) -> Mapping[str, Any]:
        """Return the document `_local/name`, empty when there is none."""
        ...

    async def save_checkpoint(self, name: str, document: Mapping[str, Any]) -> str | None:
        """Write `_local/name`; give its revision, None where it may not be written."""
        ...

    async def filter_code(self, name: str) -> str:
        """Return the code of a filter function, named `designdoc/filter`."""
        ...

    def changes(
        self, query: Mapping[str, Any], body: Mapping[str, Any] | None, *, patience: float
    ) -> AbstractAsyncContextManager[Page]:
        """Return one page of changes. It is silent for no longer than `patience` seconds."""
        ...

    async def revs_diff(self, revs: Mapping[str, Sequence[str]]) -> Mapping[str, Missing]:
        """Return which revisions are missing here."""
        ...

    def bulk_get(
        self, wanted: Sequence[tuple[str, str]]
    ) -> AsyncGenerator[list[tuple[str, Fetched | str]], None]:
        """Return revisions with their histories, attachments as stubs, by document id; a str was not found.

        Raise `NoBulkGetError`.
        """
        ...

    def open_revs(
        self, doc_id: str, revs: Sequence[str], since: Sequence[str]
    ) -> AbstractAsyncContextManager[AsyncGenerator[IncomingDocument | str, None]]:
        """Return revisions with their histories and attachments, one after the other; a str was not found.

        Of what the ancestors `since` have, only stubs come.
        """
        ...

    async def write(self, texts: Sequence[bytes]) -> Sequence[Refused]:
        """Write revisions with their histories in one request; give what was refused."""
        ...

    async def put(self, doc_id: str, document: IncomingDocument) -> None:
        """Write one revision with its history, and its attachments while they come."""
        ...


class Page(Protocol):
    """A page of changes that is being read."""

    end: PageEnd

    async def rows(self) -> Sequence[Change]:
        """Return some more rows; none at the end, and then `end` is known."""
        ...
