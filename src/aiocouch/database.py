"""Documents by id, by query, by change, and in bulk."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, overload

import msgspec

from aiocouch._former.resources import RemoteDatabase
from aiocouch._tracked import ACCEPTED, accepted, saved, to_send
from aiocouch._transport.later import of_document
from aiocouch._wire.ids import quote_name
from aiocouch._wire.uuids import new_id
from aiocouch.bulk import BulkCreateOperation, BulkOperation, BulkUpdateOperation
from aiocouch.document import Document, SecurityDocument
from aiocouch.exception import ConflictError, InvalidInputError, InvalidTypeError, NotFoundError
from aiocouch.finding import Finding
from aiocouch.in_bulk import InBulk
from aiocouch.typing import JsonDict
from aiocouch.view import AllDocsView, DesignDocsView, View

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterable, Iterable
    from types import UnionType
    from typing import TypeVar, Unpack

    from yarl import URL

    from aiocouch.batch import Batch
    from aiocouch.changes import (
        ChangesFeed,
        FollowedChange,
        FollowedDeletion,
        Follower,
        FollowOptions,
    )
    from aiocouch.conflicts import Conflicted, Leaves, MergeVersions
    from aiocouch.couchdb import CouchDB
    from aiocouch.design_document import DesignDocument
    from aiocouch.edits import Change
    from aiocouch.models import Collection
    from aiocouch.remote import Remote
    from aiocouch.replication import Replication, ReplicationOptions, Sync, SyncOptions
    from aiocouch.topics import (
        DesignFunctions,
        Indexes,
        LocalDocuments,
        Maintenance,
        Partition,
        Revisions,
        SearchIndex,
    )
    from aiocouch.typing import (
        ChangesOptions,
        DocumentOptions,
        IndexOptions,
        ViewOptions,
    )
    from aiocouch.writing import BulkWriter, StreamOptions, WriteOptions
    from aiocouch.writing.items import Given

    T = TypeVar("T")

__all__ = ["Database"]


class _Saved(msgspec.Struct):
    rev: str


class Database(Finding, InBulk, RemoteDatabase):
    """A database of a server. Building one sends no request; `await couchdb["name"]` looks for it."""

    accepted_only: bool = False
    """Whether `CouchDB.create` or `delete` was answered by 202: fewer nodes have done it than should."""

    def __init__(self, couchdb: CouchDB, id: str) -> None:
        self.couchdb = couchdb
        self.remote: Remote = couchdb.remote
        self.batch: Batch | None = None
        self.id = id
        self._endpoint = f"/{quote_name(id, 'database name')}"

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.id!r}>"

    @property
    def endpoint(self) -> str:
        """The path of the database."""
        return self._endpoint

    # -- the database itself ----------------------------------------------------------------------

    async def info(self) -> JsonDict:
        """Return sizes, counts and the update sequence (`GET /{db}`)."""
        return await self.remote.json("GET", self.endpoint, into=JsonDict, having=("db_name",))

    async def delete(self) -> None:
        """Delete the database with all its documents (`DELETE /{db}`).

        Loops over it that have not got everything yet end with `TruncatedError`.
        """
        from aiocouch._transport.answer import check_members
        from aiocouch._transport.settle import DeleteDatabase

        settle = DeleteDatabase(self.endpoint)
        response = await self.remote.request("DELETE", self.endpoint, settle=settle)
        check_members("DELETE", self.endpoint, response, response.json(JsonDict), ("ok",))
        self.accepted_only = response.status == ACCEPTED
        # CouchDB lets some of them wait for ever.
        self.remote.cut_streams(self.endpoint, "the database was deleted")

    async def security(self) -> SecurityDocument:
        """Return who may read and write (`GET /{db}/_security`)."""
        document = SecurityDocument(self)
        await document.fetch()
        return document

    @property
    def maintenance(self) -> Maintenance:
        """Return what admins do: compaction, clean-up, shards. Sends no request."""
        from aiocouch.topics import Maintenance

        return Maintenance(self.remote, self.endpoint)

    @property
    def revisions(self) -> Revisions:
        """Return which revisions it has, lacks and keeps. Sends no request."""
        from aiocouch.topics import Revisions

        return Revisions(self.remote, self.endpoint)

    @property
    def indexes(self) -> Indexes:
        """Return its Mango indexes (`/{db}/_index`). Sends no request."""
        from aiocouch.topics import Indexes

        return Indexes(self.remote, self.endpoint)

    @property
    def local(self) -> LocalDocuments:
        """Return its local documents (`/{db}/_local/…`). Sends no request."""
        from aiocouch.topics import LocalDocuments

        return LocalDocuments(self)

    def functions(self, design_doc: str) -> DesignFunctions:
        """Return the shows, lists, updates and rewrites of a design document. Sends no request."""
        from aiocouch.topics import DesignFunctions

        return DesignFunctions(self.remote, self.endpoint, design_doc)

    def search(
        self, design_doc: str, index: str, *, nouveau: bool = False, partition: str | None = None
    ) -> SearchIndex:
        """Return a search index of a design document, Clouseau's or Nouveau's. Sends no request."""
        from aiocouch.topics import SearchIndex

        return SearchIndex(
            self.remote, self.endpoint, design_doc, index, nouveau=nouveau, partition=partition
        )

    def partition(self, id: str) -> Partition:
        """Return a partition of a partitioned database. Sends no request."""
        from aiocouch.topics import Partition

        return Partition(self, id)

    # -- one document -----------------------------------------------------------------------------

    def document(self, id: str, data: Mapping[str, Any] | None = None) -> Document:
        """Return a document of that id and this content. Sends no request.

        To `save` it is one request, which creates it, or raises `ConflictError` when there is one;
        `await db[id]` gets what is there.
        """
        return Document(self, id, data)

    async def __getitem__(self, id: str) -> Document:
        """Return the document (`GET /{db}/{docid}`). Raise `NotFoundError`."""
        return await self.get(id)

    async def get(
        self,
        id: str,
        default: JsonDict | None = None,
        *,
        rev: str | None = None,
        **options: Unpack[DocumentOptions],
    ) -> Document:
        """Return the document, in the revision `rev` or as it is (`GET /{db}/{docid}`).

        Where there is none, a new document of the content `default`; without one `NotFoundError`.
        `BadRequestError` for a malformed `rev`. The `options` are those of `Document.fetch`.
        """
        document = Document(self, id, default)
        try:
            await document.fetch(True, rev=rev, **options)
        except NotFoundError:
            if default is None:
                raise
        return document

    async def create(
        self, id: str, exists_ok: bool = False, data: JsonDict | None = None
    ) -> Document:
        """Return a new document, not saved yet. Raise `ConflictError` when there is one of that id.

        With `exists_ok` that one is returned as it is, and `data` is not used.
        """
        document = Document(self, id, data)
        await self._begin(document, exists_ok)
        return document

    async def design_doc(self, id: str, exists_ok: bool = False) -> DesignDocument:
        """Return a new design document, not saved yet, or with `exists_ok` the one of that name.

        Raise `ConflictError` when there is one, unless `exists_ok`.
        """
        from aiocouch.design_document import DesignDocument

        document = DesignDocument(self, id)
        await self._begin(document, exists_ok)
        return document

    async def add(self, data: Mapping[str, Any]) -> Document:
        """Save a new document whose id is made for it, and return it (`POST /{db}`).

        The id is made here, so that it is known whether the document was saved when an answer is lost.
        Raise `InvalidInputError` for data that has an `_id`: that is `document` or `create`.
        """
        if not isinstance(data, Mapping):
            raise InvalidTypeError(f"the data must be a dict, not {type(data).__name__}")
        if "_id" in data:
            raise InvalidInputError(f"add() makes the id; the data has the _id {data['_id']!r}")
        document = Document(self, new_id(), data)
        sent = to_send(document) or b"{}"
        settle = of_document(document.endpoint, sent)
        response = await self.remote.request("POST", self.endpoint, body=sent, settle=settle)
        saved(document, sent, response.json(_Saved).rev)
        if response.status == ACCEPTED:
            accepted(document)
        return document

    async def _begin(self, document: Document, exists_ok: bool) -> None:
        try:
            if exists_ok:
                await document.fetch(True)
            else:
                await document.info()
        except NotFoundError:
            return
        if not exists_ok:
            raise ConflictError(f"{document!r} exists already")

    def batched(self, size: int = 100, delay: float = 0.0) -> Database:
        """Return the same database, where documents that are read at the same time come in one request.

        `[]`, `get` and `fetch` of whole documents wait for others until the next turn of the event
        loop, or for `delay` seconds, or until `size` documents are asked for; then one
        `POST /{db}/_all_docs` brings them all. Each caller gets its own document or its own error.
        """
        from aiocouch.batch import Batch

        database = type(self)(self.couchdb, self.id)
        database.batch = Batch(self.remote, self.endpoint, size, delay)
        return database

    # -- many documents ---------------------------------------------------------------------------

    @property
    def all_docs(self) -> AllDocsView:
        """All documents, as a view by id."""
        return AllDocsView(self)

    @property
    def design_docs(self) -> DesignDocsView:
        """All design documents, as a view by id (`/{db}/_design_docs`)."""
        return DesignDocsView(self)

    def view(self, design_doc: str, view: str) -> View:
        """Return a view of a design document, whose name may have `_design/` or not. Sends no request."""
        return View(self, design_doc, view)

    @overload
    def akeys(
        self,
        *,
        ids: Iterable[str] | None = None,
        prefix: str | None = None,
        **params: Unpack[ViewOptions],
    ) -> AsyncGenerator[str, None]: ...

    @overload  # only `**options`, a dict of any types, can give what is required
    def akeys(self, *, _: object, **params: object) -> AsyncGenerator[str, None]: ...

    def akeys(self, **params: Any) -> AsyncGenerator[str, None]:
        """Return the ids of all documents, design documents among them (`GET /{db}/_all_docs`)."""
        return self.all_docs.ids(**params)

    @overload
    def collection(
        self, model: type[T], *, type: str | None = None, type_field: str = "type"
    ) -> Collection[T]: ...

    @overload
    def collection(
        self, model: UnionType, *, type: str | None = None, type_field: str = "type"
    ) -> Collection[Any]: ...

    def collection(
        self, model: Any, *, type: str | None = None, type_field: str = "type"
    ) -> Collection[Any]:
        """Return the documents of one model: a Struct, dataclass, pydantic model or TypedDict.

        With a `type`, the member `type_field` of each document has it: it is written, and chosen by, whether
        the model has that member or not. Tagged Structs of msgspec bring theirs; a union of them is a model,
        too. Sends no request. Raise `InvalidTypeError` for what is not a model.
        """
        from aiocouch.models.collection import Collection

        return Collection(self, model, type=type, type_field=type_field)

    def docs(
        self,
        ids: Iterable[str] | None = None,
        create: bool = False,
        prefix: str | None = None,
        include_ddocs: bool = False,
        *,
        streams: int = 1,
        ordered: bool = True,
        **params: Unpack[ViewOptions],
    ) -> AsyncGenerator[Document, None]:
        """Return the documents of some ids, or all whose id has the prefix, or all (`/{db}/_all_docs`).

        They are read as they come, in constant memory. Raise `NotFoundError` for an id that does not
        exist, where with `create` a new document stands for it. Design documents are left out (here,
        so that `limit` counts them) unless `include_ddocs`, or named in `ids`.

        With `streams` all documents, or those from `startkey` to `endkey`, are read by that many
        requests at a time: faster from a server with cores to spare. Their order is kept unless
        `ordered` is False.
        """
        if not isinstance(streams, int):
            raise InvalidTypeError(f"streams must be an int, not {type(streams).__name__}")
        if streams > 1:
            if ids is not None or prefix is not None:
                raise InvalidInputError("streams= reads a range: no ids= and no prefix=")
            from aiocouch.slices import sliced_docs

            return sliced_docs(self.all_docs, streams, ordered, include_ddocs, dict(params))
        return self.all_docs.docs(ids, create, prefix, include_ddocs, **params)

    @overload
    def values(
        self,
        *,
        ids: Iterable[str] | None = None,
        create: bool = False,
        prefix: str | None = None,
        include_ddocs: bool = False,
        **params: Unpack[ViewOptions],
    ) -> AsyncGenerator[Document, None]: ...

    @overload  # only `**options`, a dict of any types, can give what is required
    def values(self, *, _: object, **params: object) -> AsyncGenerator[Document, None]: ...

    def values(self, **params: Any) -> AsyncGenerator[Document, None]:
        """Return the documents, as `docs`."""
        return self.all_docs.docs(**params)

    @overload
    async def index(self, index: Mapping[str, Any], **kwargs: Unpack[IndexOptions]) -> JsonDict: ...

    @overload  # only `**options`, a dict of any types, can give what is required
    async def index(self, index: Mapping[str, Any], *, _: object, **kwargs: object) -> JsonDict: ...

    async def index(self, index: Mapping[str, Any], **kwargs: Any) -> JsonDict:
        """Create a Mango index (`POST /{db}/_index`). `index` is such as `{"fields": ["name"]}`."""
        from aiocouch.topics.indexes import create_index

        return await create_index(self.remote, f"{self.endpoint}/_index", index, kwargs)

    @overload
    def changes(
        self, last_event_id: str | None = None, **params: Unpack[ChangesOptions]
    ) -> ChangesFeed: ...

    @overload  # its function reads whatever options it likes
    def changes(
        self, last_event_id: str | None = None, *, filter: str | None, **params: Any
    ) -> ChangesFeed: ...

    def changes(self, last_event_id: str | None = None, **params: Any) -> ChangesFeed:
        """Return what happened to documents since `last_event_id`, or ever (`/{db}/_changes`).

        The feed "normal" (the default) ends with the last event, "longpoll" waits for one when there
        is none, "continuous" goes on, and so does "eventsource". `doc_ids` and `selector` choose documents.
        With a `filter` function, options that CouchDB does not know are for it.
        """
        from aiocouch.changes.feed import ChangesFeed

        options: JsonDict = dict(params)
        if last_event_id is not None:
            options["last-event-id"] = last_event_id
        return ChangesFeed(self, options)

    @overload
    def follow(
        self, **params: Unpack[FollowOptions]
    ) -> Follower[FollowedChange | FollowedDeletion]: ...

    @overload  # its function reads whatever options it likes
    def follow(
        self, *, filter: str | None, **params: Any
    ) -> Follower[FollowedChange | FollowedDeletion]: ...

    def follow(self, **params: Any) -> Follower[FollowedChange | FollowedDeletion]:
        """Return what happens to documents, for as long as you like (`/{db}/_changes`).

        Connects again when the feed breaks, and goes on where it was; with a `checkpoint` also after a
        restart of the program. Each event comes at least once. Sends nothing until it is iterated.
        """
        from aiocouch.changes.follower import follow_changes

        return follow_changes(self, params)

    def replicate_to(self, target: Database, **options: Unpack[ReplicationOptions]) -> Replication:
        """Copy all documents to another database, of any server: `await db.replicate_to(target)`.

        All revisions that are leaves go, deleted ones and conflicts too, with attachments and design
        documents. Return a `Replication`: `await` it for its result, or loop over it for its progress.
        It goes on where the last one between the two has stopped. `options` are `ReplicationOptions`.
        """
        from aiocouch.replication import Replication

        if not isinstance(target, Database):
            what = f"the target must be a Database, of this session or another, not {target!r}"
            raise InvalidTypeError(f"{what}; sync() takes a URL, too")
        return Replication(self, target, **options)

    def sync(self, other: Database | str | URL, **options: Unpack[SyncOptions]) -> Sync:
        """Make this database and another one equal: `await db.sync("https://user:password@host/name")`.

        The other one is a `Database` of any server, or a URL. Return a `Sync`: `await` it for its result,
        or loop over it for its state and progress; with `live=True` it goes on until it is stopped. It begins
        where the last one has stopped. What was edited on both sides becomes a conflict: see `conflicts()`.
        """
        from aiocouch.replication import Sync

        return Sync(self, other, **options)

    # -- in bulk ----------------------------------------------------------------------------------

    def update_docs(self, ids: Iterable[str] = (), create: bool = False) -> BulkUpdateOperation:
        """Change many documents together: `async with db.update_docs(ids) as bulk`."""
        return BulkUpdateOperation(self, ids, create)

    def create_docs(self, ids: Iterable[str] = ()) -> BulkCreateOperation:
        """Create many documents together: `async with db.create_docs(ids) as bulk`."""
        return BulkCreateOperation(self, ids)

    def bulk(self) -> BulkOperation:
        """Save any documents together: `async with db.bulk() as bulk`."""
        return BulkOperation(self)

    def write(
        self, docs: AsyncIterable[Given] | Iterable[Given], **options: Unpack[WriteOptions]
    ) -> BulkWriter:
        """Write a stream of documents of any length: `async for outcome in db.write(docs)`.

        They are dicts, documents of this database, or JSON text; one without `_id` gets an id before it
        is sent. Several requests are under way at a time (`POST /{db}/_bulk_docs`), and what is held
        does not grow with the stream.
        """
        from aiocouch.writing import BulkWriter

        return BulkWriter(self, docs, **options)

    async def update(self, id: str, change: Change, *, attempts: int = 20) -> Document:
        """Change a document: read it, call `change` with it, save it, and again on a conflict.

        `change`, which may be async, changes the document in place, or gives its new content, or
        `Edit.LEAVE` or `Edit.DELETE`. It is called anew on what others have saved, after a random wait.
        Return the document. Raise `NotFoundError`, and `ConflictError` after `attempts` of them.
        """
        from aiocouch.edits import changed_one

        return await changed_one(self, id, change, None, attempts)

    async def upsert(
        self,
        id: str,
        change: Change | Mapping[str, Any],
        default: Mapping[str, Any] | None = None,
        *,
        attempts: int = 20,
    ) -> Document:
        """Do as `update`; a document that does not exist begins as a new one of the content `default`.

        In place of a function, `change` may be the new content, whatever is there.
        """
        from aiocouch.edits import changed_one

        return await changed_one(self, id, change, default or {}, attempts)

    def update_many(
        self,
        ids: AsyncIterable[str] | Iterable[str],
        change: Change,
        **options: Unpack[StreamOptions],
    ) -> BulkWriter:
        """Change many documents as `update` does: `async for outcome in db.update_many(ids, change)`.

        They are read and written many at a time. A document that does not exist has failed as "not_found".
        """
        from aiocouch.edits import changed_many

        return changed_many(self, ids, change, None, options)

    def upsert_many(
        self,
        ids: AsyncIterable[str] | Iterable[str],
        change: Change,
        default: Mapping[str, Any] | None = None,
        **options: Unpack[StreamOptions],
    ) -> BulkWriter:
        """Do as `update_many`; a document that does not exist begins as one of the content `default`."""
        from aiocouch.edits import changed_many

        return changed_many(self, ids, change, default or {}, options)

    # -- conflicts of replication -----------------------------------------------------------------

    async def leaves(self, id: str) -> Leaves:
        """Return all leaves of a document, deleted ones too (`GET /{db}/{docid}?open_revs=all`)."""
        from aiocouch.conflicts import leaves_of

        return await leaves_of(self, id)

    async def resolve(self, id: str, merge: MergeVersions, *, attempts: int = 10) -> Document:
        """Make one document of the winner and its conflicts, and return it.

        `merge(base, versions)`, which may be async, gets the common ancestor, if the server still
        has it, and the versions, the winner first; it gives the content, or changes the winner and gives
        None. That is written, and the others are deleted, in one request, which loses nothing that somebody
        saves meanwhile: then it begins again, and raises `ConflictError` after so many attempts. Without
        conflicts nothing is written.
        """
        from aiocouch.conflicts import resolved

        return await resolved(self, id, merge, attempts)

    def conflicts(self) -> AsyncGenerator[Conflicted, None]:
        """Return the documents that have conflicts, with their revisions (`GET /{db}/_changes`)."""
        from aiocouch.conflicts import conflicted

        return conflicted(self)
