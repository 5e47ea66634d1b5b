"""Many documents sent together."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any, Self

from aiocouch._bulk_docs import write_texts
from aiocouch._renamed import Discreet, OldProperty, Renamed
from aiocouch._tracked import accepted, saved, to_send
from aiocouch._wire.codec import listed
from aiocouch.document import Document
from aiocouch.exception import InvalidInputError, InvalidTypeError

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Iterable, Iterator, Mapping
    from types import TracebackType

    from aiocouch.database import Database
    from aiocouch.typing import BulkRow

__all__ = ["BulkCreateOperation", "BulkOperation", "BulkUpdateOperation"]


_MOST_DOCUMENTS = 1_000
_MOST_BYTES = 16 << 20


class BulkOperation(Discreet):
    """Saves many documents together when its `async with` block ends (`POST /{db}/_bulk_docs`).

    Documents without changes are not sent. No error of a single document is raised: look at `ok`,
    `error` and `response`, which are None until the block has ended without an exception.

    More than 1,000 documents, or 16 MiB, go in several requests one after the other, for the time that
    CouchDB takes for one grows with the square of their number. When one of these fails, its error is
    raised, and `ok`, `error` and `response` tell of those before it.

    Both `for` and `async for` go over the documents, those that are added meanwhile among them.
    """

    def __init__(self, database: Database) -> None:
        self.database = database
        self.response: list[BulkRow] | None = None
        self.ok: list[Document] | None = None
        self.error: list[Document] | None = None
        self._docs: list[Document] = []
        self._known: set[str] = set()

    _database = Renamed("database")

    def __repr__(self) -> str:
        return f"<{type(self).__name__} of {len(self._docs)} documents in {self.database!r}>"

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if exc_type is None:
            await self._save()

    async def _save(self) -> None:
        # All are encoded before the first is sent: what JSON cannot hold must not come too late.
        docs: list[Document] = []
        texts: list[bytes] = []
        for doc in self._docs:
            if text := to_send(doc):
                docs.append(doc)
                texts.append(text)
        self.response = self.ok = self.error = None
        for part in _portions(texts):
            ids = [doc.full_id for doc in docs[part]]
            rows = await write_texts(self.database, texts[part], ids) if ids else []
            self._take(docs[part], texts[part], rows)

    def _take(self, docs: list[Document], texts: list[bytes], rows: list[BulkRow]) -> None:
        ok, error = [], []
        for doc, text, row in zip(docs, texts, rows, strict=True):
            if "error" in row:
                error.append(doc)
            else:
                saved(doc, text, row["rev"])
                if row.get("accepted"):
                    accepted(doc)
                ok.append(doc)
        self.response = [*(self.response or ()), *rows]
        self.ok = [*(self.ok or ()), *ok]
        self.error = [*(self.error or ()), *error]

    def append(self, doc: Document) -> Document:
        """Add a document, and return it. Raise `InvalidInputError` when its id is there already."""
        if not isinstance(doc, Document):
            raise InvalidTypeError(f"only a Document can be added, not {type(doc).__name__}")
        id = doc.full_id
        if id in self._known:
            raise InvalidInputError(f"{doc!r} is already part of this bulk operation")
        self._known.add(id)
        self._docs.append(doc)
        return doc

    def _add(self, doc: Document) -> None:
        """Add a document, even if its id is there already. CouchDB takes one of them."""
        self._known.add(doc.full_id)
        self._docs.append(doc)

    def create(self, id: str, data: Mapping[str, Any] | None = None) -> Document:
        """Add a new document, and return it. Raise `InvalidInputError` when its id is there already."""
        return self.append(Document(self.database, id, data))

    def update(self, doc: Document) -> Document:
        """Call `append`. Deprecated since 2.1: this is its older name."""
        warnings.warn("BulkOperation.update is now append", DeprecationWarning, stacklevel=2)
        return self.append(doc)

    @OldProperty
    def status(self) -> list[BulkRow] | None:
        """Deprecated since 2.1: the older name of `response`."""
        warnings.warn("BulkOperation.status is now response", DeprecationWarning, stacklevel=2)
        return self.response

    def __len__(self) -> int:
        return len(self._docs)

    def __bool__(self) -> bool:
        return True

    def __iter__(self) -> Iterator[Document]:
        return iter(self._docs)

    async def __aiter__(self) -> AsyncGenerator[Document, None]:
        for doc in self._docs:
            yield doc


def _portions(texts: list[bytes]) -> Iterator[slice]:
    """Yield what goes into one request each."""
    start = size = 0
    for at, text in enumerate(texts):
        size += len(text)
        if at > start and (at - start == _MOST_DOCUMENTS or size > _MOST_BYTES):
            yield slice(start, at)
            start, size = at, len(text)
    yield slice(start, len(texts))


class BulkCreateOperation(BulkOperation):
    """Creates the documents of some ids. It does not look whether they exist.

    An id that exists, or comes twice, ends up in `error`, with "conflict" in `response`.
    """

    def __init__(self, database: Database, ids: Iterable[str] = ()) -> None:
        super().__init__(database)
        for id in listed(ids, "ids"):
            self._add(Document(database, id))


class BulkUpdateOperation(BulkOperation):
    """Fetches the documents of some ids in one request, and saves those that were changed together.

    Entering raises `NotFoundError` when one does not exist; with `create` a new one stands for it.
    """

    def __init__(self, database: Database, ids: Iterable[str] = (), create: bool = False) -> None:
        super().__init__(database)
        self._ids = listed(ids, "ids")
        self._create = create

    async def __aenter__(self) -> Self:
        async for doc in self.database.all_docs.docs(self._ids, self._create, None, True):
            self._add(doc)
        return self
