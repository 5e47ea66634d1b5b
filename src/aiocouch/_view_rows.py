"""What the rows of a view are decoded into, each time as little as is needed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

import msgspec

if TYPE_CHECKING:
    from collections.abc import Collection

__all__ = [
    "DOCUMENT_ROWS",
    "ID_AND_KEY_ROWS",
    "ID_ROWS",
    "LINK_ROWS",
    "ROWS",
    "TEXT_ROW",
    "TEXT_ROWS",
    "DocumentRow",
    "IdAndKeyRow",
    "IdRow",
    "LinkRow",
    "Row",
    "TextRow",
    "rescued_document",
    "rescued_id",
    "rescued_id_and_key",
    "rescued_link",
    "rescued_row",
    "rescued_text",
]


# Rows are of what was decoded and refer to no row: the collector of cycles need not know them.


class Row(msgspec.Struct, gc=False):
    key: Any
    id: str | None = None
    value: Any = None
    error: str | None = None
    doc: msgspec.Raw = msgspec.Raw(b"null")


class DocumentRow(msgspec.Struct, gc=False):
    key: Any
    id: str | None = None
    error: str | None = None
    doc: msgspec.Raw = msgspec.Raw(b"null")


class TextRow(msgspec.Struct, gc=False):
    """A row of `_all_docs` with its document."""

    id: str | None = None
    doc: msgspec.Raw = msgspec.Raw(b"null")

    @property
    def key(self) -> str | None:
        """The key, which is the id."""
        return self.id


class LinkRow(msgspec.Struct, gc=False):
    """A row of a view, which may link to another document by its value."""

    key: Any
    id: str | None = None
    value: msgspec.Raw = msgspec.Raw(b"null")
    error: str | None = None
    doc: msgspec.Raw = msgspec.Raw(b"null")


class IdRow(msgspec.Struct, gc=False):
    """A row of `_all_docs`."""

    id: str | None = None
    error: str | None = None

    @property
    def key(self) -> str | None:
        """The key, which is the id."""
        return self.id


class IdAndKeyRow(msgspec.Struct, gc=False):
    """A row of a view, whose key tells where it stands."""

    id: str | None = None
    key: Any = None
    error: str | None = None


ROWS = msgspec.json.Decoder(list[Row])
DOCUMENT_ROWS = msgspec.json.Decoder(list[DocumentRow])
TEXT_ROW = msgspec.json.Decoder(TextRow)
TEXT_ROWS = msgspec.json.Decoder(list[TextRow])
LINK_ROWS = msgspec.json.Decoder(list[LinkRow])
ID_ROWS = msgspec.json.Decoder(list[IdRow])
ID_AND_KEY_ROWS = msgspec.json.Decoder(list[IdAndKeyRow])
_R = TypeVar("_R", Row, DocumentRow, TextRow, LinkRow, IdAndKeyRow)


def rescued_row(text: bytes) -> Row:
    """Return a row whose document is too deep, which nobody may ever look at."""
    return _rescued(ROWS, text, {"key", "value"})


def rescued_document(text: bytes) -> DocumentRow:
    return _rescued(DOCUMENT_ROWS, text)


def rescued_text(text: bytes) -> TextRow:
    return _rescued(TEXT_ROWS, text)


def rescued_link(text: bytes) -> LinkRow:
    return _rescued(LINK_ROWS, text)


def rescued_id(text: bytes) -> IdRow:
    from aiocouch._wire.deep import shallow

    return ID_ROWS.decode(b"[%b]" % shallow(text)[0])[0]


def rescued_id_and_key(text: bytes) -> IdAndKeyRow:
    return _rescued(ID_AND_KEY_ROWS, text)


def _rescued(
    decoder: msgspec.json.Decoder[list[_R]], text: bytes, needed: Collection[str] = ()
) -> _R:
    from aiocouch._wire.deep import TooDeepError, shallow

    decodable, deep = shallow(text)
    (row,) = decoder.decode(b"[%b]" % decodable)
    if "doc" in deep and not isinstance(row, IdAndKeyRow):
        row.doc = msgspec.Raw(deep["doc"])
    if "key" in deep and not isinstance(row, TextRow):
        row.key = msgspec.Raw(deep["key"])
    for name in deep:
        if name in needed:
            raise TooDeepError(
                f"in a row of the document {row.id!r} the {name} is nested deeper than can be "
                "decoded; ids() and docs() need neither keys nor values"
            )
    return row
