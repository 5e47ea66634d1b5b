"""Databases in files: `await Dump(db, "books.dump.gz")`, `await Restore(db, "books.dump.gz")`."""

from aiocouch._hints import complete as _complete
from aiocouch.dumping.dump import Dump, DumpProgress
from aiocouch.dumping.errors import BrokenDumpError, DumpError, ForeignDumpError, OccupiedError
from aiocouch.dumping.restore import Restore, RestoreProgress, RestoreResult

__all__ = [
    "BrokenDumpError",
    "Dump",
    "DumpError",
    "DumpProgress",
    "ForeignDumpError",
    "OccupiedError",
    "Restore",
    "RestoreProgress",
    "RestoreResult",
]

_complete("aiocouch")
