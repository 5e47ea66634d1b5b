"""Many documents in one request."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Self

from aiocouch._wire.codec import listed
from aiocouch.document import Document
from aiocouch.exception import Facts, InvalidInputError, InvalidTypeError, UnexpectedAnswerError

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Iterable, Iterator
    from types import TracebackType

    from aiocouch.database import Database
    from aiocouch.typing import BulkRow, JsonDict

__all__ = ["BulkCreateOperation", "BulkOperation", "BulkUpdateOperation"]


class BulkOperation:
    """Saves many documents in one request when its `async with` block ends (`POST /{db}/_bulk_docs`).

    Documents without changes are not sent. No error of a single document is raised: look at `ok`,
    `error` and `response`, which are None until the block has ended without an exception.
    """

    def __init__(self, database: Database) -> None:
        self.database = database
        self.response: list[BulkRow] | None = None
        self.ok: list[Document] | None = None
        self.error: list[Document] | None = None
        self._docs: dict[str, Document] = {}

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
        waiting = [(doc, text) for doc in self._docs.values() if (text := doc.to_send())]
        texts = [text for _, text in waiting]
        rows = await self.database.save_texts(texts) if texts else []
        if len(rows) != len(waiting):
            facts = Facts("POST", f"{self.database.endpoint}/_bulk_docs", 201)
            raise UnexpectedAnswerError(f"{self!r}: {len(rows)} answers", facts)
        self.response, self.ok, self.error = rows, [], []
        for (doc, text), row in zip(waiting, rows, strict=True):
            if "error" in row:
                self.error.append(doc)
            else:
                doc.saved(text, row.get("rev", ""))
                self.ok.append(doc)

    def append(self, doc: Document) -> Document:
        """Add a document, and return it. Raises `InvalidInputError` when its id is there already."""
        if not isinstance(doc, Document):
            raise InvalidTypeError(f"only a Document can be added, not {type(doc).__name__}")
        if doc.id in self._docs:
            raise InvalidInputError(f"{doc!r} is already part of this bulk operation")
        self._docs[doc.id] = doc
        return doc

    def create(self, id: str, data: JsonDict | None = None) -> Document:
        """Add a new document, and return it. Raises `InvalidInputError` when its id is there already."""
        return self.append(Document(self.database, id, data))

    def update(self, doc: Document) -> Document:
        """Deprecated since 2.1: the older name of `append`."""
        warnings.warn("BulkOperation.update is now append", DeprecationWarning, stacklevel=2)
        return self.append(doc)

    @property
    def status(self) -> list[BulkRow] | None:
        """Deprecated since 2.1: the older name of `response`."""
        warnings.warn("BulkOperation.status is now response", DeprecationWarning, stacklevel=2)
        return self.response

    def __len__(self) -> int:
        return len(self._docs)

    def __bool__(self) -> bool:
        return True

    def __iter__(self) -> Iterator[Document]:
        return iter(self._docs.values())

    async def __aiter__(self) -> AsyncGenerator[Document, None]:
        for doc in list(self._docs.values()):
            yield doc


class BulkCreateOperation(BulkOperation):
    """Creates the documents of some ids in one request. It does not look whether they exist.

    An id that exists ends up in `error`, with "conflict" in `response`.
    """

    def __init__(self, database: Database, ids: Iterable[str] = ()) -> None:
        super().__init__(database)
        for id in listed(ids, "ids"):
            self.create(id)


class BulkUpdateOperation(BulkOperation):
    """Fetches the documents of some ids in one request, and saves those that were changed in another.

    Entering raises `NotFoundError` when one does not exist; with `create` a new one stands for it.
    """

    def __init__(self, database: Database, ids: Iterable[str] = (), create: bool = False) -> None:
        super().__init__(database)
        self._ids = listed(ids, "ids")
        self._create = create

    async def __aenter__(self) -> Self:
        async for doc in self.database.all_docs.docs(self._ids, self._create, None, True):
            self.append(doc)
        return self
