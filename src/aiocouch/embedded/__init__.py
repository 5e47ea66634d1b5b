"""A CouchDB in this process: CouchDB 3.5's HTTP API on SQLite."""

from aiocouch.embedded.server import EmbeddedCouchDB
from aiocouch.embedded.store.registry import FolderInUseError
from aiocouch.embedded.store.schema import FormatError

__all__ = ["EmbeddedCouchDB", "FolderInUseError", "FormatError"]
