"""How large partitions are, and whether a write makes a document larger.

Runs inside a write transaction. Sizes are bytes of JSON text and of attachments as stored.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from aiocouch.embedded.documents.attachment import decode_list
from aiocouch.embedded.documents.partitions import partition_range
from aiocouch.embedded.store.new_revisions import read_entry

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterable

    from aiocouch._wire.revision import Rev
    from aiocouch.embedded.store.database import Database
    from aiocouch.embedded.store.new_revisions import NewRevision
    from aiocouch.embedded.store.records import Entry

_SIZE = "SELECT coalesce(sum(length(body)), 0) FROM docs WHERE NOT deleted AND id >= ? AND id < ?"


def full_partitions(
    database: Database, connection: sqlite3.Connection, ids: Iterable[str], limit: int
) -> frozenset[str]:
    """Return the partitions of documents that hold `limit` bytes or more."""
    if database.pending.external_size < limit:
        return frozenset()  # as all of the database does
    names = {doc_id.partition(":")[0] for doc_id in ids if doc_id[:1] != "_"}
    return frozenset(name for name in names if _size(connection, name) >= limit)


def _size(connection: sqlite3.Connection, partition: str) -> int:
    size: int = connection.execute(_SIZE, partition_range(partition)).fetchone()[0]
    return size


def makes_larger(connection: sqlite3.Connection, new: NewRevision) -> bool:
    """Return whether a document takes more room with its new revision."""
    entry = read_entry(connection, new.id)
    base = new.path[1] if len(new.path) > 1 else None
    before = 0 if entry is None or base is None else _leaf_size(connection, entry, base)
    after = len(new.body) + sum(item.encoded_length for item, _ in new.attachments)
    return after > before


def _leaf_size(connection: sqlite3.Connection, entry: Entry, rev: Rev) -> int:
    body, attachments = entry.body, entry.attachments
    node = entry.tree.find_leaf(rev)
    if node is not None and node.pointer != entry.winner.seq:
        row = connection.execute(
            "SELECT body, attachments FROM revs WHERE seq = ?", (node.pointer,)
        ).fetchone()
        body, attachments = row or (b"", None)
    return len(body) + sum(item.encoded_length for item in decode_list(attachments))
