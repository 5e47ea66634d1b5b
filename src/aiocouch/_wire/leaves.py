"""The leaves of a document: which one wins, and where their branches part. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from aiocouch._wire.revision import Rev, parse_revision

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

Rank = tuple[bool, Rev]


def rank(rev: str, deleted: bool) -> Rank:
    """Return what leaves are compared by: the one with the highest rank is the winner, on every server.

    Live ones come before deleted ones, then the longer history, then the greater hash. Raise
    ValueError for what is not a revision.
    """
    return not deleted, parse_revision(rev)


def history(revisions: Mapping[str, Any]) -> list[str]:
    """Return the revisions that led to a leaf, itself first, out of its `_revisions`.

    The oldest may be missing, for CouchDB keeps a thousand.
    """
    start, ids = revisions["start"], revisions["ids"]
    return [f"{start - at}-{digest}" for at, digest in enumerate(ids)]


def common_ancestor(histories: Iterable[Sequence[str]]) -> str | None:
    """Return the newest revision that is in all histories, None where none is known. Of one: its leaf."""
    first, *others = histories
    known = [frozenset(each) for each in others]
    return next((rev for rev in first if all(rev in each for each in known)), None)
