"""Changes of documents of a model."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Generic, TypeVar

from aiocouch._wire.codec import encode
from aiocouch.changes import (
    ChangedEvent,
    DeletedEvent,
    EventFeed,
    FollowedChange,
    FollowedDeletion,
    Follower,
)
from aiocouch.changes.follower import follow_changes
from aiocouch.models.stored import Stored

if TYPE_CHECKING:
    from collections.abc import Callable

    from aiocouch.changes.ledger import Ledger
    from aiocouch.database import Database
    from aiocouch.models.shape import Shape
    from aiocouch.typing import JsonDict

__all__ = ["ChangedValue", "FollowedValue", "ValueFeed", "feed_of", "follower_of"]

T = TypeVar("T")
_FILTERS = ("filter", "doc_ids", "view")


class ChangedValue(ChangedEvent, Generic[T]):
    """A document of a model was created or changed. `stored` is the document as it came with the event."""

    stored: Stored[T]

    @property
    def value(self) -> T:
        """The content. Raise `MisfitError` when the document does not fit the model."""
        return self.stored.value


class FollowedValue(FollowedChange, Generic[T]):
    """A document of a model was created or changed; given by a follower. `stored` is the document."""

    stored: Stored[T]

    @property
    def value(self) -> T:
        """The content. Raise `MisfitError` when the document does not fit the model."""
        return self.stored.value


class ValueFeed(EventFeed[ChangedValue[T] | DeletedEvent], Generic[T]):
    """The feed of `Collection.changes`."""


class _Maker(Generic[T]):
    """Makes events of rows. `fits` tells whether an event is to be given, or raises."""

    def __init__(self, shape: Shape[T], fits: Callable[[Stored[T]], bool]) -> None:
        self._shape = shape
        self._fits = fits

    def changed(self, row: JsonDict, database: Database) -> ChangedValue[T] | None:
        """Return an event of a feed."""
        stored = self._stored(row, database)
        return None if stored is None else ChangedValue(row, database, stored)

    def followed(
        self, row: JsonDict, database: Database, ledger: Ledger, place: int
    ) -> FollowedValue[T] | None:
        """Return an event of a follower."""
        stored = self._stored(row, database)
        return None if stored is None else FollowedValue(row, database, ledger, place, stored)

    def _stored(self, row: JsonDict, database: Database) -> Stored[T] | None:
        """Return the document of a row; None when it is passed over."""
        id, doc, shape = row["id"], row.get("doc"), self._shape
        if id.startswith("_design/"):
            return None
        # One that is nested too deep comes without, and is not one to pass over.
        if doc is not None and shape.types and doc.get(shape.type_field) not in shape.types:
            return None
        stored = Stored(shape, database, id, encode(doc))
        return stored if self._fits(stored) else None


def feed_of(
    database: Database, shape: Shape[T], options: JsonDict, fits: Callable[[Stored[T]], bool]
) -> ValueFeed[T]:
    """Return the changes of the documents of a shape."""
    return ValueFeed(database, _selected(shape, options), _Maker(shape, fits).changed)


def follower_of(
    database: Database, shape: Shape[T], options: JsonDict, fits: Callable[[Stored[T]], bool]
) -> Follower[FollowedValue[T] | FollowedDeletion]:
    """Return what follows the changes of the documents of a shape."""
    return follow_changes(database, _selected(shape, options), _Maker(shape, fits).followed)


def _selected(shape: Shape[Any], options: JsonDict) -> JsonDict:
    """Return the options, so that the server leaves out other documents where it can.

    A deletion has no type any more, so all of them come.
    """
    options = {**options, "include_docs": True}
    if not shape.types or any(options.get(name) is not None for name in _FILTERS):
        return options
    mine = {"$or": [{shape.type_field: {"$in": shape.types}}, {"_deleted": True}]}
    own = options.get("selector")
    return {**options, "selector": mine if own is None else {"$and": [mine, own]}}
