"""One partition of a database: documents whose ids begin with its name and a colon."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from aiocouch._wire.ids import quote_name
from aiocouch.finding import Finding
from aiocouch.topics.search import SearchIndex
from aiocouch.typing import JsonDict
from aiocouch.view import AllDocsView, View

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Iterable
    from typing import Unpack

    from aiocouch.answers import PartitionInfo
    from aiocouch.database import Database
    from aiocouch.document import Document
    from aiocouch.typing import ViewOptions

__all__ = ["Partition"]


class Partition(Finding):
    """A partition of a partitioned database (`/{db}/_partition/{partition}`).

    A query of one partition asks one shard, and no other. All methods raise `BadRequestError` where the
    database is not partitioned.
    """

    def __init__(self, database: Database, id: str) -> None:
        self.database = database
        self.id = id
        self._endpoint = f"{database.endpoint}/_partition/{quote_name(id, 'partition')}"

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.id!r} of {self.database!r}>"

    @property
    def endpoint(self) -> str:
        """The path of the partition."""
        return self._endpoint

    async def info(self) -> PartitionInfo:
        """Return `doc_count` and `sizes` of the partition (`GET /{db}/_partition/{partition}`)."""
        found = await self.database.remote.json("GET", self.endpoint, into=JsonDict)
        return cast("PartitionInfo", found)

    def full_id(self, id: str) -> str:
        """Return the id of a document in the partition: `partition:id`."""
        return f"{self.id}:{id}"

    @property
    def all_docs(self) -> AllDocsView:
        """All documents of the partition, as a view by id. Sends no request."""
        view = AllDocsView(self.database)
        view.endpoint = f"{self.endpoint}/_all_docs"
        return view

    def view(self, design_doc: str, view: str) -> View:
        """Return the rows of a view that come from the partition. Sends no request."""
        found = View(self.database, design_doc, view)
        found.endpoint = self.endpoint + found.endpoint.removeprefix(self.database.endpoint)
        return found

    def docs(
        self, ids: Iterable[str] | None = None, **params: Unpack[ViewOptions]
    ) -> AsyncGenerator[Document, None]:
        """Return the documents of the partition, or some by their whole ids, as `Database.docs` does."""
        return self.all_docs.docs(ids, **params)

    def search(self, design_doc: str, index: str) -> SearchIndex:
        """Return a search index, of which only this partition is searched. Sends no request."""
        remote, endpoint = self.database.remote, self.database.endpoint
        return SearchIndex(remote, endpoint, design_doc, index, partition=self.id)
