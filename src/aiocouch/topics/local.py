"""Documents that stay where they are: `_local/…` is not replicated, nor in any view."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from aiocouch.exception import InvalidInputError, InvalidTypeError
from aiocouch.view import AllDocsView

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Mapping

    from aiocouch.database import Database
    from aiocouch.document import Document
    from aiocouch.typing import JsonDict

__all__ = ["LocalDocsView", "LocalDocuments"]

_PREFIX = "_local/"


class LocalDocsView(AllDocsView):
    """All local documents of a database by id (`/{db}/_local_docs`)."""

    def __init__(self, database: Database) -> None:
        super().__init__(database)
        self.id = "_local_docs"
        self.endpoint = f"{database.endpoint}/_local_docs"


class LocalDocuments:
    """The local documents of a database, by id with or without `_local/`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    @property
    def all_docs(self) -> LocalDocsView:
        """Return all of them, as a view by id. Sends no request."""
        return LocalDocsView(self._database)

    async def ids(self) -> AsyncGenerator[str, None]:
        """Yield the ids of all, with `_local/` (`GET /{db}/_local_docs`)."""
        async for id in self.all_docs.ids():
            yield id

    def document(self, id: str, data: Mapping[str, Any] | None = None) -> Document:
        """Return a document of that id and this content, as `Database.document` does. Sends no request."""
        return self._database.document(_full(id), data)

    async def __getitem__(self, id: str) -> Document:
        """Return a document, as `get`."""
        return await self.get(id)

    async def get(self, id: str, default: JsonDict | None = None) -> Document:
        """Return a document (`GET /{db}/_local/{docid}`).

        Where there is none, a new document of the content `default`; without one `NotFoundError`.
        """
        return await self._database.get(_full(id), default)

    async def create(
        self, id: str, exists_ok: bool = False, data: JsonDict | None = None
    ) -> Document:
        """Return a new document, not saved yet, or with `exists_ok` the one of that id.

        Raise `ConflictError` when there is one, unless `exists_ok`.
        """
        return await self._database.create(_full(id), exists_ok, data)


def _full(id: str) -> str:
    if not isinstance(id, str):
        raise InvalidTypeError(f"the id must be a str, not {type(id).__name__}")
    if not id.removeprefix(_PREFIX):
        raise InvalidInputError("the id of a local document must not be empty")
    return id if id.startswith(_PREFIX) else _PREFIX + id
