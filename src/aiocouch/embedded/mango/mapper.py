"""Rows of JSON indexes: what the map of a view is to JavaScript, a list of fields is here."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from aiocouch.embedded.codec import decode, encode
from aiocouch.embedded.collation.collation import sort_key
from aiocouch.embedded.errors import CouchError
from aiocouch.embedded.javascript.protocol import Mapped, Row
from aiocouch.embedded.selectors.match import MISSING, compile_selector, get_field
from aiocouch.embedded.selectors.selector import normalize, parse_field

if TYPE_CHECKING:
    from collections.abc import Sequence

    from aiocouch.embedded.selectors.match import Predicate
    from aiocouch.embedded.views.definition import Definition
    from aiocouch.embedded.views.index import Document

__all__ = ["FieldMapper"]

_pack = msgspec.msgpack.Encoder().encode


class FieldMapper:
    """Maps documents with the indexes of a design document of the language `query`."""

    def __init__(self, definition: Definition) -> None:
        self._trees = [_Tree(decode(tree.map)) for tree in definition.trees]
        self._partitioned = definition.partitioned

    async def __call__(self, documents: Sequence[Document]) -> Mapped:
        """Return the rows of all documents."""
        rows: list[list[Row]] = [[] for _ in self._trees]
        references = [self._add(each.id, decode(each.text), rows) for each in documents]
        return Mapped(len(documents), rows, references)

    def _add(self, doc_id: str, document: dict[str, Any], rows: list[list[Row]]) -> bytes:
        prefix = sort_key(doc_id.partition(":")[0]) if self._partitioned else b""
        places = []
        for number, (tree, found) in enumerate(zip(self._trees, rows, strict=True)):
            values = tree.values(document)
            if values is not None:
                key = prefix + sort_key(values)
                found.append((key, doc_id, 0, encode(values), b"null"))
                places.append((number, key))
        return _pack(places)


class _Tree:
    """One index: its fields, and which documents it takes."""

    def __init__(self, map_: Any) -> None:
        self._paths: list[Sequence[str]] | None = None
        self._matches: Predicate
        try:
            self._paths = [parse_field(field) for field in map_["fields"]]
            chosen = map_.get("partial_filter_selector") or map_.get("selector") or {}
            self._matches = compile_selector(normalize(chosen))
        except (CouchError, TypeError, KeyError):
            # Somebody wrote a design document that is not an index: it has no rows.
            self._paths = None

    def values(self, document: dict[str, Any]) -> list[Any] | None:
        """Return the values of the fields; None for a document that does not belong here."""
        if self._paths is None or not self._wants(document):
            return None
        values = [get_field(document, path) for path in self._paths]
        return None if any(value is MISSING for value in values) else values

    def _wants(self, document: dict[str, Any]) -> bool:
        try:
            return self._matches(document)
        except CouchError:
            return False
