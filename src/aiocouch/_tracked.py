"""The bookkeeping of documents: what the server was last seen to have, and what was changed since.

A content that came from the server keeps the text that it came as, and is decoded at first access. It
is dirty when its encoded text is another than the one last seen; values are never compared, for
`1 == True`. Nothing is encoded until somebody asks.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NoReturn, TypeVar

import msgspec

from aiocouch._former.resources import RemoteDocument
from aiocouch._wire.codec import DECODE_ERRORS, decode, encode, encode_sorted, encode_text
from aiocouch._wire.options import with_query
from aiocouch.exception import (
    ConflictError,
    Facts,
    InvalidInputError,
    InvalidTypeError,
    UnexpectedAnswerError,
)
from aiocouch.typing import JsonDict

if TYPE_CHECKING:
    from collections.abc import Callable

    from aiocouch.database import Database
    from aiocouch.remote import HTTPResponse

__all__ = [
    "ACCEPTED",
    "NEVER_SEEN",
    "Snapshot",
    "Tracked",
    "Written",
    "accepted",
    "came",
    "content_of",
    "moved",
    "of_text",
    "saved",
    "sent_off",
    "text_of",
    "text_with",
    "to_send",
]

_HEAD = re.compile(rb'\{"_id":"[^"\\]*"(?:,"_rev":"[^"\\]*")?(?:,(?!"_rev":)|(?=\}))')
ACCEPTED = 202
_IDENTITY = frozenset({"_id", "_rev"})


class Written(msgspec.Struct):
    """What CouchDB says to a write of one document."""

    id: str
    rev: str


class Snapshot:
    """A content as the server was last seen to have it: its text or, if known, its body.

    The body is the JSON of the content without id and revision. `is_ours`: the text is one that was sent.
    """

    __slots__ = ("_body", "_is_ours", "_text", "accepted_only", "rev")

    def __init__(
        self, text: bytes, rev: str | None, body: bytes | None = None, *, is_ours: bool = False
    ) -> None:
        self._text = text
        self.rev = rev
        self._body = body
        self._is_ours = is_ours
        self.accepted_only = False

    def at(self, rev: str) -> Snapshot:
        """Return the same content as another revision."""
        return Snapshot(self._text, rev, self._body, is_ours=self._is_ours)

    def shows(self, body: bytes, body_of: Callable[[JsonDict], bytes]) -> bool:
        """Return whether the body is the one last seen. The order of members does not count."""
        if self._body is None:
            sent = _body_in(self._text) if self._is_ours else None
            self._body = body_of(decode(self._text)) if sent is None else sent
        if body == self._body:
            return True
        # A text of another length has other members.
        if len(body) != len(self._body):
            return False
        return encode_sorted(decode(body)) == encode_sorted(decode(self._body))


def _body_in(sent: bytes) -> bytes | None:
    """Return the body of a text that was sent, None where id and revision do not stand before it."""
    head = _HEAD.match(sent)
    return None if head is None else b"{" + sent[head.end() :]


NEVER_SEEN = Snapshot(b"", None, b"")
"""What is known of a document that was neither fetched nor saved."""


class Tracked(RemoteDocument):
    """A content that knows whether it has been saved."""

    # _text is what came, as long as _content or _snapshot is None: most documents are only looked at.
    __slots__ = ("_content", "_snapshot", "_text")

    _content: JsonDict | None
    _snapshot: Snapshot | None
    _text: bytes

    @property
    def full_id(self) -> str:
        """The id as CouchDB has it, which for a design document begins with `_design/`."""
        return self.id

    @property
    def rev(self) -> str | None:
        """The revision that is known locally, None before the first fetch or save. Can be set."""
        return self._loaded().get("_rev")

    @rev.setter
    def rev(self, rev: str) -> None:
        if not isinstance(rev, str):
            raise InvalidTypeError(f"a revision must be a str, not {type(rev).__name__}")
        self._loaded()["_rev"] = rev

    @property
    def accepted_only(self) -> bool:
        """Whether the last write was answered by 202: fewer copies have it than were asked for.

        Writes are those of its content and of its attachments, and its deletion. False after 200 or 201, and
        after a fetch.
        """
        return self._snapshot is not None and self._snapshot.accepted_only

    def is_dirty(self) -> bool:
        """Return whether `save` would send the document: it is new, or was changed since it was last seen.

        Raise `InvalidInputError` or `InvalidTypeError` for content that JSON cannot hold.
        """
        content = self._content
        return content is not None and not self._was_seen(content, self._body_of(content))

    def _loaded(self) -> JsonDict:
        """Return the content with everything that CouchDB keeps beside it."""
        content = self._content
        if content is None:
            content = self._content = self._decoded(self._text)
        return content

    def _take_text(self, text: bytes) -> None:
        """Become what the server sent. What is not a document changes nothing."""
        self._content = self._decoded(text)
        self._text, self._snapshot = text, None

    def _seen(self) -> Snapshot:
        """Return the content as it was last seen."""
        if self._snapshot is None:
            text = self._text
            self._snapshot = Snapshot(text, decode(text).get("_rev"))
        return self._snapshot

    def _decoded(self, text: bytes) -> JsonDict:
        try:
            data = decode(text)
        except DECODE_ERRORS as error:
            self._no_document(error)
        if type(data) is not dict:
            self._no_document(None)
        if data.get("_id") == self.id and "_rev" in data:  # as it is for nearly all of them
            return data
        if not self._is_ours(data):
            self._no_document(None)
        return data

    def _is_ours(self, data: JsonDict) -> bool:
        """Return whether it is this document that came."""
        return "_rev" in data and data.get("_id") == self.full_id

    def _no_document(self, cause: Exception | None) -> NoReturn:
        facts = Facts("GET", self.endpoint, 200)
        what = "the answer is not a document"
        if isinstance(cause, RecursionError):
            what = "it is nested deeper than can be decoded"
        raise UnexpectedAnswerError(f"{self!r}: {what}", facts) from cause

    def _body_of(self, data: JsonDict) -> bytes:
        """Return the content as JSON, without id and revision."""
        body = data.copy()
        body.pop("_id", None)
        body.pop("_rev", None)
        return self.database.remote.encode(body)

    def _was_seen(self, content: JsonDict, body: bytes) -> bool:
        id, seen = self.full_id, self._seen()
        if content.get("_rev") != seen.rev or content.get("_id", id) != id:
            return False
        return seen.shows(body, self._body_of)

    def _refuse_dirty(self) -> None:
        content = self._content
        if content is None or (self._snapshot is NEVER_SEEN and content.keys() <= _IDENTITY):
            return  # new and empty: nothing can be lost
        if self.is_dirty():
            raise self._unsaved()

    def _unsaved(self) -> ConflictError:
        return ConflictError(f"{self!r} has unsaved changes; save them, or discard_changes=True")

    def _to_send(self) -> bytes | None:
        content = self._content
        if content is None:
            return None
        is_new = self._snapshot is NEVER_SEEN
        if is_new and content.get("_id") == self.id and "_rev" not in content:
            return self.database.remote.encode(content)
        body = self._body_of(content)
        if not is_new and self._was_seen(content, body):
            return None
        return self._with_identity(body)

    def _with_identity(self, body: bytes) -> bytes:
        data, id = self._loaded(), self.full_id
        if data.get("_id", id) != id:
            raise InvalidInputError(f"{self!r}: its _id was changed to {data['_id']!r}")
        head = b'{"_id":' + encode_text(id)
        if (rev := data.get("_rev")) is not None:
            head += b',"_rev":' + encode(rev)
        return head + (b"}" if body == b"{}" else b"," + body[1:])

    def _saved(self, text: bytes, rev: str) -> None:
        content = self._loaded()
        if "_id" not in content:
            content["_id"] = self.full_id
        content["_rev"] = rev
        self._snapshot = Snapshot(text, rev, is_ours=True)

    async def _moved(self, rev: str) -> None:
        changed = self.is_dirty()
        self._loaded()["_rev"] = rev
        self._snapshot = self._seen().at(rev)
        path = with_query(self.endpoint, {"rev": rev})
        answer = await self.database.remote.request("GET", path)
        if not changed and not self.is_dirty():
            self._take_text(answer.body)
        else:
            self._take_attachments(answer.json(JsonDict), rev)

    def _take_attachments(self, stored: JsonDict, rev: str) -> None:
        self._snapshot = Snapshot(b"", rev, self._body_of(stored))
        if "_attachments" in stored:
            self._loaded()["_attachments"] = stored["_attachments"]
        else:
            self._loaded().pop("_attachments", None)


# What other modules of the package need, and nobody else: that is why these are not methods.
# An underscore means "this file only", and this is the file.

D = TypeVar("D", bound=Tracked)


def of_text(kind: type[D], database: Database, id: str, text: bytes) -> D:
    """Return a document as the server sent it. `text` is its JSON and is decoded at first access."""
    document = object.__new__(kind)
    document.database = database
    document.id = id
    document._text = text
    document._content = document._snapshot = None
    return document


def content_of(document: Tracked) -> JsonDict:
    """Return the content, itself, with everything that CouchDB keeps beside it."""
    return document._loaded()  # noqa: SLF001


def text_of(document: Tracked) -> bytes:
    """Return the JSON of the content as it is: the text that came, if nobody has looked at it."""
    if document._content is None:  # noqa: SLF001
        return document._text  # noqa: SLF001
    return document.database.remote.encode(document._content)  # noqa: SLF001


def to_send(document: Tracked) -> bytes | None:
    """Return the JSON text of the content with id and revision; None when there is nothing to save."""
    return document._to_send()  # noqa: SLF001


def text_with(document: Tracked, members: JsonDict) -> bytes:
    """Return the JSON text of the content with id and revision, changed or not, and with these members."""
    body = document._body_of({**document._loaded(), **members})  # noqa: SLF001
    return document._with_identity(body)  # noqa: SLF001


def came(document: Tracked, text: bytes) -> None:
    """Take over a text of the document that the server has sent."""
    document._take_text(text)  # noqa: SLF001


def saved(document: Tracked, text: bytes, rev: str) -> None:
    """Take over that the server has stored `text` (see `to_send`) as revision `rev`."""
    document._saved(text, rev)  # noqa: SLF001


def accepted(document: Tracked) -> None:
    """Take note that what was `saved` is accepted only: the status was 202, or the row says so."""
    document._seen().accepted_only = True  # noqa: SLF001


def sent_off(document: Tracked, text: bytes) -> None:
    """Take over that the server will store `text` (see `to_send`) as a revision that nobody knows yet."""
    document._snapshot = Snapshot(text, document.rev)  # noqa: SLF001
    accepted(document)


async def moved(document: Tracked, response: HTTPResponse) -> None:
    """Take over the revision that an attachment's change has made.

    The list of attachments must be the new one, or the next `save` would drop what was stored.
    Changes that were made meanwhile are kept.
    """
    await document._moved(response.json(Written).rev)  # noqa: SLF001
    if response.status == ACCEPTED:
        accepted(document)
