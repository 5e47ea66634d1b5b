"""What was tried and what was acknowledged; and whether a folder has all of it after a kill.

Every document belongs to one client that writes one revision after the other. So a document is
either as it was acknowledged last, or as the one write that was under way would have made it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import msgspec

from aiocouch._wire.revision import parse_revision
from aiocouch.embedded.documents.attachment import decode_list
from aiocouch.embedded.store.attachment_texts import plain_chunks
from aiocouch.embedded.store.registry import Databases

if TYPE_CHECKING:
    from pathlib import Path

    from aiocouch.embedded.store.database import Database
    from aiocouch.embedded.store.records import Entry, Revision

DATABASE = "crash"


@dataclass(frozen=True)
class Content:
    """What a revision holds; `body` None: it is a deletion."""

    body: dict[str, Any] | None
    files: dict[str, bytes] = field(default_factory=dict)


@dataclass
class Document:
    """One document: what it is for sure, what it may be, and all revisions that it must know."""

    sure: Content | None = None
    tried: Content | None = None
    rev: str | None = None
    revs: list[str] = field(default_factory=list)
    leaves: dict[str, Content] = field(default_factory=dict)
    """Further leaves, which compaction must keep."""
    is_purged: bool = False
    may_be_purged: bool = False


class Setting:
    """A setting of the database: one of the values since the last one that is for sure."""

    def __init__(self, value: object) -> None:
        self.possible: list[object] = [value]

    def attempt(self, value: object) -> None:
        self.possible.append(value)

    def acknowledge(self) -> None:
        self.possible = self.possible[-1:]

    def check(self, value: object) -> None:
        """Check that it is one of the possible values; from now on it is sure."""
        assert value in self.possible
        self.possible = [value]


@dataclass
class Ledger:
    """All that clients did in one database."""

    documents: dict[str, Document] = field(default_factory=dict)
    security: Setting = field(
        default_factory=lambda: Setting(
            {"admins": {"roles": ["_admin"]}, "members": {"roles": ["_admin"]}}
        )
    )
    revs_limit: Setting = field(default_factory=lambda: Setting(1000))
    told: list[tuple[int, str, str]] = field(default_factory=list)
    """Rows of the changes feed that clients have got: sequence, id and revision."""
    highest: int = 0
    """The highest sequence that anybody was told."""
    acknowledged: int = 0

    def attempt(self, doc_id: str, content: Content) -> Document:
        """Note a write that is about to be sent."""
        document = self.documents.setdefault(doc_id, Document())
        document.tried = content
        return document

    def acknowledge(self, doc_id: str, rev: str) -> None:
        """Note that the write was answered."""
        document = self.documents[doc_id]
        document.sure, document.tried = document.tried, None
        document.rev = rev
        document.revs.append(rev)
        self.acknowledged += 1

    def hear(self, row: dict[str, Any]) -> None:
        """Note a row of the changes feed, or its end."""
        if "last_seq" in row:
            self.see(number(row["last_seq"]))
            return
        seq = number(row["seq"])
        assert seq > max((seq for seq, _, _ in self.told[-1:]), default=0)
        self.told.append((seq, row["id"], row["changes"][0]["rev"]))
        self.see(seq)

    def see(self, seq: int) -> None:
        """Note a sequence that the server told."""
        self.highest = max(self.highest, seq)

    async def check(self, folder: Path) -> None:
        """Open the folder as the next process would, and compare."""
        databases = Databases(folder)
        try:
            database = databases.open(DATABASE)
            assert database is not None
            check_whole(database)
            self._check_settings(database)
            self._check_told(database)
            for doc_id in list(self.documents):
                self._check_document(database, doc_id)
        finally:
            await databases.close()

    def _check_settings(self, database: Database) -> None:
        assert database.update_seq >= self.highest
        self.security.check(database.security)
        self.revs_limit.check(database.revs_limit)

    def _check_told(self, database: Database) -> None:
        for seq, doc_id, rev in self.told:
            entry = database.get(doc_id)
            if entry is None:
                document = self.documents[doc_id]
                assert document.is_purged or document.may_be_purged, doc_id
            else:
                assert entry.seq >= seq
                assert entry.tree.find(parse_revision(rev)) is not None, (doc_id, rev)
        self.told.clear()

    def _check_document(self, database: Database, doc_id: str) -> None:
        document = self.documents[doc_id]
        entry = database.get(doc_id)
        if entry is None:
            never = document.sure is None and not document.revs
            assert never or document.is_purged or document.may_be_purged, doc_id
            del self.documents[doc_id]
            return
        assert not document.is_purged, doc_id
        check_revisions(database, entry, document)
        found = content_of(database, entry)
        if document.rev == entry.rev:
            assert found == document.sure, doc_id
        else:
            assert document.tried is not None, (doc_id, document.rev, entry.rev)
            assert found == document.tried, doc_id
        document.sure, document.tried, document.rev = found, None, entry.rev
        document.may_be_purged = False


def check_revisions(database: Database, entry: Entry, document: Document) -> None:
    """Check that all acknowledged revisions are known, and further leaves are whole."""
    known = {node.rev for node in entry.tree.nodes}
    assert {parse_revision(rev) for rev in document.revs} <= known, entry.id
    for rev, content in document.leaves.items():
        revision = database.revision(entry, parse_revision(rev))
        assert revision is not None, (entry.id, rev)
        assert content_of(database, revision) == content, (entry.id, rev)


def content_of(database: Database, record: Entry | Revision) -> Content:
    """Read a revision whole, the bytes of its attachments included."""
    files = {
        item.name: b"".join(plain_chunks(database.reader, item))
        for item in decode_list(record.attachments)
    }
    body = None if record.deleted else msgspec.json.decode(record.body)
    return Content(body, files)


def check_whole(database: Database) -> None:
    """Check that the numbers of the database are those of its tables, and the file is sound."""
    reader = database.reader
    assert reader.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    counted = reader.execute("SELECT total(1 - deleted), total(deleted), max(seq) FROM docs")
    alive, deleted, last = counted.fetchone()
    assert (database.doc_count, database.deleted_count) == (alive, deleted)
    assert database.update_seq >= (last or 0)
    # nothing is left of uploads that the kill has cut short
    unfinished = "SELECT count(*) FROM attachment_blobs WHERE key IS NULL"
    assert reader.execute(unfinished).fetchone() == (0,)
    blobs = "SELECT blob FROM attachment_blobs"
    strays = f"SELECT count(*) FROM attachment_chunks WHERE (id >> 24) NOT IN ({blobs})"
    assert reader.execute(strays).fetchone() == (0,)
    twice = "SELECT id FROM docs GROUP BY id HAVING count(*) > 1"
    assert reader.execute(twice).fetchall() == []


def number(seq: object) -> int:
    """Give the number in a sequence."""
    return int(str(seq).partition("-")[0])
