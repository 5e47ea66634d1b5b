"""A CouchDB in this process: CouchDB 3.5.2's HTTP API on SQLite."""

from aiocouch._hints import complete as _complete
from aiocouch.embedded.server import EmbeddedCouchDB
from aiocouch.embedded.store.faults import FormatError, StorageError
from aiocouch.embedded.store.registry import FolderInUseError

__all__ = ["EmbeddedCouchDB", "FolderInUseError", "FormatError", "StorageError"]

_complete("aiocouch.embedded.server", "aiocouch.embedded.state", "aiocouch.couchdb")
