"""What to ask for next: groups of revisions, and what the next batch will be like. Pure."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from aiocouch.replication.endpoint import Change, Missing

T = TypeVar("T")

MOST_ANCESTORS = 40
"""Ancestors, and revisions, that a URL names: it must not become too long."""

_ALMOST_ALL = 0.95
_MOST = 0.75
_HALF = 0.5
_WEIGHT = 0.5  # of the latest batch
_FEW = 20  # rows of a batch that tell little
_ASK_AGAIN = 10  # batches after which the target is asked again


class Wanted(NamedTuple):
    """Revisions of one document that the target misses, and those of it that it may have."""

    revs: Sequence[str]
    ancestors: Sequence[str]


def leaves_of(changes: Iterable[Change]) -> dict[str, list[str]]:
    """Return the leaves by document id. A document that comes twice is asked for once."""
    leaves: dict[str, dict[str, None]] = {}
    for change in changes:
        leaves.setdefault(change.id, {}).update((leaf.rev, None) for leaf in change.changes)
    return {doc_id: list(revs) for doc_id, revs in leaves.items()}


def wanted_of(missing: Mapping[str, Missing]) -> dict[str, Wanted]:
    """Return what the answer of `_revs_diff` makes us fetch."""
    return {
        doc_id: Wanted(found.missing, youngest(found.possible_ancestors))
        for doc_id, found in missing.items()
        if found.missing
    }


def youngest(revs: Sequence[str]) -> list[str]:
    """Return those revisions of the highest generations that fit into a URL."""
    return sorted(revs, key=generation, reverse=True)[:MOST_ANCESTORS]


def generation(rev: str) -> int:
    """Return the number before the dash of a revision id, 0 where there is none."""
    number = rev.partition("-")[0]
    return int(number) if number.isdecimal() else 0


def groups(items: Iterable[T], size: int) -> list[list[T]]:
    """Return the items in groups of a size, the last one of what is left."""
    everything = list(items)
    return [everything[at : at + size] for at in range(0, len(everything), size)]


def by_size(texts: Iterable[bytes], most: int) -> list[list[bytes]]:
    """Return the texts in groups that have `most` bytes at most, or are of one text."""
    parts: list[list[bytes]] = []
    size = most
    for text in texts:
        if size + len(text) > most or not parts:
            parts.append([])
            size = 0
        parts[-1].append(text)
        size += len(text)
    return parts


class Forecast:
    """What the next batch will be like, judged by those before.

    `missing` is the share of revisions that the target did not have, `whole` that of rows of which a
    row of changes says everything, `attached` that of documents which came with attachments.
    """

    def __init__(self, *, target_is_empty: bool) -> None:
        self.missing = 1.0 if target_is_empty else 0.0
        self.whole = 1.0 if target_is_empty else 0.0
        self.attached = 0.0
        self._since_asked = 0
        self._since_fetched = 0

    def is_to_compare(self) -> bool:
        """Return whether to ask the target what it misses. If it is nearly everything, only now and then."""
        self._since_asked += 1
        if self.missing < _ALMOST_ALL or self._since_asked >= _ASK_AGAIN:
            self._since_asked = 0
            return True
        return False

    def is_to_bulk_get(self) -> bool:
        """Return whether to ask for documents in bulk: not if most have attachments, which come singly."""
        self._since_fetched += 1
        if self.attached < _HALF or self._since_fetched >= _ASK_AGAIN:
            self._since_fetched = 0
            return True
        return False

    def is_to_include(self) -> bool:
        """Return whether the documents should come with the changes."""
        return self.missing * self.whole >= _MOST

    def compared(self, checked: int, missing: int) -> None:
        """Take in how many of some revisions were missing."""
        if checked >= _FEW:
            self.missing = _blend(self.missing, missing / checked)

    def saw(self, rows: int, whole: int) -> None:
        """Take in how many rows said, or could have said, everything."""
        if rows >= _FEW:
            self.whole = _blend(self.whole, whole / rows)

    def fetched(self, documents: int, attached: int) -> None:
        """Take in how many documents had attachments."""
        if documents >= _FEW:
            self.attached = _blend(self.attached, attached / documents)


def _blend(before: float, latest: float) -> float:
    return before + _WEIGHT * (latest - before)


class InOrder:
    """Batches that end in any order, and how far all of them have ended.

    `begin` each with the sequence after it (None: it has none), `end` it by the number that this gave.
    """

    def __init__(self) -> None:
        self._open: deque[tuple[int, Any]] = deque()
        self._ended: set[int] = set()
        self._count = 0

    @property
    def is_done(self) -> bool:
        """Whether all that have begun have ended."""
        return not self._open

    def begin(self, seq: Any) -> int:
        """Note a batch; return its number."""
        self._count += 1
        self._open.append((self._count, seq))
        return self._count

    def end(self, number: int) -> Any:
        """Note that a batch is done; return the sequence that is reached now, None if that is as before."""
        self._ended.add(number)
        reached = None
        while self._open and self._open[0][0] in self._ended:
            first, seq = self._open.popleft()
            self._ended.discard(first)
            reached = reached if seq is None else seq
        return reached
