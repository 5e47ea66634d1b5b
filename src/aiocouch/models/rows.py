"""All documents of a database as values of a model, each decoded together with its row."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Generic, TypeVar

import msgspec

from aiocouch._view_rows import TEXT_ROW, TEXT_ROWS, TextRow, rescued_text
from aiocouch._wire.codec import DECODE_ERRORS
from aiocouch.models.stored import Stored
from aiocouch.view import document_rows, refuse_row

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable

    from aiocouch._continued import Continued
    from aiocouch.models.shape import Shape
    from aiocouch.view import AllDocsView

__all__ = ["read_values"]

T = TypeVar("T")
_NULL = b"null"
_BETWEEN = b"[],\r "
"""What stands around a row in a list that has a row a line. A row itself is an object."""


async def read_values(view: AllDocsView, shape: Shape[T]) -> AsyncGenerator[Stored[T], None]:
    """Yield each document but design documents, whether it fits or not.

    Where msgspec makes the values, the text of a row is decoded in one go: read twice, to find the
    document and then for its value, it costs a third more.
    """
    database, decode, lines = view.database, _row_decoder(shape), _Lines()
    async with document_rows(view) as stream:
        while batch := await stream.batch(TEXT_ROWS if decode is None else lines, rescued_text):
            for row in batch:
                plain = row
                if type(row) is _Line and decode is not None:
                    text = row.text
                    try:
                        fit = decode(text)
                    except Exception:  # noqa: BLE001 - a model raises what it likes
                        plain = _other_row(text, stream)
                    else:
                        if fit.id[:1] != "_":
                            yield Stored(shape, database, fit.id, text, fit.doc, _is_row=True)
                        continue
                id = plain.id
                if id is None or (text := bytes(plain.doc)) == _NULL:
                    refuse_row(database, id)
                elif id[:1] != "_":  # a design document
                    yield Stored(shape, database, id, text)


class _ValueRow(msgspec.Struct, Generic[T], gc=False):
    """A row with the value of its document."""

    id: str
    doc: T


class _Line(msgspec.Struct, gc=False):
    """A row that is not decoded yet."""

    text: bytes

    @property
    def id(self) -> str | None:
        """The id of its document; None for what is not a row."""
        try:
            return _text_row(self.text).id
        except DECODE_ERRORS:
            return None

    @property
    def key(self) -> str | None:
        """The key, which is the id."""
        return self.id


class _Lines:
    """Cuts a batch into its rows, of which CouchDB writes one a line."""

    def decode(self, text: bytes, /) -> list[_Line | TextRow]:
        """Return the rows; decoded, where they are written in another way."""
        lines = text.split(b"\n")
        if not lines[0].strip(_BETWEEN):
            del lines[0]
        try:
            last = TEXT_ROW.decode(lines.pop().strip(_BETWEEN))
        except DECODE_ERRORS:
            last = None
        if last is None or last.id is None:
            return [*TEXT_ROWS.decode(text)]
        return [*[_Line(line.strip(_BETWEEN)) for line in lines], last]


def _row_decoder(shape: Shape[T]) -> Callable[[bytes], _ValueRow[T]] | None:
    if shape.msgspec_model is None:
        return None
    row: Any = _ValueRow
    decoder: msgspec.json.Decoder[_ValueRow[T]] = msgspec.json.Decoder(row[shape.msgspec_model])
    return decoder.decode


def _text_row(text: bytes) -> TextRow:
    try:
        return TEXT_ROW.decode(text)
    except RecursionError:
        return rescued_text(text)


def _other_row(text: bytes, stream: Continued[Any]) -> TextRow:
    """Return a row whose document does not fit."""
    try:
        return _text_row(text)
    except DECODE_ERRORS:
        stream.refuse(None)
