"""Purging: revisions that are gone as if they had never been. Runs inside a write transaction."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING

from aiocouch._wire.revision import format_revision, parse_revision
from aiocouch.embedded.codec import decode, encode
from aiocouch.embedded.documents.edits import DESIGN
from aiocouch.embedded.store.new_revisions import recount
from aiocouch.embedded.store.records import Entry, Revision

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Sequence

    from aiocouch._wire.revision import Rev
    from aiocouch.embedded.documents.revtree import RevTree
    from aiocouch.embedded.store.database import Database

_SELECT = "SELECT seq, id, rev, deleted, body, attachments, tree FROM docs WHERE id = ?"
_TAKE_REV = "DELETE FROM revs WHERE seq = ? RETURNING rev, deleted, body, attachments"


def purge(
    database: Database, connection: sqlite3.Connection, doc_id: str, revs: Sequence[Rev]
) -> list[Rev]:
    """Remove those of the revisions that are leaves, and give them.

    The purge gets a number of its own even when there is nothing to remove.
    """
    texts = encode([format_revision(rev) for rev in revs]).decode()
    database.pending.purge_seq += 1
    connection.execute(
        "INSERT INTO purges VALUES (?, ?, ?, ?)",
        (database.pending.purge_seq, secrets.token_hex(16), doc_id, texts),
    )
    row = connection.execute(_SELECT, (doc_id,)).fetchone()
    if row is None:
        return []
    entry = Entry._make(row)
    tree, gone = entry.tree.purge(frozenset(revs))
    if gone:
        database.pending.update_seq += 1
        _replace(database, connection, entry, tree, gone)
    return gone


def _replace(
    database: Database,
    connection: sqlite3.Connection,
    entry: Entry,
    tree: RevTree | None,
    gone: Sequence[Rev],
) -> None:
    seq = database.pending.update_seq
    old = entry.winner
    database.snapshots.replaced(entry, seq)
    shown = None if tree is None else _winner(connection, old, tree)
    for node in entry.tree.nodes:
        if tree is None or (node.rev in gone and node.pointer):
            connection.execute("DELETE FROM revs WHERE seq = ?", (node.pointer,))
    connection.execute("DELETE FROM docs WHERE seq = ?", (entry.seq,))
    if tree is not None and shown is not None:
        connection.execute(
            "INSERT INTO docs VALUES (?, ?, ?, ?, ?, ?, ?)",
            (seq, entry.id, *shown[2:], tree.dump()),
        )
    recount(database.pending, entry, shown)
    if entry.id.startswith(DESIGN):
        database.designs.touched()


def _winner(connection: sqlite3.Connection, old: Revision, tree: RevTree) -> Revision:
    pointer = tree.winner.pointer
    if pointer == old.seq:
        return old
    row = connection.execute(_TAKE_REV, (pointer,)).fetchone()
    return Revision(pointer, old.id, *row)


def trim_purges(connection: sqlite3.Connection, purge_seq: int, limit: int) -> None:
    """Forget all purges but the last ones."""
    connection.execute("DELETE FROM purges WHERE seq <= ?", (purge_seq - limit,))


def purges(reader: sqlite3.Connection) -> list[tuple[str, list[str]]]:
    """Return the purges that are remembered, each once, in order: ids and revisions."""
    rows = reader.execute("SELECT id, revs FROM purges").fetchall()
    once = {(doc_id, tuple(sorted({*map(parse_revision, decode(revs))}))) for doc_id, revs in rows}
    ordered = sorted(once, key=lambda purge: (purge[0].encode(), purge[1]))
    return [(doc_id, [*map(format_revision, revs)]) for doc_id, revs in ordered]
