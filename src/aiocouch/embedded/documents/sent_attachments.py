"""Attachments as clients send them: the members of `_attachments`, and what becomes of them. Pure."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Any

import msgspec

from aiocouch.embedded.documents.attachment import (
    DEFAULT_TYPE,
    IDENTITY,
    Attachment,
    Content,
    encode_content,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from aiocouch.embedded.documents.attachment import Compression


class InvalidAttachmentError(ValueError):
    """A member of `_attachments` that CouchDB refuses: 400 bad_request, the text is its reason."""


class InvalidMembersError(ValueError):
    """`_attachments` is not an object: CouchDB answers 400 doc_validation."""


class MissingStubError(LookupError):
    """A stub names an attachment that the parent revision does not have (412 missing_stub)."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.name = name


class SentAttachment(msgspec.Struct, frozen=True):
    """One member of a written document's `_attachments`.

    `content` is None for a stub, which `resolve_attachments` takes from the parent revision. `copied` from
    another revision or document, it keeps its `revpos`.
    """

    name: str
    content_type: str
    revpos: int | None = None
    content: Content | None = None
    copied: bool = False


class Follows(msgspec.Struct, frozen=True):
    """An attachment whose bytes follow the document in a multipart body."""

    name: str
    content_type: str
    revpos: int | None
    length: int
    encoded_length: int
    encoding: str
    digest: str | None


def read_members(members: object, compression: Compression) -> list[SentAttachment | Follows]:
    """Read a document's `_attachments` object.

    Members that are not objects are dropped, as CouchDB does. Raise `InvalidMembersError`
    when `members` is not an object, and `InvalidAttachmentError` for a bad name or bad data.
    """
    if not isinstance(members, dict):
        raise InvalidMembersError("Bad special document member: _attachments")
    result = []
    for name, member in members.items():
        check_attachment_name(name)
        if isinstance(member, dict):
            result.append(_read_member(name, member, compression))
    return result


def check_attachment_name(name: str) -> None:
    """Raise `InvalidAttachmentError` for a name that starts with an underscore."""
    if name.startswith("_"):
        raise InvalidAttachmentError(
            f"Attachment name '{name}' starts with prohibited character '_'"
        )


def _read_member(
    name: str, member: Mapping[str, Any], compression: Compression
) -> SentAttachment | Follows:
    content_type = member.get("content_type", DEFAULT_TYPE)
    if not isinstance(content_type, str):
        raise InvalidAttachmentError(f"Invalid content_type for {name}")
    revpos = member.get("revpos")
    position = revpos if isinstance(revpos, int) else None
    if member.get("stub") is True:
        return SentAttachment(name, content_type, position)
    if member.get("follows") is True:
        return _read_follows(name, content_type, position, member)
    data = _decode_base64(name, member.get("data"))
    return SentAttachment(
        name, content_type, position, encode_content(data, content_type, compression)
    )


def _read_follows(
    name: str, content_type: str, revpos: int | None, member: Mapping[str, Any]
) -> Follows:
    length = member.get("length")
    encoding = member.get("encoding", IDENTITY)
    encoded_length = member.get("encoded_length", length) if encoding != IDENTITY else length
    if not isinstance(length, int) or not isinstance(encoded_length, int):
        raise InvalidAttachmentError(f"Invalid attachment length for {name}")
    digest = member.get("digest")
    md5 = digest.removeprefix("md5-") if isinstance(digest, str) else None
    return Follows(name, content_type, revpos, length, encoded_length, str(encoding), md5)


def _decode_base64(name: str, data: object) -> bytes:
    try:
        if isinstance(data, str):
            text = data.encode("ascii").translate(None, b" \t\r\n")
            # of padding that is too long Python would take some
            if len(text) % 4 == 0 and not text.endswith(b"==="):
                return base64.b64decode(text, validate=True)
    except ValueError:
        pass
    raise InvalidAttachmentError(f"Invalid attachment data for {name}")


def resolve_attachments(
    incoming: Iterable[SentAttachment], parent: Sequence[Attachment], generation: int | None
) -> list[tuple[Attachment, bytes | None]]:
    """Join what was written with what the parent revision has.

    Return each attachment with its bytes, or None where they are in the store already.
    `generation` is the new revision's number, which new content gets as `revpos`; None for
    replicated writes, which say it themselves. Raise `MissingStubError`.
    """
    known = {attachment.name: attachment for attachment in parent}
    return [_resolve_one(item, known, generation) for item in incoming]


def _resolve_one(
    item: SentAttachment, known: Mapping[str, Attachment], generation: int | None
) -> tuple[Attachment, bytes | None]:
    content = item.content
    if content is None:
        old = known.get(item.name)
        if old is None or item.revpos not in {None, old.revpos}:
            raise MissingStubError(item.name)
        return old, None
    revpos = item.revpos or 0 if item.copied or generation is None else generation
    made = Attachment(
        item.name,
        item.content_type,
        revpos,
        content.digest,
        content.length,
        content.encoded_length,
        content.encoding,
        content.blob,
    )
    return made, content.data


def with_replaced(
    attachments: Sequence[Attachment], incoming: SentAttachment
) -> list[SentAttachment]:
    """Return the list after one attachment was put: the new one first, the others as stubs."""
    return [incoming, *without(attachments, incoming.name)]


def without(attachments: Sequence[Attachment], name: str) -> list[SentAttachment]:
    """Return all attachments but one, as stubs."""
    return [
        SentAttachment(item.name, item.content_type, item.revpos)
        for item in attachments
        if item.name != name
    ]
