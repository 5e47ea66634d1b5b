"""The documents of a database that are of one model."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterable, Awaitable, Callable, Iterable
from contextlib import aclosing
from functools import partial
from typing import TYPE_CHECKING, Any, Generic, Literal, TypeAlias, TypeVar, cast

from aiocouch._tracked import text_of
from aiocouch._wire.uuids import new_id
from aiocouch.document import Document
from aiocouch.edits import Edit
from aiocouch.exception import InvalidInputError, InvalidTypeError
from aiocouch.mango import found, query_of, refuse_body
from aiocouch.misfit import MisfitError
from aiocouch.models.changes import FollowedValue, ValueFeed, feed_of, follower_of
from aiocouch.models.rows import read_values
from aiocouch.models.shape import shape_of
from aiocouch.models.stored import Stored, forget, new_content, put_value, stored_in

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Unpack

    from aiocouch.changes import FollowedDeletion, Follower, FollowOptions
    from aiocouch.database import Database
    from aiocouch.mango import OnWarning
    from aiocouch.models.shape import Shape
    from aiocouch.remote import HTTPResponse
    from aiocouch.typing import ChangesOptions, FindOptions, JsonDict, ViewOptions
    from aiocouch.writing import BulkWriter, WriteOptions

__all__ = ["Collection", "OnMisfit", "ValueChange"]

T = TypeVar("T")

OnMisfit: TypeAlias = Literal["keep", "raise"] | Callable[[MisfitError], object]
"""What a stream does with a document that does not fit: "keep" gives it all the same, and its `value`
raises; "raise" ends the stream with the error; a function gets the error, and the stream goes on."""

ValueChange: TypeAlias = Callable[[T], T | Edit | Awaitable[T | Edit | None] | None]
"""A change of a value: it changes it in place and gives None, or gives a new one, or an `Edit`."""


class Collection(Generic[T]):
    """The documents of a database that are of one model. Made by `Database.collection`.

    Members of a document that the model does not know, at any depth, stay as they are when it is saved;
    what the value has not changed is not written anew.
    """

    def __init__(
        self, database: Database, model: Any, *, type: str | None = None, type_field: str = "type"
    ) -> None:
        self.database = database
        self.model = model
        self._shape: Shape[T] = shape_of(model, type, type_field)
        self._make: partial[Stored[T]] = partial(Stored, self._shape)

    def __repr__(self) -> str:
        name = getattr(self.model, "__name__", self.model)
        return f"<{self.__class__.__name__} of {name} in {self.database!r}>"

    # -- one --------------------------------------------------------------------------------------

    async def __getitem__(self, id: str) -> Stored[T]:
        """Return the document, as `get`."""
        return await self.get(id)

    async def get(self, id: str, *, rev: str | None = None) -> Stored[T]:
        """Return the document (`GET /{db}/{docid}`). Raise `NotFoundError`, and `MisfitError`."""
        return self._fitting(await self.database.get(id, rev=rev))

    def of(self, document: Document) -> Stored[T]:
        """Return a document as a value, wherever it comes from: `books.of(await event.doc())`.

        Sends nothing. Its `value` raises `MisfitError` if it does not fit.
        """
        if not isinstance(document, Document):
            raise InvalidTypeError(f"of() takes a Document, not {type(document).__name__}")
        return stored_in(document, self._shape)

    async def create(self, value: T, *, id: str | None = None) -> Stored[T]:
        """Save a new document (`PUT /{db}/{docid}`). Without `id`, one is made.

        A member `_id` of the value is as good as `id`. Raise `ConflictError` when there is one of that id.
        """
        document = self._new(value, id)
        await document.save()
        stored = stored_in(document, self._shape)
        stored.value = value
        return stored

    async def save(self, stored: Stored[T], *, w: int | None = None) -> Stored[T]:
        """Write the value (`PUT /{db}/{docid}`), if it was changed. `w` as of `Document.save`.

        Raise `ConflictError` when the server has another revision, and before anything is sent
        `InvalidInputError` or `InvalidTypeError` for a value that does not fit the model.
        """
        await put_value(_checked(stored)).save(w=w)
        return stored

    async def delete(self, stored: Stored[T], *, w: int | None = None) -> HTTPResponse:
        """Delete the document, and return the answer (`DELETE /{db}/{docid}`). Raise `ConflictError`.

        To save it again creates it anew.
        """
        response = await _checked(stored).document.delete(discard_changes=True, w=w)
        forget(stored)
        return response

    async def update(self, id: str, change: ValueChange[T], *, attempts: int = 20) -> Stored[T]:
        """Change a document: read it, call `change` with its value, save it, and again on a conflict.

        `change`, which may be async, changes the value in place, or gives a new one, or `Edit.LEAVE` or
        `Edit.DELETE`. Raise `NotFoundError`, `MisfitError`, and `ConflictError` after so many attempts.
        """
        if not callable(change):
            raise InvalidTypeError(f"a change must be a function, not {type(change).__name__}")
        last: list[Stored[T]] = []

        async def changed(document: Document) -> Edit | None:
            stored = self._fitting(document)
            last[:] = [stored]
            made = change(stored.value)
            given = await made if isinstance(made, Awaitable) else made
            if isinstance(given, Edit):
                return given
            if given is not None:
                stored.value = cast("T", given)
            put_value(stored)
            return None

        await self.database.update(id, changed, attempts=attempts)
        return last[0]

    def _fitting(self, document: Document) -> Stored[T]:
        self._shape.check_type(document.id, text_of(document))
        stored = stored_in(document, self._shape)
        _ = stored.value
        return stored

    def _new(self, value: T, id: str | None) -> Document:
        own, members = new_content(self._shape, value, id)
        return Document(self.database, new_id() if own is None else own, members)

    # -- many -------------------------------------------------------------------------------------

    def all(self, *, on_misfit: OnMisfit = "keep") -> AsyncGenerator[Stored[T], None]:
        """Yield all documents of the type (`POST /{db}/_find`), as they come.

        Without a type all but design documents (`GET /{db}/_all_docs`).
        """
        if self._shape.types:
            return self.find({}, on_misfit=on_misfit)
        return self._checked(read_values(self.database.all_docs, self._shape), on_misfit)

    def find(
        self,
        selector: Mapping[str, Any],
        limit: int | None = None,
        *,
        on_misfit: OnMisfit = "keep",
        on_warning: OnWarning = "ignore",
        **options: Unpack[FindOptions],
    ) -> AsyncGenerator[Stored[T], None]:
        """Yield the documents of the type that match a Mango selector (`POST /{db}/_find`).

        `on_warning` is as of `Database.find`.
        """
        database = self.database
        query = query_of(database.endpoint, self._selector(selector), limit, options, on_warning)
        stored = found(database, query, self._make)
        return self._checked(stored, on_misfit)

    def view(
        self,
        design_doc: str,
        view: str,
        *,
        on_misfit: OnMisfit = "keep",
        **options: Unpack[ViewOptions],
    ) -> AsyncGenerator[Stored[T], None]:
        """Yield the documents of a view (`GET /{db}/_design/{ddoc}/_view/{view}`).

        Rows of documents of another type are passed over.
        """
        docs = self.database.view(design_doc, view).docs(**options)
        return self._checked(self._selected(docs), on_misfit)

    def changes(
        self,
        last_event_id: str | None = None,
        *,
        on_misfit: OnMisfit = "keep",
        **options: Unpack[ChangesOptions],
    ) -> ValueFeed[T]:
        """Return what happened to documents of the type, with their values (`/{db}/_changes`).

        The events are `ChangedValue` and `DeletedEvent`; all else is as of `Database.changes`. A deletion
        does not tell the type, so those of all documents come, unless a `selector`, `doc_ids` or `filter`
        chooses.
        """
        asked: JsonDict = dict(options)
        if last_event_id is not None:
            asked["last-event-id"] = last_event_id
        return feed_of(self.database, self._shape, asked, _judge(on_misfit))

    def follow(
        self, *, on_misfit: OnMisfit = "keep", **options: Unpack[FollowOptions]
    ) -> Follower[FollowedValue[T] | FollowedDeletion]:
        """Return what happens to documents of the type, with their values, for as long as you like.

        The events are `FollowedValue` and `FollowedDeletion`; all else is as of `Database.follow` and
        `changes`. An event that `on_misfit` leaves out is acknowledged.
        """
        return follower_of(self.database, self._shape, dict(options), _judge(on_misfit))

    def save_many(
        self,
        values: AsyncIterable[Stored[T] | T] | Iterable[Stored[T] | T],
        **options: Unpack[WriteOptions],
    ) -> BulkWriter:
        """Write a stream of values and of documents whose values were changed, as `Database.write`.

        A value is a new document. Outcomes have the `Document` as `doc`.
        """
        if isinstance(values, str | bytes | dict) or not isinstance(
            values, AsyncIterable | Iterable
        ):
            raise InvalidTypeError(f"the values must be a stream, not {type(values).__name__}")
        if isinstance(values, AsyncIterable):
            return self.database.write(self._documents(values), **options)
        return self.database.write(map(self._document, values), **options)

    async def _documents(
        self, values: AsyncIterable[Stored[T] | T]
    ) -> AsyncGenerator[Document, None]:
        async for value in values:
            yield self._document(value)

    def _document(self, value: Stored[T] | T) -> Document:
        if isinstance(value, Stored):
            return put_value(value)
        return self._new(value, None)

    def _selector(self, selector: Mapping[str, Any]) -> JsonDict:
        if not hasattr(selector, "keys"):
            raise InvalidTypeError(f"the selector must be a dict, not {type(selector).__name__}")
        types, own = self._shape.types, dict(selector)
        if not types:
            return own  # query_of looks at it
        refuse_body(selector)
        mine = {self._shape.type_field: types[0] if len(types) == 1 else {"$in": types}}
        return {"$and": [mine, own]} if mine.keys() & own.keys() else {**mine, **own}

    async def _selected(
        self, documents: AsyncGenerator[Document, None]
    ) -> AsyncGenerator[Stored[T], None]:
        """Yield those of the type."""
        async with aclosing(documents):
            async for document in documents:
                if self._shape.selects(text_of(document)):
                    yield stored_in(document, self._shape)

    def _checked(
        self, stored: AsyncGenerator[Stored[T], None], on_misfit: OnMisfit
    ) -> AsyncGenerator[Stored[T], None]:
        fits = _judge(on_misfit)
        return stored if on_misfit == "keep" else _fitting(stored, fits)


def _judge(on_misfit: OnMisfit) -> Callable[[Stored[Any]], bool]:
    """Return what tells whether a stream gives a document, or raises."""
    if on_misfit not in ("keep", "raise") and not callable(on_misfit):
        raise InvalidInputError(f"on_misfit={on_misfit!r}: keep, raise, or a function")
    return partial(_fits, on_misfit)


async def _fitting(
    stored: AsyncGenerator[Stored[T], None], fits: Callable[[Stored[T]], bool]
) -> AsyncGenerator[Stored[T], None]:
    async with aclosing(stored):
        async for one in stored:
            if fits(one):
                yield one


def _fits(on_misfit: OnMisfit, stored: Stored[T]) -> bool:
    if on_misfit == "keep":
        return True
    try:
        _ = stored.value
    except MisfitError as error:
        if not callable(on_misfit):
            raise
        on_misfit(error)
        return False
    return True


def _checked(stored: Stored[T]) -> Stored[T]:
    if not isinstance(stored, Stored):
        raise InvalidTypeError(f"it takes what is Stored, not {type(stored).__name__}")
    return stored
