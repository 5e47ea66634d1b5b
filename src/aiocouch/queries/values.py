"""Rows of a query as plain values: dicts, or what msgspec makes of their texts."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Mapping
from typing import TYPE_CHECKING, Any

import msgspec

from aiocouch._wire.codec import DECODE_ERRORS
from aiocouch._wire.rows import document_id
from aiocouch.exception import InvalidTypeError
from aiocouch.mango import Query, read_found
from aiocouch.misfit import MisfitError, place_in

if TYPE_CHECKING:
    from aiocouch._continued import Continued
    from aiocouch.mango import Found
    from aiocouch.remote import Remote

__all__ = ["RowDecoder", "found_values", "with_fields"]

_MEMBERS = msgspec.json.Decoder(dict[str, msgspec.Raw])
_TAKES_MORE = (
    msgspec.inspect.StructType,
    msgspec.inspect.DataclassType,
    msgspec.inspect.TypedDictType,
)


def found_values(
    remote: Remote, query: Query, fields: Iterable[str] | None, into: Any
) -> Found[Any]:
    """Return what a query finds, each row as a value of `into`; None: a dict."""
    names = field_names(fields)
    return read_found(remote, with_fields(query, names), RowDecoder(names, into).read)


def field_names(fields: Iterable[str] | None) -> list[str]:
    """Return the names of fields; none for all. Raise `InvalidTypeError`."""
    if isinstance(fields, str | Mapping):
        raise InvalidTypeError(f"fields must be a list of str, not {type(fields).__name__}")
    names = list(fields or ())
    for name in names:
        if not isinstance(name, str):
            raise InvalidTypeError(f"fields must be a list of str: {name!r}")
    return names


def with_fields(query: Query, names: list[str]) -> Query:
    """Return the query for these fields of the documents; none for all.

    The `_id` is always asked for: it names a row, and tells where rows that break off go on.
    """
    if not names:
        return query
    asked = names if "_id" in names else [*names, "_id"]
    body = {**query.body, "fields": asked}
    return Query(query.endpoint, body, query.is_limited, query.on_warning)


class RowDecoder:
    """Makes values of the texts of rows, which have an `_id` whether it is among the fields or not."""

    def __init__(self, names: list[str], into: Any) -> None:
        wanted = dict[str, Any] if into is None else into
        self._decode: Callable[[bytes], Any] = _decoder(wanted).decode
        has_more = bool(names) and "_id" not in names
        self._is_to_pop = has_more and into is None
        if has_more and into is not None and not _takes_more(into):
            self._inner, self._decode = self._decode, self._without_id
        self._count = 0

    def read(
        self, stream: Continued[msgspec.Raw], batch: list[msgspec.Raw]
    ) -> Generator[Any, None, None]:
        """Yield the values of a batch. Raise `MisfitError`."""
        for raw in batch:
            text = bytes(raw)
            self._count += 1
            try:
                value = self._decode(text)
            except DECODE_ERRORS as error:
                raise self._misfit(text, error) from error
            if self._is_to_pop:
                value.pop("_id", None)
            yield value

    def _without_id(self, text: bytes) -> Any:
        members = _MEMBERS.decode(text)
        members.pop("_id", None)
        return self._inner(msgspec.json.encode(members))

    def _misfit(self, text: bytes, error: Exception) -> MisfitError:
        try:
            id = document_id(text)
        except (*DECODE_ERRORS, ValueError):
            id = ""
        what, place = place_in(error)
        if isinstance(error, RecursionError):
            what = "it is nested deeper than can be decoded"
        said = f"row {self._count}, of the document {id!r}, does not fit: {what} at {place}"
        return MisfitError(said, document_id=id, place=place)


def _decoder(wanted: Any) -> msgspec.json.Decoder[Any]:
    try:
        kind = msgspec.inspect.type_info(wanted)
        decoder = msgspec.json.Decoder(wanted)
    except (TypeError, RecursionError) as error:
        raise InvalidTypeError(f"into={wanted!r} cannot be decoded: {error}") from error
    if isinstance(kind, msgspec.inspect.CustomType):
        raise InvalidTypeError(
            f"into={wanted!r} is not a type of msgspec; collection() takes models of pydantic"
        )
    return decoder


def _takes_more(into: Any) -> bool:
    """Return whether a type passes over members that it does not know."""
    kind = msgspec.inspect.type_info(into)
    forbids = isinstance(kind, msgspec.inspect.StructType) and kind.forbid_unknown_fields
    return isinstance(kind, _TAKES_MORE) and not forbids
