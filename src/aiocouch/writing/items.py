"""What a document of a stream is when it goes out: its id and its text."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TypeAlias

import msgspec

from aiocouch._tracked import to_send
from aiocouch._wire.codec import DECODE_ERRORS, decode, encode_text
from aiocouch._wire.ids import check_document_id
from aiocouch.document import Document
from aiocouch.exception import CouchDBError, InvalidInputError, InvalidTypeError

if TYPE_CHECKING:
    from collections.abc import Callable

    from aiocouch.database import Database
    from aiocouch.writing.made import Made
    from aiocouch.writing.outcome import WriteOutcome

__all__ = ["Given", "Item", "Items", "plain_of"]

Given: TypeAlias = Mapping[str, Any] | str | bytes
"""A document as a stream gives it: a dict, a Document, or JSON text."""


class _Identity(msgspec.Struct):
    id: str | None = msgspec.field(name="_id", default=None)


_IDENTITY = msgspec.json.Decoder(_Identity)


class Item:
    """A document on its way. `text` is None when there is nothing to write, `outcome` may say why.

    `made` is there if it is a change, which must not take the same change by another for its own.
    """

    __slots__ = ("doc", "id", "made", "outcome", "text")

    def __init__(
        self,
        doc: Given,
        id: str,
        text: bytes | None,
        outcome: WriteOutcome | None = None,
        made: Made | None = None,
    ) -> None:
        self.doc = doc
        self.id = id
        self.text = text
        self.outcome = outcome
        self.made = made


class Items:
    """Makes items of documents. `new_id` gives an id to each that has none."""

    def __init__(self, database: Database, new_id: Callable[[], str]) -> None:
        self._database = database
        self._encode = database.remote.encode
        self._new_id = new_id

    def of(self, doc: Given, number: int) -> Item:
        """Return the item of the document with that number in the stream, from 1.

        Raise `InvalidTypeError` or `InvalidInputError`, which names the number.
        """
        try:
            if type(doc) is dict:
                return self._of_dict(doc, doc)
            if isinstance(doc, Document):
                return self._of_document(doc)
            if isinstance(doc, Mapping):
                return self._of_dict(doc, dict(doc))
            return self._of_text(doc)
        except (InvalidTypeError, InvalidInputError) as error:
            raise _named(error, number) from error

    def _of_dict(self, doc: Given, content: dict[str, Any]) -> Item:
        text = self._encode(content)
        if "_id" not in content:
            return self._with_new_id(doc, text)
        id: str = content["_id"]
        check_document_id(id)
        return Item(doc, id, text)

    def _with_new_id(self, doc: Given, text: bytes) -> Item:
        id = self._new_id()
        rest = text[1:] if text[1:2] == b"}" else b"," + text[1:]
        return Item(doc, id, b'{"_id":' + encode_text(id) + rest)

    def _of_document(self, doc: Document) -> Item:
        theirs, ours = doc.database, self._database
        if theirs.remote is not ours.remote or theirs.endpoint != ours.endpoint:
            raise InvalidInputError(
                f"{doc!r} is not of {ours!r}; a copy is {{'_id': doc.id, **doc.json}}"
            )
        return Item(doc, doc.full_id, to_send(doc))

    def _of_text(self, doc: Any) -> Item:
        if not isinstance(doc, str | bytes):
            raise InvalidTypeError(f"a document must be a dict, not {type(doc).__name__}")
        try:
            text = doc.encode() if isinstance(doc, str) else doc
            id = _IDENTITY.decode(text).id
        except (*DECODE_ERRORS, UnicodeEncodeError) as error:
            raise InvalidInputError(f"the text is not a document: {error}") from None
        text = text.strip()
        if id is None:
            return self._with_new_id(doc, b"{" + text[1:].lstrip())
        check_document_id(id)
        return Item(doc, id, text)

    def over(self, item: Item, content: Given, theirs: Document) -> Item:
        """Return the item that puts `content` in the place of `theirs`, which may not exist."""
        if isinstance(content, Document):
            if content is not theirs:
                _set_revision(content, theirs.rev)
            return Item(content, item.id, to_send(content))
        plain = plain_of(content)
        plain["_id"] = item.id
        plain.pop("_rev", None)
        if theirs.rev is not None:
            plain["_rev"] = theirs.rev
        return Item(content, item.id, self._encode(plain))


def plain_of(doc: Given) -> dict[str, Any]:
    """Return the content as a dict of its own."""
    content = decode(doc) if isinstance(doc, str | bytes) else doc
    return dict(content)


def _set_revision(doc: Document, rev: str | None) -> None:
    if rev is None:
        doc.pop("_rev", None)
    else:
        doc.rev = rev


def _named(error: CouchDBError, number: int) -> CouchDBError:
    kind = InvalidTypeError if isinstance(error, InvalidTypeError) else InvalidInputError
    return kind(f"document {number} of the stream: {error}")
