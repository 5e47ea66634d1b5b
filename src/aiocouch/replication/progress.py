"""The numbers of a replication that runs."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(slots=True)
class Counts:
    """What one session has done so far, with the names that replication logs use."""

    missing_checked: int = 0
    missing_found: int = 0
    docs_read: int = 0
    docs_written: int = 0
    doc_write_failures: int = 0
    bulk_get_docs: int = 0
    bulk_get_attempts: int = 0

    def go_on(self, session: Mapping[str, Any]) -> None:
        """Start from the numbers of the session before, as its log entry tells them."""
        for field in fields(self):
            value = session.get(field.name)
            if isinstance(value, int):
                setattr(self, field.name, value)

    def __add__(self, other: Counts) -> Counts:
        theirs = other.for_log()
        return Counts(**{name: number + theirs[name] for name, number in self.for_log().items()})

    def __sub__(self, other: Counts) -> Counts:
        theirs = other.for_log()
        return Counts(**{name: number - theirs[name] for name, number in self.for_log().items()})

    def for_log(self) -> dict[str, int]:
        """Return the members of a session in a replication log."""
        return asdict(self)


@dataclass(slots=True)
class Progress:
    """Where a replication stands. Sequences are those of the source, 0 before the first."""

    counts: Counts
    through_seq: Any = 0
    checkpointed_seq: Any = 0
    pending: int | None = None

    def places(self) -> dict[str, Any]:
        """Return how far it has read the source, and how far it has copied."""
        through = self.through_seq or "0"
        return {"source_seq": through, "through_seq": through}

    def info(self) -> dict[str, Any]:
        """Return `info` as `_scheduler/docs` and `_replication_stats` show it."""
        counts = self.counts
        return {
            "revisions_checked": counts.missing_checked,
            "missing_revisions_found": counts.missing_found,
            "docs_read": counts.docs_read,
            "docs_written": counts.docs_written,
            "changes_pending": self.pending or None,
            "doc_write_failures": counts.doc_write_failures,
            "bulk_get_docs": counts.bulk_get_docs,
            "bulk_get_attempts": counts.bulk_get_attempts,
            "checkpointed_source_seq": self.checkpointed_seq or "0",
        }
