"""The asyncio client for Apache CouchDB."""

from importlib import import_module as _import_module
from typing import TYPE_CHECKING

from aiocouch._hints import complete as _complete
from aiocouch._transport.policy import Failure, RetryPolicy
from aiocouch.attachment import Attachment
from aiocouch.bulk import BulkCreateOperation, BulkOperation, BulkUpdateOperation
from aiocouch.couchdb import CouchDB
from aiocouch.database import Database
from aiocouch.design_document import DesignDocument
from aiocouch.document import Document, SecurityDocument
from aiocouch.event import BaseChangeEvent, ChangedEvent, DeletedEvent
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
from aiocouch.remote import HTTPResponse
from aiocouch.selector import F, It, Selector
from aiocouch.view import AllDocsView, View, ViewResponse

if TYPE_CHECKING:
    from aiocouch.conflicts import Conflicted, Leaves
    from aiocouch.edits import Edit
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
]

if not TYPE_CHECKING:
    # Loaded when they are first used.
    _LATE = {
        "BulkWriter": "aiocouch.writing",
        "Conflicted": "aiocouch.conflicts",
        "Edit": "aiocouch.edits",
        "Leaves": "aiocouch.conflicts",
        "WriteOutcome": "aiocouch.writing",
        "WriteProgress": "aiocouch.writing",
    }

    def __getattr__(name: str) -> object:
        if name not in _LATE:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        found = globals()[name] = getattr(_import_module(_LATE[name]), name)
        return found

    def __dir__() -> list[str]:
        return sorted({*globals(), *_LATE})


_complete("aiocouch")
