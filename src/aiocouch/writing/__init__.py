"""Documents of a stream of any length, written while it is read."""

from aiocouch.writing.outcome import WriteOutcome, WriteProgress
from aiocouch.writing.writer import BulkWriter, WriteOptions

__all__ = ["BulkWriter", "WriteOptions", "WriteOutcome", "WriteProgress"]
