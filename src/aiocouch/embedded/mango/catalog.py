"""The JSON indexes of a database, read from its design documents and remembered by revision."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from aiocouch.embedded.codec import decode
from aiocouch.embedded.mango.definition import ALL_DOCS, LANGUAGE, JsonIndex, indexes_of
from aiocouch.embedded.views.definition import Definition, define

if TYPE_CHECKING:
    from aiocouch.embedded.store.database import Database

__all__ = ["definition_of", "list_indexes"]

_DESIGN = "SELECT id, rev, body FROM docs WHERE id > '_design/' AND id < '_design0' AND NOT deleted"


@dataclass(slots=True)
class _Design:
    rev: str
    body: dict[str, Any]
    indexes: list[JsonIndex]
    definition: Definition | None


_known: WeakKeyDictionary[Database, dict[str, _Design]] = WeakKeyDictionary()


def list_indexes(database: Database) -> list[JsonIndex]:
    """Give all indexes of a database, the special one first."""
    return [ALL_DOCS, *(index for design in _designs(database) for index in design.indexes)]


def definition_of(database: Database, index: JsonIndex) -> Definition:
    """Give the views of the design document of an index that `list_indexes` gave."""
    design = _known[database][index.ddoc or ""]
    if design.definition is None:
        body = design.body
        design.definition = define(body, database_partitioned=database.partitioned)
    return design.definition


def _designs(database: Database) -> list[_Design]:
    before = _known.get(database, {})
    now = {}
    for doc_id, rev, body in database.reader.execute(_DESIGN).fetchall():
        known = before.get(doc_id)
        if known is None or known.rev != rev:
            known = _read(doc_id, rev, decode(body), database_partitioned=database.partitioned)
        now[doc_id] = known
    _known[database] = now
    return list(now.values())


def _read(doc_id: str, rev: str, body: dict[str, Any], *, database_partitioned: bool) -> _Design:
    indexes = indexes_of(doc_id, body, database_partitioned=database_partitioned)
    # Bodies of other languages may be large, and nobody asks for them.
    return _Design(rev, body if body.get("language") == LANGUAGE else {}, indexes, None)
