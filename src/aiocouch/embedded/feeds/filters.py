"""The filters of a changes feed: by id, design documents, selector, view, JavaScript function."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Hashable, Sequence

    from aiocouch.embedded.feeds.changes import Leaf
    from aiocouch.embedded.store.database import Database

_FEW, _MANY = 20, 500
_MOMENT = 0.2
"""Seconds in which a filter should have answered about what it was asked at once."""


class ById:
    """Keeps the changes of the documents named (`_doc_ids`)."""

    is_slow = False

    def __init__(self, ids: Sequence[str]) -> None:
        self.key: Hashable = ("ids", frozenset(ids))
        self._ids = ids
        self._wanted = frozenset(ids)

    def ids(self, database: Database) -> Sequence[str] | None:
        """Return the ids: each document is looked up."""
        del database
        return self._ids

    def wants(self, doc_id: str) -> bool:
        """Return whether the id was named."""
        return doc_id in self._wanted

    async def keep(self, leaves: Sequence[Leaf]) -> Sequence[bool]:
        """Keep all leaves of these documents."""
        return [True] * len(leaves)


class DesignDocuments:
    """Keeps the changes of design documents (`_design`)."""

    key: Hashable = "design"
    is_slow = False

    def ids(self, database: Database) -> Sequence[str]:
        """Return the ids of all design documents, deleted ones too."""
        rows = database.reader.execute(
            "SELECT id FROM docs WHERE id >= '_design/' AND id < '_design0'"
        ).fetchall()
        return [row[0] for row in rows]

    def wants(self, doc_id: str) -> bool:
        """Return whether it is a design document."""
        return doc_id.startswith("_design/")

    async def keep(self, leaves: Sequence[Leaf]) -> Sequence[bool]:
        """Keep all their leaves."""
        return [True] * len(leaves)


class ByDocument:
    """Keeps the leaves whose documents, as JSON text, `ask` says yes to.

    `text` makes the text of a leaf. It asks for as many at once as are answered in a moment: what
    asks JavaScript has a limit for each call, and others want to ask as well.
    """

    is_slow = True

    def __init__(
        self,
        ask: Callable[[Sequence[bytes]], Awaitable[Sequence[bool]]],
        text: Callable[[Leaf], bytes],
        key: Hashable,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.key = key
        self._ask = ask
        self._clock = clock
        self._text = text
        self._at_once = _FEW

    def ids(self, database: Database) -> Sequence[str] | None:
        """Look at all documents."""
        del database
        return None

    def wants(self, doc_id: str) -> bool:
        """Return True: any document may pass."""
        del doc_id
        return True

    async def keep(self, leaves: Sequence[Leaf]) -> Sequence[bool]:
        """Ask about the leaves, some at a time."""
        answers: list[bool] = []
        while len(answers) < len(leaves):
            some = leaves[len(answers) : len(answers) + self._at_once]
            begun = self._clock()
            answers += await self._ask([self._text(leaf) for leaf in some])
            self._pace(len(some), self._clock() - begun)
        return answers

    def _pace(self, asked: int, seconds: float) -> None:
        fitting = int(asked * _MOMENT / max(seconds, 0.001))
        self._at_once = max(1, min(fitting, 4 * self._at_once, _MANY))
