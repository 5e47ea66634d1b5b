"""The Mango indexes of a database."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aiocouch._wire.codec import encode
from aiocouch._wire.ids import quote_name
from aiocouch._wire.options import with_query
from aiocouch.exception import InvalidTypeError
from aiocouch.topics.answers import IndexList
from aiocouch.typing import JsonDict

if TYPE_CHECKING:
    from collections.abc import Iterable

    from aiocouch.remote import Remote

__all__ = ["Indexes"]


class Indexes:
    """The Mango indexes of a database; `Database.index` creates one."""

    def __init__(self, remote: Remote, endpoint: str) -> None:
        self._remote = remote
        self._endpoint = f"{endpoint}/_index"

    async def list(self, *, limit: int | None = None, skip: int | None = None) -> list[JsonDict]:
        """Return `ddoc`, `name`, `type` and `def` of all indexes (`GET /{db}/_index`).

        The first is the one of all documents, which has no design document.
        """
        path = with_query(self._endpoint, {"limit": limit, "skip": skip})
        return (await self._remote.json("GET", path, into=IndexList)).indexes

    async def delete(self, design_doc: str, name: str, type: str = "json") -> None:
        """Delete an index (`DELETE /{db}/_index/{ddoc}/{type}/{name}`). Raise `NotFoundError`."""
        ddoc = quote_name(design_doc.removeprefix("_design/"), "name of the design document")
        rest = f"{quote_name(type, 'type')}/{quote_name(name, 'name of the index')}"
        await self._remote.json("DELETE", f"{self._endpoint}/{ddoc}/{rest}", into=JsonDict)

    async def delete_many(self, design_docs: Iterable[str]) -> JsonDict:
        """Delete all indexes of some design documents (`POST /{db}/_index/_bulk_delete`).

        Return `success` and `fail`, lists of rows with the `id` of a design document each.
        """
        if isinstance(design_docs, str):
            raise InvalidTypeError("the design documents must be a list of str, not one str")
        ids = [name if name.startswith("_design/") else f"_design/{name}" for name in design_docs]
        path = f"{self._endpoint}/_bulk_delete"
        return await self._remote.json("POST", path, into=JsonDict, body=encode({"docids": ids}))
