"""What is wrong with a dump."""

from __future__ import annotations

from aiocouch.exception import CouchDBError

__all__ = ["BrokenDumpError", "DumpError", "ForeignDumpError", "OccupiedError"]


class DumpError(CouchDBError):
    """A dump cannot be made or read. The message says why, and what to do."""


class BrokenDumpError(DumpError):
    """A dump is not whole, or its text is not what was written."""


class ForeignDumpError(DumpError):
    """What is there is of another database, or was begun with other options."""


class OccupiedError(DumpError):
    """The database has documents already."""
