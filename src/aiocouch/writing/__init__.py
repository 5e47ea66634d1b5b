"""Documents of a stream of any length, written while it is read."""

from aiocouch._hints import complete as _complete
from aiocouch.writing.outcome import WriteOutcome, WriteProgress
from aiocouch.writing.writer import BulkWriter, StreamOptions, WriteOptions

__all__ = ["BulkWriter", "StreamOptions", "WriteOptions", "WriteOutcome", "WriteProgress"]

_complete("aiocouch")
