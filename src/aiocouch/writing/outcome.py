"""What became of the documents of a stream."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import msgspec

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["State", "WriteOutcome", "WriteProgress"]

State: TypeAlias = Literal["written", "skipped", "failed", "unsent", "unknown"]
"""What became of a document."""


class WriteOutcome(msgspec.Struct, frozen=True):
    """What became of one document of a stream.

    `doc` is the document as it was given, or what a function for conflicts has made of it. `id` is its
    id, which was made here when it had none. `state` is

    - "written": `rev` is its revision; with `accepted_only` fewer copies have it than were asked for;
    - "skipped": nothing had to be written, `rev` is the revision that is there, where that is known;
    - "failed": the server refused it, `error` and `reason` have CouchDB's words ("conflict");
    - "unsent": it was not written, because the stream ended before its turn;
    - "unknown": no answer came, and what the server has does not tell; or the loop was left before.

    What a loop that ended early has not seen is in `BulkWriter.left`.
    """

    doc: Mapping[str, Any] | str | bytes
    id: str
    state: State
    rev: str | None = None
    error: str | None = None
    reason: str | None = None
    accepted_only: bool = False

    @property
    def ok(self) -> bool:
        """Whether the document is as it should be: it was written, or did not have to be."""
        return self.state in ("written", "skipped")


@dataclass
class WriteProgress:
    """How far a stream has been written.

    `taken` documents were read from it, and `written`, `skipped` and `failed` are the states of those that
    are done (`failed` counts "unknown", too). `requests` were sent (`POST /{db}/_bulk_docs`) with so many
    `bytes` of documents.
    """

    taken: int = 0
    written: int = 0
    skipped: int = 0
    failed: int = 0
    requests: int = 0
    bytes: int = 0
