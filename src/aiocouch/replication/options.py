"""What a replication is to do."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from aiocouch._wire.codec import encode
from aiocouch.replication.patience import DEFAULT_PATIENCE, Patience

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from aiocouch.replication.endpoint import Refused


def _ignore(refused: Refused) -> None:
    del refused


@dataclass(frozen=True, slots=True)
class Options:
    """What to copy, and how. Times are in seconds.

    `window` is the number of batches of `batch_size` changes that are under way at once, `streams` that
    of documents with attachments. `include_docs` lets documents come with the changes where that is all
    there is of them. `record_skipped` notes sequences after which a filter let nothing through.
    """

    continuous: bool = False
    create_target: bool = False
    create_target_params: Mapping[str, Any] = field(default_factory=dict)
    doc_ids: Sequence[str] | None = None
    selector: Mapping[str, Any] | None = None
    filter: str | None = None
    query_params: Mapping[str, Any] = field(default_factory=dict)
    since_seq: Any = None
    use_checkpoints: bool = True
    use_bulk_get: bool = True
    winning_revs_only: bool = False
    batch_size: int = 500
    window: int = 4
    streams: int = 8
    checkpoint_interval: float = 30.0
    heartbeat: float = 10.0
    include_docs: bool = True
    record_skipped: bool = True
    patience: Patience = DEFAULT_PATIENCE
    on_refused: Callable[[Refused], None] = _ignore

    def query(self, since: Any, *, include_docs: bool, waits: bool) -> dict[str, Any]:
        """Return the query of a request for changes, which `waits` for some if there are none."""
        query = {
            "style": "main_only" if self.winning_revs_only else "all_docs",
            "since": _text(since),
            "limit": self.batch_size,
            "feed": "longpoll" if waits else "normal",
        }
        if waits:
            query["heartbeat"] = int(self.heartbeat * 1000)
        if include_docs:
            query["include_docs"] = True
        if self.doc_ids is not None:
            query["filter"] = "_doc_ids"
        elif self.selector is not None:
            query["filter"] = "_selector"
        elif self.filter is not None:
            given = {name: _text(value) for name, value in self.query_params.items()}
            query = {**given, **query, "filter": self.filter}
        return query

    def body(self) -> Mapping[str, Any] | None:
        """Return the body of a request for changes, None for a GET."""
        if self.doc_ids is not None:
            return {"doc_ids": list(self.doc_ids)}
        return None if self.selector is None else {"selector": self.selector}

    @property
    def is_filtered(self) -> bool:
        """Whether some changes are left out."""
        return any(given is not None for given in (self.doc_ids, self.selector, self.filter))


def _text(value: Any) -> str:
    return value if isinstance(value, str) else encode(value).decode()
