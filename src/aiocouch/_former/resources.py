"""`RemoteDatabase`, `RemoteDocument`, `RemoteAttachment`, `RemoteView` of aiocouch 3 and 4."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from aiocouch._renamed import Discreet, OldProperty, Renamed, former, warn
from aiocouch._wire.ids import design_document_id, quote_document_id, quote_name
from aiocouch._wire.options import with_query
from aiocouch.exception import NotFoundError
from aiocouch.typing import JsonDict

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Iterable, Mapping

    from aiocouch._transport.answer import HTTPResponse
    from aiocouch.couchdb import CouchDB
    from aiocouch.database import Database
    from aiocouch.remote import Remote


async def _json(
    remote: Remote, method: str, path: str, params: Mapping[str, Any], body: Any = None
) -> tuple[HTTPResponse, Any]:
    encoded = None if body is None else remote.encode(body)
    response = await remote.request(method, with_query(path, params), body=encoded)
    return response, response.json()


async def _is_there(remote: Remote, path: str) -> bool:
    try:
        await remote.request("HEAD", path)
    except NotFoundError:
        return False
    return True


class _Rows(msgspec.Struct):
    results: list[JsonDict]


class RemoteDatabase(Discreet):
    """A database, with the requests of aiocouch 3 and 4 as methods."""

    if TYPE_CHECKING:
        couchdb: CouchDB

    def __init__(self, remote: Remote, id: str) -> None:
        self.remote = remote
        self.id = id

    _remote = Renamed("remote")
    _couchdb = Renamed("couchdb")

    @property
    def endpoint(self) -> str:
        """The path of the database."""
        return f"/{quote_name(self.id, 'database name')}"

    @former("couchdb[id]")
    async def _exists(self) -> bool:
        return await _is_there(self.remote, self.endpoint)

    @former("Database.info()")
    async def _get(self) -> JsonDict:
        found: JsonDict = (await _json(self.remote, "GET", self.endpoint, {}))[1]
        return found

    @former("CouchDB.create()")
    async def _put(self, **params: Any) -> JsonDict:
        made: JsonDict = (await _json(self.remote, "PUT", self.endpoint, params))[1]
        return made

    @former("Database.delete()")
    async def _delete(self) -> None:
        await self.remote.request("DELETE", self.endpoint)

    @former("Database.security()")
    async def _get_security(self) -> JsonDict:
        found: JsonDict = (await _json(self.remote, "GET", f"{self.endpoint}/_security", {}))[1]
        return found

    @former("Database.security() and SecurityDocument.save()")
    async def _put_security(self, doc: Mapping[str, Any]) -> JsonDict:
        path = f"{self.endpoint}/_security"
        answer: JsonDict = (await _json(self.remote, "PUT", path, {}, dict(doc)))[1]
        return answer

    @former("Database.find()")
    async def _find(self, selector: Any, **data: Any) -> JsonDict:
        body = {"selector": selector, **data}
        found: JsonDict = (await _json(self.remote, "POST", f"{self.endpoint}/_find", {}, body))[1]
        return found

    @former("Database.index()")
    async def _index(self, index: JsonDict, **data: Any) -> JsonDict:
        body = {"index": index, **data}
        made: JsonDict = (await _json(self.remote, "POST", f"{self.endpoint}/_index", {}, body))[1]
        return made

    @former("Database.bulk_docs()")
    async def _bulk_docs(self, docs: Iterable[Mapping[str, Any]], **data: Any) -> list[JsonDict]:
        path, body = f"{self.endpoint}/_bulk_docs", {**data, "docs": list(docs)}
        rows: list[JsonDict] = (await _json(self.remote, "POST", path, {}, body))[1]
        return rows

    @former("Database.bulk_get()")
    async def _bulk_get(self, docs: Iterable[Mapping[str, Any]], **params: Any) -> JsonDict:
        path, body = f"{self.endpoint}/_bulk_get", {"docs": list(docs)}
        found: JsonDict = (await _json(self.remote, "POST", path, params, body))[1]
        return found

    @former("Database.purge()")
    async def _purge(self, docs: Mapping[str, list[str]], **params: Any) -> JsonDict:
        path = f"{self.endpoint}/_purge"
        purged: JsonDict = (await _json(self.remote, "POST", path, params, dict(docs)))[1]
        return purged

    async def _changes(self, **params: Any) -> AsyncGenerator[JsonDict, None]:
        """Yield the rows of the feed as they came, with its last line where it is continuous."""
        warn("RemoteDatabase._changes", "Database.changes()")
        path = with_query(f"{self.endpoint}/_changes", params)
        if params.get("feed") != "continuous":
            answer = await self.remote.request("GET", path)
            for row in answer.json(_Rows).results:
                yield row
            return
        async with self.remote.stream("GET", path) as stream:
            while lines := await stream.lines():
                for line in lines:
                    yield stream.decode(line)


class Content(JsonDict):
    """The content of a document, which is also the method by which it was reached for a time."""

    def __call__(self) -> JsonDict:
        return self


class RemoteDocument(Discreet):
    """A document, with the requests of aiocouch 3 and 4 as methods."""

    # With __dict__, so that programs can keep attributes of their own, and tests can patch methods.
    __slots__ = ("__dict__", "__weakref__", "database", "id")

    if TYPE_CHECKING:
        _content: JsonDict | None

    def __init__(self, database: Database, id: str) -> None:
        self.database = database
        self.id = id

    _database = Renamed("database")

    @property
    def remote(self) -> Remote:
        """The server of the document."""
        return self.database.remote

    @property
    def endpoint(self) -> str:
        """The path of the document."""
        return f"{self.database.endpoint}/{quote_document_id(self.id)}"

    def _loaded(self) -> JsonDict:
        return {}

    def _content_itself(self) -> Content:
        warn("Document._data", "the document itself, or its data")
        loaded = self._loaded()
        if isinstance(loaded, Content):
            return loaded
        self._content = content = Content(loaded)
        return content

    def _take_content(self, data: JsonDict) -> None:
        warn("Document._data", "Document.update()")
        self._loaded()
        self._content = data

    _data = OldProperty(_content_itself, _take_content)

    @OldProperty
    def _dirty_cache(self) -> bool:
        warn("Document._dirty_cache", "Document.is_dirty()")
        dirty: bool = self.is_dirty()  # type: ignore[attr-defined]
        return dirty

    @former("Document.info()")
    async def _head(self) -> None:
        await self.database.remote.request("HEAD", self.endpoint)

    @former("Document.info()")
    async def _info(self) -> JsonDict:
        response = await self.database.remote.request("HEAD", self.endpoint)
        return {"ok": True, "id": self.id, "rev": response.etag}

    @former("Document.info(), which raises NotFoundError")
    async def _exists(self) -> bool:
        return await _is_there(self.database.remote, self.endpoint)

    @former("Document.fetch()")
    async def _get(self, **params: Any) -> JsonDict:
        found: JsonDict = (await _json(self.database.remote, "GET", self.endpoint, params))[1]
        return found

    @former("Document.save()")
    async def _put(self, data: Mapping[str, Any], **params: Any) -> tuple[HTTPResponse, JsonDict]:
        return await _json(self.remote, "PUT", self.endpoint, params, dict(data))

    @former("Document.delete()")
    async def _delete(self, rev: str, **params: Any) -> tuple[HTTPResponse, JsonDict]:
        options = {"rev": rev, **params}
        return await _json(self.database.remote, "DELETE", self.endpoint, options)

    @former("Document.copy()")
    async def _copy(self, destination: str, **params: Any) -> tuple[HTTPResponse, JsonDict]:
        path = with_query(self.endpoint, params)
        headers = {"Destination": quote_document_id(destination)}
        response = await self.database.remote.request("COPY", path, headers=headers)
        return response, response.json()

    @former("Document.conflicts()")
    async def _conflicts(self) -> list[str]:
        path, params = self.endpoint, {"conflicts": True}
        response, _ = await _json(self.database.remote, "GET", path, params)
        lost: list[str] = response.json(JsonDict).get("_conflicts", [])
        return lost

    @former("Document.revs()")
    async def _revs(self) -> list[str]:
        path, params = self.endpoint, {"revs_info": True}
        response, _ = await _json(self.database.remote, "GET", path, params)
        return [info["rev"] for info in response.json(JsonDict).get("_revs_info", [])]


class RemoteAttachment(Discreet):
    """An attachment, with the requests of aiocouch 3 and 4 as methods."""

    def __init__(self, document: Any, id: str) -> None:
        self.document = document
        self.id = id
        self.endpoint = f"{document.endpoint}/{quote_name(id, 'attachment name')}"

    _document = Renamed("document")

    @former("Attachment.exists()")
    async def _exists(self) -> bool:
        return await _is_there(self.document.remote, self.endpoint)

    @former("Attachment.fetch() or Attachment.stream()")
    async def _get(self, **params: Any) -> bytes:
        path, headers = with_query(self.endpoint, params), {"Accept": "*/*"}
        response = await self.document.remote.request("GET", path, headers=headers)
        body: bytes = response.body
        return body

    @former("Attachment.save()")
    async def _put(self, rev: str, data: bytes, content_type: str, **params: Any) -> JsonDict:
        path = with_query(self.endpoint, {"rev": rev, **params})
        headers = {"Content-Type": content_type}
        remote = self.document.remote
        response = await remote.request("PUT", path, body=data, headers=headers)
        answer: JsonDict = response.json()
        return answer

    @former("Attachment.delete()")
    async def _delete(self, rev: str, **params: Any) -> JsonDict:
        options = {"rev": rev, **params}
        answer = await _json(self.document.remote, "DELETE", self.endpoint, options)
        gone: JsonDict = answer[1]
        return gone


class RemoteView(Discreet):
    """A view, with the requests of aiocouch 3 and 4 as methods."""

    def __init__(self, database: Database, ddoc: str, id: str) -> None:
        self.database = database
        self.design_doc = ddoc
        self.id = id
        path = quote_document_id(design_document_id(ddoc))
        self.endpoint = f"{database.endpoint}/{path}/_view/{quote_name(id, 'view name')}"

    _database = Renamed("database")

    @OldProperty
    def ddoc(self) -> str | None:
        """Deprecated: the older name of `design_doc`."""
        warn("View.ddoc", "design_doc")
        return self.design_doc or None

    @former("View.get()")
    async def _get(self, **params: Any) -> JsonDict:
        found: JsonDict = (await _json(self.database.remote, "GET", self.endpoint, params))[1]
        return found

    @former("View.post()")
    async def _post(self, keys: Iterable[Any], **params: Any) -> JsonDict:
        body = {"keys": list(keys)}
        answer = await _json(self.database.remote, "POST", self.endpoint, params, body)
        found: JsonDict = answer[1]
        return found
