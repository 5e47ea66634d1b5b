"""Revisions that this program has made, so that two calls do not take the same one for theirs.

Two equal changes of the same revision make the same revision. Of two calls whose answers are lost, each
finds it on the server, but one of them has not made it. Within a program that can be told: whoever comes
second has met a conflict.
"""

from __future__ import annotations

from typing import TYPE_CHECKING
from weakref import WeakValueDictionary

if TYPE_CHECKING:
    from aiocouch.database import Database

__all__ = ["Made", "made_of"]


class Made:
    """The revisions that calls which are under way have made of one document."""

    __slots__ = ("__weakref__", "_revs")

    def __init__(self) -> None:
        self._revs: set[str | None] = set()

    def take(self, rev: str | None) -> bool:
        """Return whether the revision is the caller's: nobody else has taken it."""
        is_new = rev not in self._revs
        self._revs.add(rev)
        return is_new


# They are forgotten when nobody changes the document any more.
_MADE: WeakValueDictionary[tuple[str, str, str], Made] = WeakValueDictionary()


def made_of(database: Database, id: str) -> Made:
    """Return what calls have made of a document, as long as one of them holds it."""
    key = database.remote.url, database.endpoint, id
    made = _MADE.get(key)
    if made is None:
        made = _MADE[key] = Made()
    return made
