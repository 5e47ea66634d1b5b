"""Documents of one shape: msgspec Structs, dataclasses, pydantic models and TypedDicts.

`Database.collection` makes a `Collection`, whose documents are `Stored`.
"""

from aiocouch._hints import complete as _complete
from aiocouch.misfit import MisfitError
from aiocouch.models.collection import Collection, OnMisfit, ValueChange
from aiocouch.models.stored import Stored

__all__ = ["Collection", "MisfitError", "OnMisfit", "Stored", "ValueChange"]

_complete(
    "aiocouch.models",
    *("aiocouch.typing", "aiocouch.document", "aiocouch.database"),
    *("aiocouch.edits", "aiocouch.writing", "aiocouch.writing.writer"),
)
