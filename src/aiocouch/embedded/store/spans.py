"""Ranges of documents by id, read chunk by chunk."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
from msgspec.structs import replace

from aiocouch.embedded.store.records import Entry, Local

if TYPE_CHECKING:
    import sqlite3

CHUNK = 500
_DOC = "seq, id, rev, deleted, body, attachments, tree"
_COUNTED = 20_000


class Span(msgspec.Struct, frozen=True):
    """A range of ids in the order of their bytes; None means no bound, both bounds belong to it."""

    low: str | None = None
    high: str | None = None
    descending: bool = False
    low_open: bool = False
    high_open: bool = False

    def after(self, doc_id: str) -> Span:
        """Return what is left of the range after an id, in its direction."""
        if self.descending:
            return replace(self, high=doc_id, high_open=True)
        return replace(self, low=doc_id, low_open=True)

    def where(self) -> tuple[str, list[str]]:
        """Return a condition of SQL and its values."""
        terms, values = [], []
        if self.low is not None:
            terms.append("id > ?" if self.low_open else "id >= ?")
            values.append(self.low)
        if self.high is not None:
            terms.append("id < ?" if self.high_open else "id <= ?")
            values.append(self.high)
        return " AND ".join(terms) or "1", values

    @property
    def order(self) -> str:
        """The direction as SQL has it."""
        return "DESC" if self.descending else "ASC"


def entries(
    reader: sqlite3.Connection, span: Span, limit: int = CHUNK, skip: int = 0
) -> list[Entry]:
    """Return documents that are not deleted, one chunk."""
    where, values = span.where()
    rows = reader.execute(
        f"SELECT {_DOC} FROM docs INDEXED BY docs_by_id WHERE {where} AND deleted = 0"
        f" ORDER BY id {span.order} LIMIT ? OFFSET ?",
        (*values, limit, skip),
    ).fetchall()
    return list(map(Entry._make, rows))


def documents(
    reader: sqlite3.Connection, span: Span, limit: int = CHUNK, skip: int = 0
) -> list[tuple[str, str, bytes, bytes | None]]:
    """Return documents that are not deleted, one chunk: id, winner, members and attachments.

    The members are the text of the body without its opening brace.
    """
    return _winners("substr(body, 2), attachments", reader, span, limit, skip)


def documents_with_trees(
    reader: sqlite3.Connection, span: Span, limit: int = CHUNK, skip: int = 0
) -> list[tuple[str, str, bytes, bytes | None, bytes | None]]:
    """Return the same with the revision trees."""
    return _winners("substr(body, 2), attachments, tree", reader, span, limit, skip)


def _winners(
    columns: str, reader: sqlite3.Connection, span: Span, limit: int, skip: int
) -> list[Any]:
    where, values = span.where()
    return reader.execute(
        f"SELECT id, rev, {columns} FROM docs INDEXED BY docs_by_id WHERE {where} AND deleted = 0"
        f" ORDER BY id {span.order} LIMIT ? OFFSET ?",
        (*values, limit, skip),
    ).fetchall()


def revs(
    reader: sqlite3.Connection, span: Span, limit: int = CHUNK, skip: int = 0
) -> list[tuple[str, str]]:
    """Return ids and winners of documents that are not deleted, one chunk; reads no document."""
    where, values = span.where()
    return reader.execute(
        f"SELECT id, rev FROM docs WHERE {where} AND deleted = 0"
        f" ORDER BY id {span.order} LIMIT ? OFFSET ?",
        (*values, limit, skip),
    ).fetchall()


def count_chunk(reader: sqlite3.Connection, span: Span) -> tuple[int, str | None]:
    """Count documents that are not deleted; where it stopped early, give the id to go on after."""
    where, values = span.where()
    count, last, seen = reader.execute(
        f"SELECT total(1 - deleted), max(id), count(*) FROM"
        f" (SELECT id, deleted FROM docs WHERE {where} ORDER BY id LIMIT {_COUNTED})",
        values,
    ).fetchone()
    return int(count), last if seen == _COUNTED else None


def locals_(
    reader: sqlite3.Connection, span: Span, limit: int = CHUNK, skip: int = 0
) -> list[Local]:
    """Return `_local` documents, one chunk."""
    where, values = span.where()
    rows = reader.execute(
        f"SELECT id, rev, body FROM locals WHERE {where} ORDER BY id {span.order} LIMIT ? OFFSET ?",
        (*values, limit, skip),
    ).fetchall()
    return list(map(Local._make, rows))
