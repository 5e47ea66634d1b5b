"""Documents of one shape: msgspec Structs, dataclasses, pydantic models and TypedDicts.

`Database.collection` makes a `Collection`, whose documents are `Stored`.
"""

from aiocouch._hints import complete as _complete
from aiocouch.misfit import MisfitError
from aiocouch.models.changes import ChangedValue, FollowedValue, ValueFeed
from aiocouch.models.collection import Collection, OnMisfit, ValueChange
from aiocouch.models.stored import Stored

__all__ = [
    "ChangedValue",
    "Collection",
    "FollowedValue",
    "MisfitError",
    "OnMisfit",
    "Stored",
    "ValueChange",
    "ValueFeed",
]

_complete(
    "aiocouch.models",
    *("aiocouch.typing", "aiocouch.document", "aiocouch.database"),
    *("aiocouch.edits", "aiocouch.writing", "aiocouch.writing.writer"),
    *("aiocouch.changes", "aiocouch.changes.follower", "aiocouch.changes.ledger"),
)
