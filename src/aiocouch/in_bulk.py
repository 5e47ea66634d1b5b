"""What a database does with many documents in one request, in plain JSON."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, cast

import msgspec

from aiocouch._bulk_docs import write
from aiocouch._tracked import ACCEPTED
from aiocouch._transport.request import Repeat
from aiocouch._wire.codec import encode, encode_list, listed
from aiocouch._wire.options import BULK_DOCS, BULK_GET, PURGE, checked, with_query
from aiocouch._wire.uuids import new_id
from aiocouch.exception import InvalidTypeError
from aiocouch.typing import JsonDict

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator
    from typing import Unpack

    from aiocouch.answers import BulkDocsRow, BulkGetAnswer, BulkGetRow, PurgeResult
    from aiocouch.database import Database
    from aiocouch.remote import Stream
    from aiocouch.typing import BulkDocsOptions, BulkGetOptions, BulkRow, PurgeOptions

__all__ = ["InBulk"]

_ROWS = msgspec.json.Decoder(list[dict[str, Any]])


class _BulkGetResult(msgspec.Struct):
    id: str | None
    docs: list[dict[str, Any]]


class _BulkGet(msgspec.Struct):
    results: list[_BulkGetResult]


class InBulk:
    """What is asked in bulk. A base of `Database`."""

    async def bulk_docs(
        self, docs: Iterable[Mapping[str, Any]], **data: Unpack[BulkDocsOptions]
    ) -> list[BulkDocsRow]:
        """Write plain documents (`POST /{db}/_bulk_docs`), with `data` beside them.

        With `new_edits=False` they are stored as they are, with the revisions that they have, as replication
        does. Return CouchDB's rows: `{"ok", "id", "rev"}` or `{"id", "error", "reason"}`; a row has
        `"accepted": True` where fewer copies were written than `w` or most of them.
        """
        database, options = _database(self), checked(data, BULK_DOCS)
        _check_list(docs)
        plain = [doc if type(doc) is dict else _as_dict(doc) for doc in docs]
        is_edit, ids = options.get("new_edits") is not False, None
        if is_edit:  # else there is a row only for what was refused
            plain = [doc if "_id" in doc else {"_id": new_id(), **doc} for doc in plain]
            ids = [doc["_id"] for doc in plain]
        if database.remote.encode is encode:
            body = encode_list("docs", plain, options)
        else:
            body = database.remote.encode({**options, "docs": plain})
        return cast("list[BulkDocsRow]", await write(database, body, ids, is_edit=is_edit))

    async def bulk_get(
        self, docs: Iterable[str | Mapping[str, Any]], **params: Unpack[BulkGetOptions]
    ) -> BulkGetAnswer:
        """Return many documents in certain revisions (`POST /{db}/_bulk_get`).

        `docs` are ids, or such as `{"id": …, "rev": …}`; `params` such as `revs=True`. Return CouchDB's
        answer, `{"results": [{"id", "docs": [{"ok": …} or {"error": …}]}]}`, whole: `bulk_get_rows` does
        not hold it.
        """
        database = _database(self)
        body = database.remote.encode({"docs": _wanted(docs)})
        path = _bulk_get_path(database, params)
        response = await database.remote.request("POST", path, body=body, repeat=Repeat.FREELY)
        response.json(_BulkGet)
        return cast("BulkGetAnswer", response.json())

    async def bulk_get_rows(
        self, docs: Iterable[str | Mapping[str, Any]], **params: Unpack[BulkGetOptions]
    ) -> AsyncGenerator[BulkGetRow, None]:
        """Yield what `bulk_get` returns, row by row as it comes (`POST /{db}/_bulk_get`).

        A row is `{"id", "docs": [{"ok": …} or {"error": …}]}`, one for each of `docs`. Rows that break off
        go on after the last one.
        """
        from aiocouch._continued import Continued
        from aiocouch._transport.stream import lost
        from aiocouch._wire.left import AskedLeft

        remote, path = _database(self).remote, _bulk_get_path(_database(self), params)

        def asked(body: JsonDict) -> Stream:
            return remote.stream("POST", path, body=remote.encode(body), repeat=Repeat.FREELY)

        left = AskedLeft(_wanted(docs))
        async with Continued[JsonDict](asked, left, remote.resume) as stream:
            while batch := await stream.batch(_ROWS, lost):
                for row in cast("list[BulkGetRow]", batch):
                    yield row

    async def purge(
        self, docs: Mapping[str, list[str]], **params: Unpack[PurgeOptions]
    ) -> PurgeResult:
        """Remove revisions for good, without a tombstone (`POST /{db}/_purge`).

        `docs` has the leaf revisions by document id. Return `{"purge_seq", "purged"}`, and `"accepted": True`
        where fewer copies were purged than `w` or most of them.
        """
        from aiocouch._transport.answer import check_members
        from aiocouch._transport.settle import Purge

        database = _database(self)
        if not isinstance(docs, Mapping):
            raise InvalidTypeError("purge takes a dict: the revisions by document id")
        path = with_query(f"{database.endpoint}/_purge", checked(params, PURGE))
        wanted = {id: listed(revs, f"the revisions of {id!r}") for id, revs in docs.items()}
        body, settle = database.remote.encode(wanted), Purge(database.endpoint, wanted)
        response = await database.remote.request("POST", path, body=body, settle=settle)
        found = response.json(JsonDict)
        check_members("POST", path, response, found, ("purged",))
        told = {**found, "accepted": True} if response.status == ACCEPTED else found
        return cast("PurgeResult", told)

    # Private in aiocouch 4, and used all the same, for there was nothing else. They took any option.

    async def _bulk_docs(self, docs: Iterable[Mapping[str, Any]], **data: Any) -> list[BulkRow]:
        return cast("list[BulkRow]", await self.bulk_docs(docs, extra=data))

    async def _bulk_get(self, docs: Iterable[Mapping[str, Any]], **params: Any) -> JsonDict:
        return cast("JsonDict", await self.bulk_get(docs, extra=params))

    async def _purge(self, docs: Mapping[str, list[str]], **params: Any) -> JsonDict:
        return cast("JsonDict", await self.purge(docs, extra=params))


def _wanted(docs: Iterable[str | Mapping[str, Any]]) -> list[JsonDict]:
    _check_list(docs)
    return [{"id": doc} if isinstance(doc, str) else _as_dict(doc) for doc in docs]


def _check_list(docs: object) -> None:
    if isinstance(docs, str | bytes | Mapping):
        raise InvalidTypeError(f"the documents must be a list, not one {type(docs).__name__}")
    if not isinstance(docs, Iterable):
        raise InvalidTypeError(f"the documents must be a list, not {type(docs).__name__}")


def _as_dict(doc: object) -> JsonDict:
    if not isinstance(doc, Mapping):
        raise InvalidTypeError(f"a document must be a dict, not {type(doc).__name__}")
    return dict(doc)


def _bulk_get_path(database: Database, params: BulkGetOptions) -> str:
    return with_query(f"{database.endpoint}/_bulk_get", checked(params, BULK_GET))


def _database(one: Any) -> Database:
    """Return what this is a base of."""
    found: Database = one
    return found
