"""What the store hands out: documents as rows, with their text still encoded."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from aiocouch._wire.revision import parse_revision
from aiocouch.embedded.codec import encode, encode_text
from aiocouch.embedded.documents.attachment import decode_list, stub_member
from aiocouch.embedded.documents.revtree import RevTree

if TYPE_CHECKING:
    from collections.abc import Iterable


class Entry(NamedTuple):
    """A document as the database lists it: its winning revision, and its tree.

    `seq` is the number of its latest change, of any revision. `body` is the JSON text of the
    winner without its underscore members, `attachments` what the attachment store keeps with
    the revision, or None. `tree_blob` is the dumped revision tree, None where the document has
    one revision only.
    """

    seq: int
    id: str
    rev: str
    deleted: int
    body: bytes
    attachments: bytes | None
    tree_blob: bytes | None

    @property
    def tree(self) -> RevTree:
        """The revision tree. Pointers are the `seq` at which a revision was written."""
        if self.tree_blob is None:
            return RevTree.start(
                parse_revision(self.rev), deleted=bool(self.deleted), pointer=self.seq
            )
        return RevTree.load(self.tree_blob)

    @property
    def winner(self) -> Revision:
        """The winning revision."""
        seq = self.seq if self.tree_blob is None else self.tree.winner.pointer
        return Revision(seq, self.id, self.rev, self.deleted, self.body, self.attachments)

    @property
    def has_one_leaf(self) -> bool:
        """Whether the winner is the only leaf: no conflicts, no deleted branches."""
        return self.tree_blob is None or self.tree.is_chain


class Revision(NamedTuple):
    """One revision of a document whose body is still there; `seq` is when it was written."""

    seq: int
    id: str
    rev: str
    deleted: int
    body: bytes
    attachments: bytes | None


class Local(NamedTuple):
    """A `_local` document; `id` with its prefix, the revision is `0-<rev>`."""

    id: str
    rev: int
    body: bytes


def render(
    record: Entry | Revision,
    extra: Iterable[tuple[str, Any]] = (),
    attachments: bytes | None = None,
) -> bytes:
    """Return the JSON text of a document, with `extra` members such as `_conflicts`.

    `attachments` is the text of `_attachments` when it differs from the stubs. The members stand
    in the order of CouchDB: functions that print a document show it.
    """
    tail = b',"_deleted":true' if record.deleted else b""
    for name, value in extra:
        tail += b',"%b":%b' % (name.encode(), encode(value))
    if attachments is None and record.attachments is not None:
        attachments = stubs(record.attachments)
    if attachments is not None:
        tail += b',"_attachments":' + attachments
    separator = b"" if len(record.body) == 2 else b","
    return b'{"_id":%b,"_rev":"%b"%b%b%b}' % (
        encode_text(record.id),
        record.rev.encode(),
        separator,
        record.body[1:-1],
        tail,
    )


def splice(head: bytes, body: bytes) -> bytes:
    """Put members (an object without its closing brace) in front of those of an object."""
    if len(body) == 2:
        return head + b"}"
    return b"%b,%b" % (head, body[1:])


def stubs(attachments: bytes) -> bytes:
    """Return the text of `_attachments` as a plain read shows it: every attachment a stub."""
    members = {item.name: stub_member(item) for item in decode_list(attachments)}
    return encode_text(members)
