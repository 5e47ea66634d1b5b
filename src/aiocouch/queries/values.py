"""Rows of a query as plain values: dicts, or what msgspec makes of their texts."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
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

__all__ = ["RowDecoder", "field_names", "found_values", "lacking", "path_of", "with_fields"]

_DICT = msgspec.json.Decoder(dict[str, Any])
_DOT = re.compile(r"(?<!\\)\.")
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
    if isinstance(fields, str | Mapping) or not isinstance(fields, Iterable | None):
        raise InvalidTypeError(f"fields must be a list of str, not {type(fields).__name__}")
    names = list(fields or ())
    for name in names:
        if not isinstance(name, str):
            raise InvalidTypeError(f"fields must be a list of str: {name!r}")
    return names


def with_fields(query: Query, names: list[str], more: Iterable[str] = ("_id",)) -> Query:
    """Return the query for these fields of the documents, none for all, and `more` that are needed."""
    if not names:
        return query
    body = {**query.body, "fields": [*names, *lacking(names, more)]}
    return Query(query.endpoint, body, query.is_limited, query.on_warning)


def lacking(names: list[str], more: Iterable[str]) -> list[str]:
    """Return those of `more` that are not fields, nor parts of one."""
    return [
        one for one in more if not any(one == name or one.startswith(f"{name}.") for name in names)
    ]


class RowDecoder:
    """Makes values of the texts of rows, without the fields that nobody has asked for.

    The `_id` is always there: it names a row, and tells where rows that break off go on.
    """

    def __init__(self, names: list[str], into: Any, more: Iterable[str] = ("_id",)) -> None:
        self._inner: Callable[[bytes], Any] = _decoder(dict[str, Any] if into is None else into)
        self._is_typed = into is not None
        self._surplus = [path_of(one) for one in lacking(names, more)] if names else []
        if self._is_typed and _takes_more(into):
            self._surplus = []
        self._count = 0

    def read(self, stream: Continued[msgspec.Raw], batch: list[msgspec.Raw]) -> Iterator[Any]:
        """Yield the values of a batch. Raise `MisfitError`."""
        return map(self.value, map(bytes, batch))

    def value(self, text: bytes) -> Any:
        """Return the value of a row. Raise `MisfitError`."""
        self._count += 1
        try:
            return self._inner(text) if not self._surplus else self._cut_down(text)
        except DECODE_ERRORS as error:
            raise self._misfit(text, error) from error

    def _cut_down(self, text: bytes) -> Any:
        row = _DICT.decode(text)
        for path in self._surplus:
            _remove(row, path)
        return self._inner(msgspec.json.encode(row)) if self._is_typed else row

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


def path_of(field: str) -> list[str]:
    """Return the names on the way to a field; a dot behind a backslash is part of a name."""
    return [name.replace("\\.", ".") for name in _DOT.split(field)]


def _remove(row: Any, path: list[str]) -> None:
    """Remove a field, and what is empty without it."""
    name, *rest = path
    if not isinstance(row, dict) or name not in row:
        return
    if rest:
        _remove(row[name], rest)
    if not rest or row[name] == {}:
        del row[name]


def _decoder(wanted: Any) -> Callable[[bytes], Any]:
    try:
        kind = msgspec.inspect.type_info(wanted)
        decoder = msgspec.json.Decoder(wanted)
    except (TypeError, RecursionError) as error:
        raise InvalidTypeError(f"into={wanted!r} cannot be decoded: {error}") from error
    if isinstance(kind, msgspec.inspect.CustomType):
        raise InvalidTypeError(
            f"into={wanted!r} is not a type that msgspec knows; collection() takes models of pydantic"
        )
    return decoder.decode


def _takes_more(into: Any) -> bool:
    """Return whether a type passes over members that it does not know."""
    kind = msgspec.inspect.type_info(into)
    forbids = isinstance(kind, msgspec.inspect.StructType) and kind.forbid_unknown_fields
    return isinstance(kind, _TAKES_MORE) and not forbids
