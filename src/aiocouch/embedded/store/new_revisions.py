"""How a document's new revision goes into the tables. Runs inside a write transaction."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from aiocouch._wire.revision import Rev, format_revision
from aiocouch.embedded.documents.attachment import encode_list
from aiocouch.embedded.documents.edits import DESIGN
from aiocouch.embedded.documents.revtree import Growing, RevTree
from aiocouch.embedded.errors import CouchError
from aiocouch.embedded.store import attachments
from aiocouch.embedded.store.records import Entry, Revision

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Sequence

    from aiocouch.embedded.documents.attachment import Attachment
    from aiocouch.embedded.documents.revtree import Node
    from aiocouch.embedded.store.database import Counters, Database

_DOC = "seq, id, rev, deleted, body, attachments, tree"
_SELECT = f"SELECT {_DOC} FROM docs WHERE id = ?"
_INSERT = "INSERT INTO docs VALUES (?, ?, ?, ?, ?, ?, ?)"
_DELETE = "DELETE FROM docs WHERE seq = ?"
_TAKE_REV = "DELETE FROM revs WHERE seq = ? RETURNING rev, deleted, body, attachments"
_INSERT_REV = "INSERT OR REPLACE INTO revs VALUES (?, ?, ?, ?, ?)"


_HASH = 16


class NewRevision(msgspec.Struct):
    """A revision that is ready to be written.

    `path` has the revision itself and then what it descends from, newest first. `attachments`
    come with their bytes where these are not in the store yet. `only_leaf`: a replicated revision
    is left out unless it becomes a leaf.
    """

    id: str
    path: tuple[Rev, ...]
    deleted: bool
    body: bytes
    attachments: Sequence[tuple[Attachment, bytes | None]] = ()
    replicated: bool = False
    only_leaf: bool = False

    @property
    def rev(self) -> Rev:
        """The revision itself."""
        return self.path[0]


def base_of(entry: Entry | None, revs: tuple[Rev, ...], deleted: bool) -> tuple[Rev, ...] | None:
    """Return the path that an interactive edit extends, () for a new document, None: a conflict.

    A deleted document is written anew on top of its winner, and only by an edit without a
    revision; any other edit must be based on a leaf.
    """
    if entry is None:
        return revs
    if entry.deleted:
        return None if revs or deleted else (entry.tree.winner.rev,)
    if not revs or not (_is_winner(entry, revs[0]) or entry.tree.find_leaf(revs[0])):
        return None
    return revs[:1]


def _is_winner(entry: Entry, rev: Rev) -> bool:
    """Return whether it is the winner, by its text, where only one revision has that."""
    generation, digest = rev
    return len(digest) == _HASH and f"{generation}-{digest.hex()}" == entry.rev


def read_entry(connection: sqlite3.Connection, doc_id: str) -> Entry | None:
    """Return a document as the running transaction sees it."""
    row = connection.execute(_SELECT, (doc_id,)).fetchone()
    return None if row is None else Entry._make(row)


def store(database: Database, connection: sqlite3.Connection, new: NewRevision) -> bool:
    """Write a revision; False when it conflicts with what was written in the meantime.

    A replicated revision that is known already is left alone.
    """
    entry = read_entry(connection, new.id)
    if not new.replicated and not _still_fits(entry, new):
        return False
    put(database, connection, entry, new)
    return True


def put(
    database: Database, connection: sqlite3.Connection, entry: Entry | None, new: NewRevision
) -> None:
    """Write a revision that fits the document, `entry`, as the running transaction sees it."""
    seq = database.pending.update_seq + 1
    tree = _grown(entry, new, seq, database.revs_limit)
    if tree is None:
        return
    saved = _save(database, connection, new) if new.attachments else ()
    columns = (format_revision(new.rev), int(new.deleted), new.body, encode_list(saved))
    if entry is not None:
        database.snapshots.replaced(entry, seq)
    _write(database, connection, entry, tree, Revision(seq, new.id, *columns))
    database.pending.update_seq = seq
    _note_design(database, new.id)


def _note_design(database: Database, id: str) -> None:
    if id.startswith(DESIGN):
        database.designs.touched()


def store_together(
    database: Database, connection: sqlite3.Connection, news: Sequence[NewRevision]
) -> None:
    """Write replicated revisions of one document, as `store` does with one after the other.

    The tree of a document with many leaves takes long to sort and to write: here it is done once.
    """
    first, *others = news
    store(database, connection, first)
    entry = read_entry(connection, first.id)
    if entry is None:  # the first one was left out
        for new in others:
            store(database, connection, new)
        return
    growing = Growing(entry.tree)
    added = _add(database, connection, growing, others)
    if added:
        database.snapshots.replaced(entry, min(added))
        tree = growing.tree().stem(database.revs_limit)
        _write_together(database, connection, entry, tree, added)
        _note_design(database, first.id)


def _add(
    database: Database,
    connection: sqlite3.Connection,
    growing: Growing,
    news: Sequence[NewRevision],
) -> dict[int, Revision]:
    """Merge revisions into a tree; return those that were not known, by their numbers."""
    added: dict[int, Revision] = {}
    for new in news:
        seq = database.pending.update_seq + 1
        path, deleted = new.path, new.deleted
        if growing.merge(path, deleted=deleted, pointer=seq, only_leaf=new.only_leaf) is None:
            continue
        saved = _save(database, connection, new) if new.attachments else ()
        columns = (format_revision(new.rev), int(new.deleted), new.body, encode_list(saved))
        added[seq] = Revision(seq, new.id, *columns)
        database.pending.update_seq = seq
    return added


def _save(database: Database, connection: sqlite3.Connection, new: NewRevision) -> list[Attachment]:
    if new.replicated:
        # a compaction may have come in between, when a stub meant a revision that is not a leaf
        kept = (item.blob for item, data in new.attachments if data is None)
        if not attachments.are_there(connection, kept):
            raise CouchError(412, "missing_stub", f"Invalid attachment stub in {new.id}")
    return attachments.save(connection, new.attachments, database.uploads)


def _still_fits(entry: Entry | None, new: NewRevision) -> bool:
    base = new.path[1:]
    if entry is None:
        return True
    if not base:
        return False
    if entry.deleted:
        return not new.deleted and entry.tree.winner.rev == base[0]
    return entry.tree.find_leaf(base[0]) is not None


def _grown(entry: Entry | None, new: NewRevision, seq: int, limit: int) -> RevTree | None:
    """Return the tree with the new revision in it, None when a replicated one is known."""
    if entry is None:
        tree = RevTree.from_path(new.path, deleted=new.deleted, pointer=seq)
    elif new.replicated:
        before = entry.tree
        tree, _ = before.merge(new.path, deleted=new.deleted, pointer=seq)
        if tree is before or (new.only_leaf and not _is_new_leaf(before, tree, new.rev)):
            return None
    else:
        tree = entry.tree.append(new.path[1], new.rev, deleted=new.deleted, pointer=seq)
    return tree.stem(limit)


def _is_new_leaf(before: RevTree, after: RevTree, rev: Rev) -> bool:
    return before.find_leaf(rev) is None and after.find_leaf(rev) is not None


def _write(
    database: Database,
    connection: sqlite3.Connection,
    entry: Entry | None,
    tree: RevTree,
    new: Revision,
) -> None:
    """Put a new revision and the tree it is in where they belong."""
    winner = tree.winner
    if winner.pointer == new.seq:
        shown = new
        _retire(connection, entry)
    else:
        assert entry is not None
        _keep(connection, new)
        shown = _promote(connection, entry, winner)
    blob = None if entry is None and tree.is_one else tree.dump()
    connection.execute(_INSERT, (new.seq, new.id, *shown[2:], blob))
    recount(database.pending, entry, shown)


def _write_together(
    database: Database,
    connection: sqlite3.Connection,
    entry: Entry,
    tree: RevTree,
    added: dict[int, Revision],
) -> None:
    """Put new revisions of a document and the tree they are in where they belong."""
    winner, last = tree.winner, max(added)
    shown = added.pop(winner.pointer, None)
    if shown is None:
        shown = _promote(connection, entry, winner)
    else:
        _retire(connection, entry)
    for revision in added.values():
        _keep(connection, revision)
    connection.execute(_INSERT, (last, entry.id, *shown[2:], tree.dump()))
    recount(database.pending, entry, shown)


def _keep(connection: sqlite3.Connection, revision: Revision) -> None:
    """Put a revision that is not the winner among the others."""
    connection.execute(_INSERT_REV, (revision.seq, *revision[2:]))


def _retire(connection: sqlite3.Connection, entry: Entry | None) -> None:
    """Make room for the row of a document; its winner goes among the others."""
    if entry is not None:
        _keep(connection, entry.winner)
        connection.execute(_DELETE, (entry.seq,))


def _promote(connection: sqlite3.Connection, entry: Entry, winner: Node) -> Revision:
    """Return the winner that was there before, and make room for the row of the document."""
    old = entry.winner
    if winner.pointer == old.seq:
        connection.execute(_DELETE, (entry.seq,))
        return old
    _retire(connection, entry)
    row = connection.execute(_TAKE_REV, (winner.pointer,)).fetchone()
    return Revision(winner.pointer, entry.id, *row)


def recount(counters: Counters, before: Entry | None, after: Revision | Entry | None) -> None:
    """Bring the numbers of a database up to date after one document changed."""
    for record, step in ((before, -1), (after, 1)):
        if record is None:
            continue
        counters.external_size += step * len(record.body)
        if record.deleted:
            counters.deleted_count += step
        else:
            counters.doc_count += step


def store_local(
    connection: sqlite3.Connection, doc_id: str, revision: int, body: bytes | None
) -> bool:
    """Write a `_local` document, or remove it where `body` is None; False if there was none."""
    if body is None:
        return connection.execute("DELETE FROM locals WHERE id = ?", (doc_id,)).rowcount > 0
    connection.execute("INSERT OR REPLACE INTO locals VALUES (?, ?, ?)", (doc_id, revision, body))
    return True
