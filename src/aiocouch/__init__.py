"""The asyncio client for Apache CouchDB."""

from importlib import import_module as _import_module
from typing import TYPE_CHECKING

from aiocouch._hints import complete as _complete
from aiocouch._transport.policy import Failure, RetryPolicy
from aiocouch.attachment import Attachment
from aiocouch.bulk import BulkCreateOperation, BulkOperation, BulkUpdateOperation
from aiocouch.couchdb import CouchDB
from aiocouch.database import Database
from aiocouch.document import Document, SecurityDocument
from aiocouch.exception import (
    AccountLockedError,
    BadRequestError,
    ConflictError,
    CouchDBError,
    DigestError,
    ExpectationFailedError,
    ForbiddenError,
    InvalidInputError,
    InvalidTypeError,
    NotFoundError,
    PreconditionFailedError,
    RemoteResponseError,
    SessionClosedError,
    TransportError,
    TruncatedError,
    UnauthorizedError,
    UnexpectedAnswerError,
    UnsupportedMediaTypeError,
)
from aiocouch.view import AllDocsView, View, ViewResponse

if TYPE_CHECKING:
    from aiocouch.conflicts import Conflicted, Leaves
    from aiocouch.design_document import DesignDocument
    from aiocouch.edits import Edit
    from aiocouch.event import BaseChangeEvent, ChangedEvent, DeletedEvent
    from aiocouch.remote import HTTPResponse
    from aiocouch.selector import F, It, Selector, all_of, any_of, none_of
    from aiocouch.writing import BulkWriter, WriteOutcome, WriteProgress

__version__ = "5.0.0.dev0"

__all__ = [
    "AccountLockedError",
    "AllDocsView",
    "Attachment",
    "BadRequestError",
    "BaseChangeEvent",
    "BulkCreateOperation",
    "BulkOperation",
    "BulkUpdateOperation",
    "BulkWriter",
    "ChangedEvent",
    "ConflictError",
    "Conflicted",
    "CouchDB",
    "CouchDBError",
    "Database",
    "DeletedEvent",
    "DesignDocument",
    "DigestError",
    "Document",
    "Edit",
    "ExpectationFailedError",
    "F",
    "Failure",
    "ForbiddenError",
    "HTTPResponse",
    "InvalidInputError",
    "InvalidTypeError",
    "It",
    "Leaves",
    "NotFoundError",
    "PreconditionFailedError",
    "RemoteResponseError",
    "RetryPolicy",
    "SecurityDocument",
    "Selector",
    "SessionClosedError",
    "TransportError",
    "TruncatedError",
    "UnauthorizedError",
    "UnexpectedAnswerError",
    "UnsupportedMediaTypeError",
    "View",
    "ViewResponse",
    "WriteOutcome",
    "WriteProgress",
    "all_of",
    "any_of",
    "none_of",
]

if not TYPE_CHECKING:
    # Loaded when they are first used.
    _LATE = {
        **dict.fromkeys(("BaseChangeEvent", "ChangedEvent", "DeletedEvent"), "event"),
        **dict.fromkeys(("BulkWriter", "WriteOutcome", "WriteProgress"), "writing"),
        **dict.fromkeys(("Conflicted", "Leaves"), "conflicts"),
        "DesignDocument": "design_document",
        "Edit": "edits",
        **dict.fromkeys(("F", "It", "Selector", "all_of", "any_of", "none_of"), "selector"),
        "HTTPResponse": "remote",
    }
    # Modules that `import aiocouch` has always brought along.
    _ROOMS = ("auth", "changes", "design_document", "event", "hooks", "mango", "remote", "selector")

    def __getattr__(name: str) -> object:
        if name in _ROOMS:
            return _import_module(f"{__name__}.{name}")
        if name not in _LATE:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        module = _import_module(f"{__name__}.{_LATE[name]}")
        found = globals()[name] = getattr(module, name)
        return found

    def __dir__() -> list[str]:
        return sorted({*globals(), *_LATE, *_ROOMS})


_complete("aiocouch")
