"""From documents as sent to documents on disk: who may, what is valid, which revision they get."""

from __future__ import annotations

import asyncio
import itertools
import re
from typing import TYPE_CHECKING, Any, NamedTuple

from aiocouch._wire.revision import format_revision, next_revision_of
from aiocouch.embedded.codec import decode, encode_body
from aiocouch.embedded.documents.attachment import decode_list, stub_member
from aiocouch.embedded.documents.edits import with_lucene_versions
from aiocouch.embedded.documents.partitions import check_partition_of
from aiocouch.embedded.documents.sent_attachments import (
    Follows,
    MissingStubError,
    resolve_attachments,
)
from aiocouch.embedded.errors import CouchError, conflict, insufficient_storage, internal
from aiocouch.embedded.identity import SYSTEM, is_database_admin
from aiocouch.embedded.store.new_revisions import (
    NewRevision,
    base_of,
    put,
    read_entry,
    store,
    store_local,
    store_together,
)
from aiocouch.embedded.store.partition_sizes import full_partitions, makes_larger
from aiocouch.embedded.store.records import render
from aiocouch.embedded.who.access import not_database_admin

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Sequence

    from aiocouch._wire.revision import AttachmentDigest, Rev
    from aiocouch.embedded.documents.attachment import Attachment
    from aiocouch.embedded.documents.edits import Edit
    from aiocouch.embedded.documents.sent_attachments import SentAttachment
    from aiocouch.embedded.hooks import Hooks
    from aiocouch.embedded.identity import User
    from aiocouch.embedded.node.config import Configuration
    from aiocouch.embedded.store.database import Database
    from aiocouch.embedded.store.records import Entry, Revision

    Resolved = list[tuple[Attachment, bytes | None]]

_SLICE = 500
_DIGITS = re.compile(rb"[+-]?[0-9]+")
_NO_NUMBER = 1 << 62
_PARTITION_SIZE = 10 << 30


class Outcome(NamedTuple):
    """What became of one document: its new revision, or why it was not written."""

    id: str
    rev: str
    error: CouchError | None = None


class _LocalRevision(NamedTuple):
    """A `_local` document that is ready to be written; `body` None removes it."""

    id: str
    rev: int
    body: bytes | None


_Ready = NewRevision | _LocalRevision | CouchError


class _Limits(NamedTuple):
    """How large things may be, in bytes; None: without a limit, a partition by 0."""

    attachment: int | None
    id: int | None
    partition: int


def _limits(config: Configuration) -> _Limits:
    return _Limits(
        config.limit("couchdb", "max_attachment_size", 1 << 30),
        config.limit("couchdb", "max_document_id_length", None),
        config.limit("couchdb", "max_partition_size", _PARTITION_SIZE) or 0,
    )


