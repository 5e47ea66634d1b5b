"""The Mango indexes of a database."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, cast

from aiocouch._transport.request import Repeat
from aiocouch._wire.codec import encode, listed, strings
from aiocouch._wire.ids import design_document_id, quote_design_name, quote_name
from aiocouch._wire.options import INDEX, checked, with_query
from aiocouch.exception import InvalidTypeError
from aiocouch.topics.answers import IndexList
from aiocouch.typing import JsonDict

if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Unpack

    from aiocouch.answers import IndexCreated, IndexDeletions, IndexInfo
    from aiocouch.remote import Remote
    from aiocouch.typing import IndexOptions

__all__ = ["Indexes", "create_index"]


async def create_index(
    remote: Remote, path: str, index: Mapping[str, Any], given: Mapping[str, Any]
) -> JsonDict:
    """Create an index of a definition, with the options that were given."""
    if not isinstance(index, Mapping):
        raise InvalidTypeError(f"the index must be a dict, such as {{'fields': {index!r}}}")
    options, definition = checked(given, INDEX), dict(index)
    if "partial_filter_selector" in options:  # CouchDB wants it inside
        selector = options.pop("partial_filter_selector")
        if not isinstance(selector, Mapping):
            raise InvalidTypeError("the partial_filter_selector must be a dict")
        definition["partial_filter_selector"] = dict(selector)
    body = remote.encode({"index": definition, **options})
    # An index that is there already is not created again.
    return await remote.json(
        "POST", path, into=JsonDict, body=body, having=("result",), repeat=Repeat.FREELY
    )


class Indexes:
    """The Mango indexes of a database."""

    def __init__(self, remote: Remote, endpoint: str) -> None:
        self._remote = remote
        self._endpoint = f"{endpoint}/_index"

    async def list(self, *, limit: int | None = None, skip: int | None = None) -> list[IndexInfo]:
        """Return `ddoc`, `name`, `type` and `def` of all indexes (`GET /{db}/_index`).

        The first is the one of all documents, which has no design document.
        """
        path = with_query(self._endpoint, {"limit": limit, "skip": skip})
        found = await self._remote.json("GET", path, into=IndexList)
        return cast("list[IndexInfo]", found.indexes)

    async def create(
        self, fields: Iterable[str | Mapping[str, Any]], **options: Unpack[IndexOptions]
    ) -> IndexCreated:
        """Create an index of some fields (`POST /{db}/_index`): `await db.indexes.create(["name"])`.

        Return its `id` and `name`, and as `result` "created", or "exists" where there was one.
        `Database.index` takes the whole definition.
        """
        definition = {"fields": listed(fields, "fields")}
        found = await create_index(self._remote, self._endpoint, definition, options)
        return cast("IndexCreated", found)

    async def delete(self, design_doc: str, name: str, type: str = "json") -> None:
        """Delete an index (`DELETE /{db}/_index/{ddoc}/{type}/{name}`). Raise `NotFoundError`."""
        ddoc = quote_design_name(design_doc)
        rest = f"{quote_name(type, 'type')}/{quote_name(name, 'name of the index')}"
        await self._remote.json("DELETE", f"{self._endpoint}/{ddoc}/{rest}", into=JsonDict)

    async def delete_many(self, design_docs: Iterable[str]) -> IndexDeletions:
        """Delete all indexes of some design documents (`POST /{db}/_index/_bulk_delete`).

        Return `success` and `fail`, lists of rows with the `id` of a design document each.
        """
        names = strings(design_docs, "the design documents")
        ids = [design_document_id(name) for name in names]
        path, body = f"{self._endpoint}/_bulk_delete", encode({"docids": ids})
        found = await self._remote.json("POST", path, into=JsonDict, body=body)
        return cast("IndexDeletions", found)
