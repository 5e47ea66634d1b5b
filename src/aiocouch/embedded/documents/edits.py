"""Documents as clients send them: what is checked and taken apart before anything is written."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import msgspec

from aiocouch._wire.revision import Rev, check_generation, parse_hash, parse_revision
from aiocouch.embedded.documents.sent_attachments import (
    InvalidAttachmentError,
    InvalidMembersError,
    SentAttachment,
    read_members,
)
from aiocouch.embedded.errors import CouchError, bad_request, internal

if TYPE_CHECKING:
    from aiocouch.embedded.documents.attachment import Compression
    from aiocouch.embedded.documents.sent_attachments import Follows

DESIGN = "_design/"
LOCAL = "_local/"

_LUCENE_VERSION = 10
_IGNORED = frozenset({"_revs_info", "_conflicts", "_deleted_conflicts", "_local_seq"})
_KEPT = frozenset(
    {
        "_access",
        "_replication_id",
        "_replication_state",
        "_replication_state_time",
        "_replication_state_reason",
        "_replication_stats",
    }
)
_HEX_LENGTH = 32
_NO_IDS: tuple[Rev, ...] = ()


class Edit(msgspec.Struct):
    """A document to write.

    `body` is without underscore members. `revs` is a path, newest first: what an edit is based
    on, or for a replicated document its own revision and what that descends from. `generation`
    of a `_local` document is that of `revs`. `members` are the attachments as sent; whoever
    takes the bytes of a multipart body replaces `Follows` by `SentAttachment`.
    """

    id: str
    body: dict[str, Any]
    deleted: bool = False
    revs: tuple[Rev, ...] = _NO_IDS
    members: list[SentAttachment | Follows] = msgspec.field(default_factory=list)

    @property
    def is_local(self) -> bool:
        """Whether it goes to the documents that are not replicated."""
        return self.id.startswith(LOCAL)

    @property
    def is_design(self) -> bool:
        """Whether it is a design document."""
        return self.id.startswith(DESIGN)

    @property
    def attachments(self) -> list[SentAttachment]:
        """The attachments; those whose bytes should have followed are stubs by now."""
        return [item for item in self.members if isinstance(item, SentAttachment)]


def read_edit(value: object, compression: Compression, *, doc_id: str | None = None) -> Edit:
    """Take a document apart. `doc_id` (of the path) wins over its `_id`; without any, the id is "".

    Raise CouchError 400 with the words of CouchDB for what no document may hold.
    """
    if not isinstance(value, dict):
        raise bad_request("Document must be a JSON object")
    special = [name for name in value if name[:1] == "_"]
    if special == ["_id"]:
        check_id(value["_id"])
    if doc_id is None:
        doc_id = cast("str", value.get("_id", ""))
    if not special or special == ["_id"]:
        body = value if not special else {k: v for k, v in value.items() if k != "_id"}
        return Edit(doc_id, body)
    return _read_special(value, special, Edit(doc_id, {}), compression)


def _read_special(
    value: dict[str, Any], special: list[str], edit: Edit, compression: Compression
) -> Edit:
    has_path = False
    for name in special:
        if name == "_rev":
            # after `_revisions` it says nothing new
            if not has_path:
                edit.revs = (read_rev(value[name]),)
        elif name == "_id":
            check_id(value[name])
        elif name == "_revisions":
            has_path = _read_revisions(edit, value[name])
        elif name == "_attachments":
            edit.members = read_attachments(value[name], compression)
        elif name == "_deleted":
            _read_deleted(edit, value[name])
        elif name not in _IGNORED and name not in _KEPT:
            raise _invalid(f"Bad special document member: {name}")
    edit.body = {k: v for k, v in value.items() if k[:1] != "_" or k in _KEPT}
    return edit


def read_attachments(value: object, compression: Compression) -> list[SentAttachment | Follows]:
    """Read the member `_attachments`; raise CouchError 400 for a bad one."""
    try:
        return read_members(value, compression)
    except InvalidMembersError as error:
        raise _invalid(str(error)) from error
    except InvalidAttachmentError as error:
        raise bad_request(str(error)) from error


def _invalid(reason: str) -> CouchError:
    return CouchError(400, "doc_validation", reason)


def _read_deleted(edit: Edit, value: object) -> None:
    if not isinstance(value, bool):
        raise _invalid("Bad special document member: _deleted")
    edit.deleted = value


def _read_revisions(edit: Edit, value: object) -> bool:
    """Read the member `_revisions`, and tell whether it says anything."""
    if not isinstance(value, dict):
        raise _invalid("Bad special document member: _revisions")
    start, ids = value.get("start"), value.get("ids")
    if not isinstance(start, int) or isinstance(start, bool):
        raise _invalid("_revisions.start isn't an integer.")
    if not isinstance(ids, list):
        raise _invalid("_revisions.ids isn't a array.")
    hashes = [_read_hash(start, item) for item in ids]
    # there are no generations below 1, though some say so
    known = hashes[: max(start, 1)]
    edit.revs = tuple((start - n, item) for n, item in enumerate(known))
    return bool(start or ids)


def _read_hash(start: int, value: object) -> bytes:
    try:
        if not isinstance(value, str | list) or (start < 0 and len(value) != _HEX_LENGTH):
            raise _invalid("RevId isn't a string")
        return parse_hash(check_generation(start), _bytes_of(value))
    except ValueError:
        raise _invalid("RevId isn't a valid hexadecimal") from None


def _bytes_of(value: object) -> bytes:
    """Return the bytes of a string; to Erlang a list of bytes and strings is one as well."""
    if isinstance(value, str):
        return value.encode("utf-8", "surrogatepass")
    if isinstance(value, list):
        return b"".join(map(_bytes_of, value))
    if type(value) is int and 0 <= value < 256:
        return bytes((value,))
    raise ValueError("no text")


def read_rev(value: object) -> Rev:
    """Read a revision; anything else is the 400 that CouchDB answers."""
    try:
        if isinstance(value, list):
            value = _bytes_of(value).decode(errors="surrogateescape")
        if isinstance(value, str):
            return parse_revision(value)
    except ValueError:
        pass
    raise bad_request("Invalid rev format")


def with_lucene_versions(body: dict[str, Any]) -> dict[str, Any]:
    """Return a new design document with the version of Lucene in each index of `nouveau`.

    CouchDB stores it there whether or not Nouveau runs.
    """
    indexes = body.get("nouveau")
    if not isinstance(indexes, dict) or not indexes:
        return body
    if not all(isinstance(index, dict) for index in indexes.values()):
        raise internal("function_clause")
    versions = {
        name: {**index, "lucene_version": index.get("lucene_version", _LUCENE_VERSION)}
        for name, index in indexes.items()
    }
    return {**body, "nouveau": versions}


def check_id(value: object) -> None:
    """Raise 400 unless the value can be the id of a document."""
    if not isinstance(value, str):
        raise _illegal("Document id must be a string")
    if value == "":
        raise _illegal("Document id must not be empty")
    if value[0] == "_":
        _check_reserved(value)


def _check_reserved(doc_id: str) -> None:
    if doc_id == DESIGN:
        raise _illegal("Illegal document id `_design/`")
    if doc_id == LOCAL:
        raise _illegal("Illegal document id `_local/`")
    if not doc_id.startswith((DESIGN, LOCAL)):
        raise _illegal("Only reserved document ids may start with underscore.")


def _illegal(reason: str) -> CouchError:
    return CouchError(400, "illegal_docid", reason)
