"""Whether a document was written, told from what a server has. Pure: others ask the server.

A write makes a revision whose id CouchDB computes from what was written and from its parent. So a
write whose answer was lost can be looked for, also below what others have written on top of it.
"""

from __future__ import annotations

import hashlib
from base64 import b64decode
from collections.abc import Iterable, Mapping, Sequence
from enum import Enum
from typing import Any

import msgspec

from aiocouch._wire.codec import decode, encode_sorted
from aiocouch._wire.content import md5
from aiocouch._wire.revision import format_revision, next_revision, parse_revision

__all__ = [
    "NOT_DONE",
    "NOT_KNOWN",
    "AttachmentWritten",
    "Outcome",
    "Verdict",
    "Written",
    "judge",
    "leaves_of",
    "read_written",
    "written_of",
]

_OF_A_USER = frozenset(
    {"password", "password_scheme", "pbkdf2_prf", "derived_key", "salt", "iterations", "simple"}
)
_DIGEST = "md5-"

Leaf = Mapping[str, Any]


class Outcome(Enum):
    """What became of a write."""

    DONE = 0
    NOT_DONE = 1
    NOT_KNOWN = 2
    LOOK = 3


class Verdict(msgspec.Struct, frozen=True):
    """An outcome: DONE as revision `revs[0]`; LOOK: one of these revisions may be it, read them."""

    outcome: Outcome
    revs: tuple[str, ...] = ()


NOT_DONE = Verdict(Outcome.NOT_DONE)
NOT_KNOWN = Verdict(Outcome.NOT_KNOWN)


class AttachmentWritten(msgspec.Struct, frozen=True):
    """What is known of an attachment that was written.

    `stored` is the digest of what the server keeps, which may be compressed; `content` is the MD5 of
    what was sent. `is_new`: it was written by itself, and its `revpos` is the new generation.
    """

    content_type: str | None = None
    stored: bytes | None = None
    content: bytes | None = None
    is_new: bool = False


class Written(msgspec.Struct):
    """A document as it was sent: with its parent revision, None for a new one.

    `is_changed`: the server puts in something of its own, so that the revision cannot be computed.
    """

    id: str
    parent: str | None
    body: dict[str, Any]
    deleted: bool = False
    attachments: dict[str, AttachmentWritten] = msgspec.field(default_factory=dict)
    is_changed: bool = False
    ignored: frozenset[str] = frozenset()

    def revision_after(self, parent: str | None, *, is_tombstone: bool = False) -> str | None:
        """Return the revision that it becomes on top of `parent`; None where that cannot be computed."""
        digests: list[tuple[str, str, bytes] | None] = []
        for name, each in self.attachments.items():
            if each.stored is None or each.content_type is None:
                return None
            # CouchDB does not count attachments on top of a deleted document.
            digests.append(None if is_tombstone else (name, each.content_type, each.stored))
        if self.is_changed:
            return None
        try:
            base = None if parent is None else parse_revision(parent)
        except ValueError:
            return None
        revision = next_revision(base, self.body, deleted=self.deleted, attachments=digests)
        return format_revision(revision)

    def is_it(self, doc: Leaf) -> bool | None:
        """Return whether this is what the server has; None: its attachments must be read to tell."""
        if bool(doc.get("_deleted")) != self.deleted:
            return False
        if _comparable(self.body, self.ignored) != _comparable(doc, self.ignored):
            return False
        if "password" in self.ignored and not _is_password(self.body["password"], doc):
            return False
        return self._has_attachments(doc.get("_attachments", {}), _generation(doc["_rev"]))

    def _has_attachments(self, found: Mapping[str, Any], generation: int) -> bool | None:
        if found.keys() != self.attachments.keys():
            return False
        answers = [
            _is_attachment(each, found[name], generation) for name, each in self.attachments.items()
        ]
        return False if False in answers else None if None in answers else True


def read_written(text: bytes, database: str = "") -> Written:
    """Return what a document is, for its JSON text as it was sent to a database of that name."""
    return written_of(decode(text), database)


def written_of(doc: Leaf, database: str = "") -> Written:
    """Do as `read_written`, for a document that is decoded."""
    body = {name: value for name, value in doc.items() if name[:1] != "_"}
    written = Written(doc["_id"], _parent(doc), body, bool(doc.get("_deleted")))
    members = doc.get("_attachments") or {}
    written.attachments = {name: _read_attachment(each) for name, each in members.items()}
    written.ignored = _put_in_by_servers(written, database)
    written.is_changed = bool(written.ignored)
    return written


def judge(written: Written, leaves: Sequence[Leaf]) -> Verdict:
    """Return what became of a write, by all the leaves of the document, with their `_revisions`."""
    trees = [(leaf, _path(leaf)) for leaf in leaves]
    if written.parent is None:
        return _judge_new(written, trees)
    return _judge_edit(written, written.parent, trees)


def leaves_of(answer: Iterable[Any]) -> list[Leaf]:
    """Return the documents of an answer to `open_revs`, or of one of `_bulk_get`."""
    return [each["ok"] for each in answer if "ok" in each]