class Update:
    """One request to write documents into a database.

    `replicated`: the documents bring their revisions along (`new_edits=false`), nothing is a
    conflict.
    """

    def __init__(
        self,
        hooks: Hooks,
        config: Configuration,
        database: Database,
        user: User,
        *,
        replicated: bool = False,
    ) -> None:
        self._database = database
        self._user = user
        self._replicated = replicated
        self._hooks = hooks
        limits = config.derived(_limits)
        self._largest_attachment = limits.attachment
        self._longest_id = None if user == SYSTEM else limits.id
        self._before_write = hooks.of(hooks.before_write, database.name)
        self._must_check = hooks.must_check(database)
        self._largest_partition = limits.partition if database.partitioned and not replicated else 0
        self._is_strict = False

    async def run(self, edits: Sequence[Edit]) -> list[Outcome]:
        """Write documents and give one outcome for each, in order.

        An error of one document does not stop the others, save for what CouchDB answers for the
        whole request: that is raised, before anything is written. When this returns, what was
        written is on disk.
        """
        self._refuse(edits)
        if not self._replicated and self._hooks.disk_is_full():
            return [Outcome(edit.id, "", insufficient_storage()) for edit in edits]
        self._is_strict = self._looks_closely(edits)
        if len(edits) == 1:
            return await self._run_slice(edits)
        # in the order of ids, as CouchDB numbers the changes of one request
        places = sorted(range(len(edits)), key=lambda place: edits[place].id)
        slices = [places[start : start + _SLICE] for start in range(0, len(places), _SLICE)]
        outcomes: dict[int, Outcome] = {}
        for some, done in zip(slices, await self._run_slices(edits, slices), strict=True):
            outcomes.update(zip(some, done, strict=True))
        return [outcomes[place] for place in range(len(edits))]

    async def _run_slices(
        self, edits: Sequence[Edit], slices: list[list[int]]
    ) -> list[list[Outcome]]:
        jobs = [self._run_slice([edits[place] for place in some]) for some in slices]
        return await asyncio.gather(*jobs) if len(jobs) > 1 else [await job for job in jobs]

    async def write(self, edit: Edit) -> Outcome:
        """Write one document; what is wrong with it is raised."""
        outcome = (await self.run([edit]))[0]
        if outcome.error is not None:
            raise outcome.error
        return outcome

    def _refuse(self, edits: Sequence[Edit]) -> None:
        if self._database.partitioned:
            for edit in edits:
                check_partition_of(edit.id)
        if self._longest_id is not None and any(
            len(edit.id.encode()) > self._longest_id for edit in edits
        ):
            raise CouchError(400, "illegal_docid", "Document id is too long")
        for edit in edits:
            for item in edit.members:
                self._refuse_attachment(item)

    def _refuse_attachment(self, item: SentAttachment | Follows) -> None:
        # bytes that were to follow in a multipart body, which this request has not
        if isinstance(item, Follows):
            raise internal("function_clause")
        largest = self._largest_attachment
        if item.content is not None and largest is not None and item.content.length > largest:
            raise CouchError(413, "attachment_too_large", item.name)

    def _is_simple(self, edit: Edit) -> bool:
        """Return whether nothing is to be found out before the transaction."""
        if edit.id[:1] == "_" or edit.members or self._replicated or self._largest_partition > 0:
            return False
        return not self._must_check and self._before_write is None

    async def _run_simple(self, edit: Edit) -> Outcome:
        # those who come now may share the transaction
        await asyncio.sleep(0)
        return await self._database.write(lambda connection: self._store_simple(connection, edit))

    def _store_simple(self, connection: sqlite3.Connection, edit: Edit) -> Outcome:
        """Read the document that an edit is of, which nobody can change meanwhile, and write it."""
        entry = read_entry(connection, edit.id)
        ready = self._revise_any(edit, entry)
        if isinstance(ready, CouchError):
            return Outcome(edit.id, "", ready)
        self._database.rules_known = True
        put(self._database, connection, entry, ready)
        return Outcome(edit.id, format_revision(ready.rev))

    async def _run_slice(self, edits: Sequence[Edit]) -> list[Outcome]:
        if len(edits) == 1 and self._is_simple(edits[0]):
            return [await self._run_simple(edits[0])]
        ready = await self._ready(edits)

        def job(connection: sqlite3.Connection) -> list[Outcome]:
            fitting = ready
            if self._largest_partition > 0:
                full = self._full_partitions(connection, edits)
                pairs = zip(edits, ready, strict=True)
                fitting = [_within(connection, edit, item, full) for edit, item in pairs]
            if self._replicated and len({edit.id for edit in edits}) < len(edits):
                return self._store_runs(connection, edits, fitting)
            return [
                self._store(connection, edit, item)
                for edit, item in zip(edits, fitting, strict=True)
            ]

        return await self._database.write(job)

    def _full_partitions(
        self, connection: sqlite3.Connection, edits: Sequence[Edit]
    ) -> frozenset[str]:
        ids = [edit.id for edit in edits]
        return full_partitions(self._database, connection, ids, self._largest_partition)

    async def _ready(self, edits: Sequence[Edit]) -> list[_Ready]:
        # All at once: validate functions are asked about many documents in one call.
        watched = [self._prepare(edit) for edit in edits if self._is_watched(edit)]
        prepared = iter(await asyncio.gather(*watched) if watched else ())
        ready = [next(prepared) if self._is_watched(edit) else self._take(edit) for edit in edits]
        await asyncio.sleep(0)
        return ready

    def _is_watched(self, edit: Edit) -> bool:
        """Return whether anybody wants to look at a document before it is written."""
        if edit.is_local:
            return False
        return self._must_check or self._before_write is not None or edit.is_design

    # without anybody looking

    def _take(self, edit: Edit) -> _Ready:
        if edit.is_local:
            return _local_revision(edit)
        return self._revise(edit, self._database.get(edit.id))

    def _revise(self, edit: Edit, entry: Entry | None) -> NewRevision | CouchError:
        ready = self._revise_any(edit, entry)
        if isinstance(ready, NewRevision) and not edit.is_design:
            self._database.rules_known = True
        return ready

    def _revise_any(self, edit: Edit, entry: Entry | None) -> NewRevision | CouchError:
        if self._replicated:
            return self._revise_replicated(edit, entry)
        # a stub that wants what is not there is told of before a conflict
        attachments = self._attached(edit, entry) if edit.members else []
        base = base_of(entry, self._named(edit, entry), deleted=edit.deleted)
        if base is None or (entry is None and base and self._is_strict):
            return conflict()
        parent = base[0] if base else None
        digests = _digests(attachments, counted=entry is None or not entry.deleted)
        rev, plain = next_revision_of(parent, edit.body, deleted=edit.deleted, attachments=digests)
        body = encode_body(edit.body, plain=plain)
        return NewRevision(edit.id, (rev, *base), edit.deleted, body, attachments)

    def _named(self, edit: Edit, entry: Entry | None) -> tuple[Rev, ...]:
        """Return the path that an edit is based on, by what it says.

        Of a deleted document CouchDB, on its shorter way, takes generation 0 for no revision.
        """
        if entry is not None and entry.deleted and edit.revs and not self._is_strict:
            return edit.revs if edit.revs[0][0] else ()
        return edit.revs

    def _attached(self, edit: Edit, entry: Entry | None) -> Resolved:
        """Return the attachments of an edit, none where it is a conflict."""
        if entry is None:
            kept = None
        elif edit.revs:
            if entry.tree.find_leaf(edit.revs[0]) is None:
                return []
            kept = self._database.revision(entry, edit.revs[0])
        elif entry.deleted:
            kept = None
        else:
            return []
        generation = edit.revs[0][0] + 1 if edit.revs else 1
        return _resolve(edit, kept, generation)

    def _looks_closely(self, edits: Sequence[Edit]) -> bool:
        """Return whether CouchDB takes the longer way of its two to write documents.

        It does where validate functions may have to be asked (until it has found that there are
        none), and for design documents and attachments. On that way a revision of an unknown
        document is a conflict, and a replicated document that would be no leaf is left out.
        """
        if self._must_check or not self._database.rules_known:
            return True
        return any(edit.is_design or edit.members for edit in edits)

    def _revise_replicated(self, edit: Edit, entry: Entry | None) -> NewRevision:
        attachments: Resolved = []
        if edit.members:
            attachments = _resolve(edit, self._ancestor(edit, entry), None)
        return NewRevision(
            edit.id,
            edit.revs,
            edit.deleted,
            encode_body(edit.body),
            attachments,
            replicated=True,
            only_leaf=self._is_strict,
        )

    def _ancestor(self, edit: Edit, entry: Entry | None) -> Revision | None:
        """Return the nearest revision in the path whose body is there, the document's own included."""
        for rev in edit.revs if entry is not None else ():
            assert entry is not None
            found = self._database.revision(entry, rev)
            if found is not None:
                return found
        return None

    # with somebody looking

    async def _prepare(self, edit: Edit) -> _Ready:
        # what it refuses is refused with all that came with it
        await self._let_change(edit)
        try:
            entry = self._database.get(edit.id)
            ready = self._revise(edit, entry)
            if isinstance(ready, NewRevision):
                await self._check(edit, ready, entry)
        except CouchError as error:
            if error.error == "missing_stub":
                raise
            return error
        return ready

    async def _let_change(self, edit: Edit) -> None:
        if edit.is_design and not edit.revs and not self._replicated:
            edit.body = with_lucene_versions(edit.body)
        if self._before_write is not None:
            edit.body = await self._before_write(
                self._database, self._user, edit.id, edit.body, edit.deleted
            )

    async def _check(self, edit: Edit, new: NewRevision, entry: Entry | None) -> None:
        if edit.is_design:
            if not is_database_admin(self._user, self._database.security):
                raise not_database_admin(self._user)
            await self._hooks.check_design(self._database, _whole(new, edit))
        elif self._must_check:
            old = self._replaced(new, entry)
            await self._hooks.check(self._database, self._user, _whole(new, edit), old)

    def _replaced(self, new: NewRevision, entry: Entry | None) -> dict[str, Any] | None:
        """Return the document that this one replaces, with its revisions."""
        if entry is None or len(new.path) < 2 or (entry.deleted and not self._replicated):
            return None
        old = self._database.revision(entry, new.path[1])
        if old is None:
            return None
        path = [node.rev for node in entry.tree.ancestry(new.path[1])]
        shown: dict[str, Any] = decode(render(old, [("_revisions", _revisions(path))]))
        return shown

    # in the transaction

    def _store(self, connection: sqlite3.Connection, edit: Edit, ready: _Ready) -> Outcome:
        if isinstance(ready, _LocalRevision):
            store_local(connection, ready.id, ready.rev, ready.body)
            # a replicator is told what it has sent, though the revision was counted up
            told = format_revision(edit.revs[0]) if self._replicated else f"0-{ready.rev}"
            return Outcome(edit.id, told)
        if isinstance(ready, NewRevision) and store(self._database, connection, ready):
            return self._stored(edit, ready)
        if isinstance(ready, NewRevision) or self._is_undecided(ready):
            ready = self._again(connection, edit)
        if isinstance(ready, NewRevision) and store(self._database, connection, ready):
            return self._stored(edit, ready)
        return Outcome(edit.id, "", ready if isinstance(ready, CouchError) else conflict())

    def _store_runs(
        self, connection: sqlite3.Connection, edits: Sequence[Edit], ready: Sequence[_Ready]
    ) -> list[Outcome]:
        """Store revisions of which some are of the same document, those one after the other."""
        outcomes: list[Outcome] = []
        pairs = zip(edits, ready, strict=True)
        for _, group in itertools.groupby(pairs, key=lambda pair: pair[0].id):
            run = list(group)
            news = [item for _, item in run if isinstance(item, NewRevision)]
            if 1 < len(news) == len(run):
                store_together(self._database, connection, news)
                outcomes += [
                    self._stored(edit, new) for (edit, _), new in zip(run, news, strict=True)
                ]
            else:
                outcomes += [self._store(connection, edit, item) for edit, item in run]
        return outcomes

    def _stored(self, edit: Edit, ready: NewRevision) -> Outcome:
        if edit.is_design:
            self._database.rules_known = False
        return Outcome(edit.id, format_revision(ready.rev))

    def _is_undecided(self, error: CouchError) -> bool:
        """Return whether a conflict may be none by now; on its longer way CouchDB decides at once."""
        return error.error == "conflict" and not self._is_strict

    def _again(self, connection: sqlite3.Connection, edit: Edit) -> NewRevision | CouchError:
        """Look at an edit anew whose document has just been written by another one.

        Only one without a revision has a chance: where the document was deleted meanwhile.
        """
        entry = None if edit.revs else read_entry(connection, edit.id)
        if entry is None or not entry.deleted:
            return conflict()
        ready = self._revise(edit, entry)
        return ready if isinstance(ready, NewRevision) else conflict()


