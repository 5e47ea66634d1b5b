"""A document and the value that its model makes of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Generic, TypeVar

import msgspec

from aiocouch._tracked import content_of, of_text, text_of
from aiocouch._view_rows import TEXT_ROW
from aiocouch._wire.codec import decode, encode
from aiocouch.document import Document
from aiocouch.edits import replace_content
from aiocouch.exception import InvalidInputError
from aiocouch.models.merging import merged

if TYPE_CHECKING:
    from aiocouch.database import Database
    from aiocouch.models.shape import Shape
    from aiocouch.typing import JsonDict

__all__ = ["Stored", "forget", "new_content", "put_value", "stored_in"]

T = TypeVar("T")
_UNREAD: Any = object()


class Stored(msgspec.Struct, Generic[T], eq=False, weakref=True):
    """A document, with its content as a value of a model. Made by a `Collection`."""

    # A Struct, for many are made, and most of them are only read.
    _shape: Shape[T]
    database: Database
    id: str
    _text: bytes  # what the value is made of, or with `_is_row` its row
    _ready: Any = (
        _UNREAD  # with `_is_row`: the value, as long as nobody has seen it or the document
    )
    _is_row: bool = False
    _value: Any = _UNREAD
    _before: bytes | None = None  # the JSON of the value that the document shows
    _document: Document | None = None

    @property
    def document(self) -> Document:
        """The document itself: its attachments, and members that the model does not know."""
        if self._document is None:
            self._document = of_text(Document, self.database, self.id, self._came())
        return self._document

    @property
    def rev(self) -> str | None:
        """The revision that is known locally."""
        return self.document.rev

    @property
    def value(self) -> T:
        """The content, decoded at first access. Can be changed, or set; `Collection.save` writes it.

        Raise `MisfitError` when the document does not fit the model.
        """
        value: T = self._value
        if value is _UNREAD:
            if self._is_row:
                value = self._value = self._ready
                return value
            if self._document is not None:
                self._read()
            try:
                value = self._value = self._shape.decode(self._text)
            except self._shape.errors as error:
                raise self._shape.misfit(self.id, error) from error
        return value

    @value.setter
    def value(self, value: T) -> None:
        if self._value is _UNREAD:
            self._read()
        self._value = value

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.id!r} of database {self.database.id!r}>"

    def _read(self) -> bytes:
        """Return the text of the document as it is, of which the value is made."""
        if self._document is not None:
            self._text, self._is_row = text_of(self._document), False
        return self._came()

    def _came(self) -> bytes:
        """Return the text of the document as it came."""
        if self._is_row:
            self._text, self._is_row = bytes(TEXT_ROW.decode(self._text).doc), False
        return self._text

    def _seen(self) -> bytes:
        """Return the JSON of the value that the document shows; a value may have changed since."""
        if self._before is None:
            shape = self._shape
            try:
                value = shape.decode(self._came())
            except shape.errors as error:
                raise shape.misfit(self.id, error) from error
            self._before = encode(shape.dump(value))
        return self._before

    def _put(self) -> None:
        if self._value is _UNREAD:
            return
        before, now = self._seen(), self._shape.dump(self._value)
        text = encode(now)
        if text == before:
            return
        if now.pop("_id", self.id) not in (self.id, None):
            raise InvalidInputError(f"{self!r}: its value has another _id")
        base, new = decode(before), decode(text)
        for members in (base, new):
            members.pop("_id", None)
        replace_content(self.document, merged(content_of(self.document), base, new))
        self._before = text


# What the collection needs, and nobody else: that is why these are not methods.


def stored_in(document: Document, shape: Shape[T]) -> Stored[T]:
    """Return what a document is as a value."""
    text = text_of(document)
    return Stored(shape, document.database, document.full_id, text, _document=document)


def put_value(stored: Stored[T]) -> Document:
    """Return the document, with the value in it. Raise `InvalidTypeError` or `InvalidInputError`."""
    stored._put()  # noqa: SLF001
    return stored.document


def forget(stored: Stored[T]) -> None:
    """Take note that the document was deleted: a value that is saved then is written whole."""
    stored._before = b"{}"  # noqa: SLF001


def new_content(shape: Shape[T], value: T, id: str | None) -> tuple[str | None, JsonDict]:
    """Return the id and the members of a new document. Raise as `Shape.dump`, and for two ids."""
    members = shape.dump(value)
    own = members.pop("_id", None)
    if id is not None and own not in (id, None, ""):
        raise InvalidInputError(f"the id is {id!r}, and the value has the _id {own!r}")
    return id if id is not None else own or None, members