def _judge_edit(written: Written, parent: str, trees: list[tuple[Leaf, list[str]]]) -> Verdict:
    expected = written.revision_after(parent)
    look: list[str] = []
    for leaf, path in trees:
        if expected in path:
            return Verdict(Outcome.DONE, (expected,)) if expected else NOT_KNOWN
        if parent not in path[1:]:
            continue
        child = path[path.index(parent) - 1]
        is_it = written.is_it(leaf) if child == path[0] else None if expected is None else False
        if is_it:
            return Verdict(Outcome.DONE, (child,))
        if is_it is None:
            look.append(child)
    return Verdict(Outcome.LOOK, tuple(look)) if look else NOT_DONE


def _judge_new(written: Written, trees: list[tuple[Leaf, list[str]]]) -> Verdict:
    verdict = NOT_DONE
    for leaf, path in trees:
        at = _place_of_new(written, path)
        if at is not None:
            # Once it was deleted, nobody can tell it from the same content of earlier days.
            is_gone = at > 0 and (
                leaf.get("_deleted") or any(map(_is_tombstone, path[:at], path[1:]))
            )
            if not is_gone:
                return Verdict(Outcome.DONE, (path[at],))
            verdict = NOT_KNOWN
        elif not leaf.get("_deleted"):
            verdict = _judge_uncomputed(written, leaf, path) or verdict
            if verdict.outcome is Outcome.DONE:
                return verdict
    return verdict


def _judge_uncomputed(written: Written, leaf: Leaf, path: list[str]) -> Verdict | None:
    """Return what became of a write, by a document that is there: None if it is another one."""
    is_it = written.is_it(leaf)
    if is_it:
        return Verdict(Outcome.DONE, (path[0],))
    if is_it is None:
        return Verdict(Outcome.LOOK, (path[0],))
    if len(path) == 1 or written.revision_after(None) is not None:
        return None
    return Verdict(Outcome.LOOK, (path[-1],))


def _place_of_new(written: Written, path: list[str]) -> int | None:
    """Return where in a path a revision is that the write makes of nothing, or of a deleted document."""
    doubtful = None
    for at, rev in enumerate(path):
        parent = path[at + 1] if at + 1 < len(path) else None
        if parent is None and _generation(rev) > 1:
            break  # what came before is forgotten
        if rev != written.revision_after(parent, is_tombstone=parent is not None):
            continue
        if parent is None or _is_tombstone(parent, *path[at + 2 : at + 3]):
            return at
        # Its parent was deleted with a content, or it is an edit that went back to what was.
        doubtful = at if doubtful is None else doubtful
    return doubtful


def _is_tombstone(rev: str, parent: str | None = None) -> bool:
    """Return whether a revision is the deletion of its parent, as DELETE makes it."""
    return Written("", parent, {}, deleted=True).revision_after(parent) == rev


def _path(leaf: Leaf) -> list[str]:
    """Return the revisions that led to a leaf, the newest first."""
    revisions = leaf["_revisions"]
    start = revisions["start"]
    return [f"{start - at}-{hash}" for at, hash in enumerate(revisions["ids"])]


def _generation(rev: str) -> int:
    return int(rev.partition("-")[0])


def _parent(doc: Leaf) -> str | None:
    if path := doc.get("_revisions"):
        return f"{path['start']}-{path['ids'][0]}"
    return doc.get("_rev")


def _comparable(doc: Leaf, ignored: frozenset[str]) -> bytes:
    plain = {name: value for name, value in doc.items() if name[:1] != "_" and name not in ignored}
    if "nouveau" in ignored and isinstance(indexes := doc.get("nouveau"), Mapping):
        plain["nouveau"] = {
            name: {**index, "lucene_version": None} for name, index in indexes.items()
        }
    return encode_sorted(plain)


def _put_in_by_servers(written: Written, database: str) -> frozenset[str]:
    """Return the members that CouchDB changes before it stores a document."""
    if written.id.startswith("org.couchdb.user:") and "password" in written.body:
        return _OF_A_USER
    if database.endswith("_replicator") and "owner" not in written.body:
        return frozenset({"owner"})
    if written.id.startswith("_design/") and written.body.get("nouveau"):
        return frozenset({"nouveau"})
    return frozenset()


def _is_password(password: str, user: Leaf) -> bool:
    """Return whether it is the password of a user. This takes as long as CouchDB needs for it."""
    derived: str = user.get("derived_key", "")
    salt = user.get("salt", "")
    prf, iterations = user.get("pbkdf2_prf", "sha"), user.get("iterations", 1)
    prf = "sha1" if prf == "sha" else prf
    given = password.encode(), salt.encode(), iterations, len(derived) // 2 or None
    return derived == hashlib.pbkdf2_hmac(prf, *given).hex()


def _read_attachment(member: Mapping[str, Any]) -> AttachmentWritten:
    content_type, digest = member.get("content_type"), member.get("digest")
    if "data" in member:
        return AttachmentWritten(content_type, content=md5(b64decode(member["data"])))
    return AttachmentWritten(content_type, stored=_digest(digest))


def _digest(text: Any) -> bytes | None:
    if not isinstance(text, str) or not text.startswith(_DIGEST):
        return None
    return b64decode(text.removeprefix(_DIGEST))


def _is_attachment(
    written: AttachmentWritten, found: Mapping[str, Any], generation: int
) -> bool | None:
    if written.content_type not in {None, found.get("content_type")}:
        return False
    if written.is_new and found.get("revpos") != generation:
        return False
    if written.stored is not None:
        return _digest(found.get("digest")) == written.stored
    if written.content is None:
        return True
    if "data" in found:
        return md5(b64decode(found["data"])) == written.content
    return None if "encoding" in found else _digest(found.get("digest")) == written.content