def _within(
    connection: sqlite3.Connection, edit: Edit, ready: _Ready, full: frozenset[str]
) -> _Ready:
    """Refuse a revision that takes more room in a partition that is full."""
    if not isinstance(ready, NewRevision) or edit.id.partition(":")[0] not in full:
        return ready
    if not makes_larger(connection, ready):
        return ready
    reason = f"Partition limit exceeded due to update on '{edit.id}'"
    return CouchError(403, "partition_overflow", reason)


def _resolve(edit: Edit, parent: Revision | None, generation: int | None) -> Resolved:
    known = [] if parent is None else decode_list(parent.attachments)
    try:
        return resolve_attachments(edit.attachments, known, generation)
    except MissingStubError as error:
        reason = f"Invalid attachment stub in {edit.id} for {error.name}"
        raise CouchError(412, "missing_stub", reason) from error


def _digests(attachments: Resolved, *, counted: bool) -> list[AttachmentDigest | None]:
    """Return what the revision id takes of attachments.

    CouchDB cannot read them any more (not `counted`) when it finds that a document is written on
    top of a deleted one. For the same reason their `revpos` stays 1.
    """
    if not counted:
        return [None] * len(attachments)
    return [(item.name, item.content_type, item.md5) for item, _ in attachments]


def _local_revision(edit: Edit) -> _LocalRevision | CouchError:
    """Count up the revision that the edit names, without a look at the one that is there."""
    if edit.deleted:
        return _LocalRevision(edit.id, 0, None)
    number = 0
    if edit.revs:
        generation, digits = edit.revs[0]
        if generation or (counted := _number(digits)) is None:
            return CouchError(500, "error", "Invalid rev format")
        number = counted
    return _LocalRevision(edit.id, number + 1, encode_body(edit.body))


def _number(digits: bytes) -> int | None:
    """Read a whole number that SQLite can hold, and that can be counted up."""
    number = int(digits) if _DIGITS.fullmatch(digits) else _NO_NUMBER
    return number if abs(number) < _NO_NUMBER else None


def _whole(new: NewRevision, edit: Edit) -> dict[str, Any]:
    """Return a document as validate functions see it.

    An edit has the revision that it is based on, a replicated document its own.
    """
    revs = new.path if new.replicated else edit.revs
    shown: dict[str, Any] = {"_id": edit.id}
    if revs:
        shown["_rev"] = format_revision(revs[0])
    shown |= edit.body
    if new.deleted:
        shown["_deleted"] = True
    if revs:
        shown["_revisions"] = _revisions(revs)
    if new.attachments:
        shown["_attachments"] = {item.name: stub_member(item) for item, _ in new.attachments}
    return shown


def _revisions(path: Sequence[Rev]) -> dict[str, Any]:
    ids = [format_revision(rev).partition("-")[2] for rev in path]
    return {"start": path[0][0], "ids": ids}
