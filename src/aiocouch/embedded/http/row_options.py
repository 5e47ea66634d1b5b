"""The options of `_all_docs` and its relatives, from the query or from a JSON body."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from aiocouch.embedded.codec import decode, encode
from aiocouch.embedded.errors import bad_request, internal, query_parse_error
from aiocouch.embedded.store.spans import Span

if TYPE_CHECKING:
    from collections.abc import Callable

    from aiocouch.embedded.http.query import Query

_ABSENT: Any = object()


@dataclass(slots=True)
class RowOptions:
    """Which rows are wanted, and what they show. `limit` None: all."""

    start: Any = _ABSENT
    end: Any = _ABSENT
    keys: list[Any] | None = None
    skip: int = 0
    limit: int | None = None
    descending: bool = False
    inclusive_end: bool = True
    include_docs: bool = False
    conflicts: bool = False
    attachments: bool = False
    att_encoding_info: bool = False
    update_seq: bool = False
    start_id: str | None = None
    end_id: str | None = None
    partition: str | None = None
    grouped: bool = field(default=False)
    reduce: bool = field(default=False)

    def take_single_key(self) -> None:
        """Make one key of a list of one, as CouchDB does in `/queries`."""
        if self.keys is not None and len(self.keys) == 1:
            self.start = self.end = self.keys[0]
            self.keys = None

    def check(self) -> None:
        """Raise query_parse_error for options that do not go together."""
        if self.keys is not None and (self.start is not _ABSENT or self.end is not _ABSENT):
            raise query_parse_error("`keys` is incompatible with `key`, `start_key` and `end_key`")
        if self.grouped:
            raise query_parse_error("Invalid use of grouping on a map view.")
        if self.reduce:
            raise query_parse_error("Reduce is invalid for map-only views.")

    def span(self, low: str | None = None, high: str | None = None) -> Span:
        """Give the range of ids; `low` and `high` hold where no key is given.

        Keys that are no strings sort before all ids.
        """
        start, end = self._bound(self.start, self.start_id), self._bound(self.end, self.end_id)
        if self.descending:
            start, end = end, start
        span = Span(low if start is None else start, high if end is None else end, self.descending)
        if self.inclusive_end:
            return span
        if self.descending:
            return replace(span, low_open=True)
        return replace(span, high_open=True)

    @staticmethod
    def _bound(key: Any, doc_id: str | None) -> str | None:
        if key is _ABSENT:
            return doc_id
        return key if isinstance(key, str) else ""


def options_of_query(query: Query, given: RowOptions | None = None) -> RowOptions:
    """Read the options of the query, on top of `given`; later ones win."""
    options = given or RowOptions()
    for name, text in query.pairs:
        if name in _KEYS:
            _set(options, name, decode(text))
        elif name in _FIELDS:
            _set(options, name, text)
    return options


def options_of_body(body: dict[str, Any], given: RowOptions | None = None) -> RowOptions:
    """Read the options of a JSON object, on top of `given`."""
    options = given or RowOptions()
    for name, value in body.items():
        if name == "keys" and not isinstance(value, list):
            raise bad_request("`keys` body member must be an array.")
        if name in _FIELDS or name in _KEYS:
            _set(options, name, _Json(value) if isinstance(value, str) else value)
    return options


class _Json(str):
    """A string of a JSON body: CouchDB shows it in another way than one of the query."""

    __slots__ = ()


def _set(options: RowOptions, name: str, value: Any) -> None:
    if name in _KEYS:
        _set_key(options, name, str(value) if isinstance(value, _Json) else value)
        return
    attribute, read = _FIELDS[name]
    setattr(options, attribute, read(value))


def _set_key(options: RowOptions, name: str, value: Any) -> None:
    if name == "keys":
        if not isinstance(value, list):
            raise bad_request("`keys` parameter must be an array.")
        options.keys = value
        return
    if name not in {"end_key", "endkey"}:
        options.start = value
    if name not in {"start_key", "startkey"}:
        options.end = value


def _integer(value: Any) -> int:
    if isinstance(value, str) and not isinstance(value, _Json):
        try:
            number = int(value)
        except ValueError:
            raise query_parse_error(f"Invalid value for integer: {_shown(value)}") from None
    elif isinstance(value, int) and not isinstance(value, bool):
        number = value
    else:
        raise query_parse_error(f"Invalid value for integer: {_shown(value)}")
    if number < 0:
        raise query_parse_error(f"Invalid value for positive integer: {_shown(value)}")
    return number


def _boolean(value: Any) -> bool:
    if isinstance(value, bool):
        return value
    if value is None:
        raise internal("function_clause")
    if isinstance(value, str) and value.lower() in {"true", "false"}:
        return value.lower() == "true"
    shown = encode(str(value)) if isinstance(value, str) else encode(value)
    raise query_parse_error(f"Invalid boolean parameter: {shown.decode()}")


def _shown(value: Any) -> str:
    """Show a value as Erlang does: strings of a JSON body are binaries there."""
    if isinstance(value, _Json):
        return f'<<"{value}">>'
    return encode(value).decode()


_KEYS = frozenset({"key", "keys", "startkey", "start_key", "endkey", "end_key"})
_FIELDS: dict[str, tuple[str, Callable[[Any], Any]]] = {
    "skip": ("skip", _integer),
    "limit": ("limit", _integer),
    "descending": ("descending", _boolean),
    "inclusive_end": ("inclusive_end", _boolean),
    "include_docs": ("include_docs", _boolean),
    "conflicts": ("conflicts", _boolean),
    "attachments": ("attachments", _boolean),
    "att_encoding_info": ("att_encoding_info", _boolean),
    "update_seq": ("update_seq", _boolean),
    "startkey_docid": ("start_id", str),
    "start_key_doc_id": ("start_id", str),
    "endkey_docid": ("end_id", str),
    "end_key_doc_id": ("end_id", str),
    "partition": ("partition", str),
    "reduce": ("reduce", _boolean),
    "group": ("grouped", _boolean),
    "group_level": ("grouped", lambda _: True),
}
