"""The JSON indexes of a database, read from its design documents and remembered by revision."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

import msgspec

from aiocouch.embedded.codec import decode
from aiocouch.embedded.mango.definition import ALL_DOCS, LANGUAGE, JsonIndex, indexes_of
from aiocouch.embedded.store.spans import Span, entries
from aiocouch.embedded.views.definition import Definition, define

if TYPE_CHECKING:
    from aiocouch.embedded.store.database import Database
    from aiocouch.embedded.store.records import Entry

__all__ = ["definition_of", "list_indexes"]

_DESIGN = Span("_design/", "_design0", high_open=True)
_MOST = 1_000_000


class _Design(msgspec.Struct):
    rev: str
    body: dict[str, Any]
    indexes: list[JsonIndex]
    definition: Definition | None


_known: WeakKeyDictionary[Database, dict[str, _Design]] = WeakKeyDictionary()


def list_indexes(database: Database) -> list[JsonIndex]:
    """Return all indexes of a database, the special one first."""
    return [ALL_DOCS, *(index for design in _designs(database) for index in design.indexes)]


def definition_of(database: Database, index: JsonIndex) -> Definition:
    """Return the views of the design document of an index that `list_indexes` gave."""
    design = _known[database][index.ddoc or ""]
    if design.definition is None:
        body = design.body
        design.definition = define(body, database_partitioned=database.partitioned)
    return design.definition


def _designs(database: Database) -> list[_Design]:
    before = _known.get(database, {})
    now = {}
    for entry in entries(database.reader, _DESIGN, _MOST):
        known = before.get(entry.id)
        if known is None or known.rev != entry.rev:
            known = _read(entry, database_partitioned=database.partitioned)
        now[entry.id] = known
    _known[database] = now
    return list(now.values())


def _read(entry: Entry, *, database_partitioned: bool) -> _Design:
    body = decode(entry.body)
    indexes = indexes_of(entry.id, body, database_partitioned=database_partitioned)
    # Bodies of other languages may be large, and nobody asks for them.
    return _Design(entry.rev, body if body.get("language") == LANGUAGE else {}, indexes, None)
