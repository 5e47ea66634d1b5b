"""Mapping documents in JavaScript, a portion at a time."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aiocouch.embedded.javascript.protocol import Mapped, Mapping

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from aiocouch.embedded.javascript.pool import Unit
    from aiocouch.embedded.javascript.queryserver import QueryServer
    from aiocouch.embedded.views.definition import Definition
    from aiocouch.embedded.views.index import Document

_BUDGET = 1000
_PORTION_BYTES = 2 * 1024 * 1024


class ScriptMapper:
    """Maps documents with the map functions of a design document."""

    def __init__(self, queries: QueryServer, unit: Unit, definition: Definition) -> None:
        self._queries = queries
        self._unit = unit
        self._raw = [tree.raw for tree in definition.trees]
        self._partitioned = definition.partitioned

    async def __call__(self, documents: Sequence[Document]) -> Mapped:
        """Return the rows of all documents."""
        total = Mapped(0, [[] for _ in self._raw], [])
        for portion in _portions(documents):
            done = 0
            while done < len(portion):
                mapped = await self._map(portion[done:])
                done += mapped.done
                _append(total, mapped)
        return total

    async def _map(self, documents: Sequence[Document]) -> Mapped:
        ids = [document.id for document in documents]
        mapping = Mapping(ids, self._raw, self._partitioned, _BUDGET)
        return await self._queries.map(self._unit, [each.text for each in documents], mapping)


def _append(total: Mapped, mapped: Mapped) -> None:
    total.done += mapped.done
    total.references += mapped.references
    for rows, more in zip(total.rows, mapped.rows, strict=True):
        rows.extend(more)


def _portions(documents: Sequence[Document]) -> Iterator[Sequence[Document]]:
    start = size = 0
    for at, document in enumerate(documents):
        if size and size + len(document.text) > _PORTION_BYTES:
            yield documents[start:at]
            start, size = at, 0
        size += len(document.text)
    if start < len(documents):
        yield documents[start:]
