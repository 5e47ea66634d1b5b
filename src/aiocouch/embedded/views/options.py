"""The options of a view query, read as CouchDB reads them. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, Literal, NamedTuple

import msgspec

from aiocouch.embedded.codec import decode, encode
from aiocouch.embedded.collation.collation import raw_sort_key, sort_key
from aiocouch.embedded.erlang_text import printed, read_integer, shown_text
from aiocouch.embedded.errors import CouchError, query_parse_error
from aiocouch.embedded.views.grouping import EXACT, RowRange
from aiocouch.embedded.views.tables import LAST_NUMBER

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

_LARGEST_LIMIT = 576460752303423487


class _Unset:
    """The type of UNSET."""


UNSET: Final = _Unset()
"""Stands for a key that is not given, as null is a key."""


class ViewOptions(msgspec.Struct):
    """What a query asks for.

    `start` and `end` are decoded keys or UNSET, `keys` a list of keys or None. `reduce` None
    leaves it to the view. `group`, `group_level` and `conflicts` are None when they are not
    given; `level` is what grouping they make together. `update` is "true" (first bring the index
    up to date), "false", or "lazy" (afterwards).
    """

    start: Any = UNSET
    end: Any = UNSET
    start_id: str | None = None
    end_id: str | None = None
    keys: list[Any] | None = None
    limit: int = _LARGEST_LIMIT
    skip: int = 0
    descending: bool = False
    inclusive_end: bool = True
    reduce: bool | None = None
    group: bool | None = None
    group_level: int | None = None
    include_docs: bool = False
    conflicts: bool | None = None
    attachments: bool = False
    att_encoding_info: bool = False
    update_seq: bool = False
    sorted: bool = True
    update: Literal["true", "false", "lazy"] = "true"
    partition: str | None = None

    def apply_text(self, pairs: Iterable[tuple[str, str]]) -> ViewOptions:
        """Take options from a query string; later ones win."""
        for name, value in pairs:
            option = _OPTIONS.get(name)
            if option is not None:
                option.store(self, option.from_text(value))
        return self

    def apply_json(self, members: Mapping[str, Any]) -> ViewOptions:
        """Take options from a JSON object."""
        for name, value in members.items():
            option = _OPTIONS.get(name)
            if option is not None:
                option.store(self, option.from_json(value))
        return self

    def forget_grouping(self) -> ViewOptions:
        """Take back what CouchDB does not hand down from the URL to each of several queries."""
        self.group = self.group_level = None
        return self

    @property
    def level(self) -> int:
        """The grouping: 0 is one group, EXACT is `group=true` without a level."""
        if self.group_level is not None:
            return self.group_level
        return EXACT if self.group else 0

    def set_key(self, value: Any) -> None:
        """Ask for one key."""
        self.start = self.end = value

    def set_keys(self, values: list[Any]) -> None:
        """Ask for several keys, in that order; a single one is an ordinary range."""
        if len(values) == 1:
            self.set_key(values[0])
        else:
            self.keys = values

    def cap(self, most: int | None) -> None:
        """Ask for `most` rows where no limit is asked for; a larger one raises 400."""
        if most is None:
            return
        if self.limit == _LARGEST_LIMIT:
            self.limit = most
        elif self.limit > most:
            raise query_parse_error(f"Limit is too large, must not exceed {most}")

    def check(self, *, has_reduce: bool) -> None:
        """Raise 400 query_parse_error for options that do not go together."""
        if self.limit > _LARGEST_LIMIT:
            raise query_parse_error(f"Limit is too large, must not exceed {_LARGEST_LIMIT}")
        if self.reduce and not has_reduce:
            raise query_parse_error("Reduce is invalid for map-only views.")
        reduces = self.reduces(has_reduce=has_reduce)
        if self.level and not reduces:
            raise query_parse_error("Invalid use of grouping on a map view.")
        if self.keys is not None:
            self._check_keys(reduces)
        if reduces:
            self._check_reduce()

    def _check_keys(self, reduces: bool) -> None:
        if reduces and self.level != EXACT:
            raise query_parse_error("Multi-key fetches for reduce views must use `group=true`")
        if self.keys and (self.start is not UNSET or self.end is not UNSET):
            raise query_parse_error("`keys` is incompatible with `key`, `start_key` and `end_key`")

    def _check_reduce(self) -> None:
        if self.include_docs:
            raise query_parse_error("`include_docs` is invalid for reduce")
        if self.conflicts is not None:
            raise query_parse_error("`conflicts` is invalid for reduce views.")
        if self.group is False and self.group_level:
            raise query_parse_error("Can't specify group=false and group_level>0 at the same time")

    def reduces(self, *, has_reduce: bool) -> bool:
        """Return whether the answer is reduced."""
        return has_reduce and self.reduce is not False

    def ranges(self, *, raw: bool = False, prefix: bytes = b"") -> list[RowRange]:
        """Return the ranges of rows to read, one after the other.

        `raw` is the collation of the view, `prefix` what all its keys begin with. Raise 400 for
        a range that ends before it begins.
        """
        make = raw_sort_key if raw else sort_key
        whole = self._range(make, prefix, self.start, self.end)
        if self.keys is None:
            return [whole]
        return [self._range(make, prefix, key, key) for key in self.keys]

    def _range(self, make: Callable[[Any], bytes], prefix: bytes, start: Any, end: Any) -> RowRange:
        low_key = None if start is UNSET else prefix + make(start)
        high_key = None if end is UNSET else prefix + make(end)
        if prefix:
            # CouchDB begins a partition with null and ends it with an object, whatever the order.
            null = make(None)
            objects = make({})[:1] + b"\xff"
            first, last = (objects, null) if self.descending else (null, objects)
            low_key = low_key or prefix + first
            high_key = high_key or prefix + last
        if low_key is not None and high_key is not None:
            self._check_order(low_key, high_key)
        if self.descending:
            return RowRange(
                self._end_place(high_key, prefix), self._start_place_down(low_key, prefix), True
            )
        return RowRange(self._start_place(low_key, prefix), self._end_place_up(high_key, prefix))

    def _check_order(self, start: bytes, end: bytes) -> None:
        if start > end and not self.descending:
            turn = "true"
        elif start < end and self.descending:
            turn = "false"
        else:
            return
        raise query_parse_error(
            "No rows can match your key range, reverse your start_key and end_key "
            f"or set descending={turn}"
        )

    # Places: a start without an id is before (descending: after) all ids of its key.

    def _start_place(self, key: bytes | None, prefix: bytes) -> tuple[bytes, str, int]:
        if key is None:
            return prefix, "", 0
        return key, self.start_id or "", 0

    def _start_place_down(self, key: bytes | None, prefix: bytes) -> tuple[bytes, str, int]:
        if key is None:
            return prefix + b"\xff", "", 0
        return _after(key, self.start_id)

    def _end_place_up(self, key: bytes | None, prefix: bytes) -> tuple[bytes, str, int]:
        if key is None:
            return prefix + b"\xff", "", 0
        if self.inclusive_end:
            return _after(key, self.end_id)
        return key, self.end_id or "", 0

    def _end_place(self, key: bytes | None, prefix: bytes) -> tuple[bytes, str, int]:
        if key is None:
            return prefix, "", 0
        if self.inclusive_end:
            return key, self.end_id or "", 0
        return _after(key, self.end_id)


def _after(key: bytes, id_: str | None) -> tuple[bytes, str, int]:
    """Return the place after a document with a key, or after all documents with it."""
    if id_ is None:
        return key + b"\x00", "", 0
    return key, id_, LAST_NUMBER


# reading values


def _flag(value: Any) -> bool:
    text = value.lower() if isinstance(value, str) else value
    if text is True or text == "true":
        return True
    if text is False or text == "false":
        return False
    if not isinstance(value, (str, int)):
        raise CouchError(500, "unknown_error", "function_clause")
    shown = shown_text(value) if isinstance(value, str) else printed(value)
    raise query_parse_error(f"Invalid boolean parameter: {shown}")


def _integer(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise query_parse_error(f"Invalid value for integer: {printed(value)}")
    if value < 0:
        raise query_parse_error(f"Invalid value for positive integer: {value}")
    return value


def _integer_text(value: str) -> int:
    try:
        number = read_integer(value)
    except ValueError:
        raise query_parse_error(f"Invalid value for integer: {shown_text(value)}") from None
    if number < 0:
        raise query_parse_error(f'Invalid value for positive integer: "{value}"')
    return number


def _keys(value: Any) -> list[Any]:
    if not isinstance(value, list):
        raise query_parse_error("`keys` must be an array of strings.")
    return value


def _keys_text(value: str) -> list[Any]:
    return _keys(decode(value))


def _same(value: Any) -> Any:
    return value


def _id(value: Any) -> str:
    return value if isinstance(value, str) else encode(value).decode()


def _choice(name: str, choices: Mapping[Any, Any]) -> Callable[[Any], Any]:
    def read(value: Any) -> Any:
        if not isinstance(value, (str, bool)) or value not in choices:
            raise query_parse_error(f"Invalid value for `{name}`.")
        return choices[value]

    return read


_STALE = _choice("stale", {"ok": "false", "update_after": "lazy"})
_UPDATE = _choice(
    "update", {"true": "true", True: "true", "false": "false", False: "false", "lazy": "lazy"}
)
_STABLE = _choice("stable", {"true": True, True: True, "false": False, False: False})


def _set(name: str) -> Callable[[ViewOptions, Any], None]:
    def setter(options: ViewOptions, value: Any) -> None:
        setattr(options, name, value)

    return setter


def _set_skip(options: ViewOptions, value: int) -> None:
    # nothing has more rows, and SQLite takes no larger number
    options.skip = min(value, _LARGEST_LIMIT)


def _ignore(_options: ViewOptions, _value: Any) -> None:
    pass


class _Option(NamedTuple):
    from_text: Callable[[str], Any]
    from_json: Callable[[Any], Any]
    store: Callable[[ViewOptions, Any], None]


def _option(read: Callable[[Any], Any], store: Callable[[ViewOptions, Any], None]) -> _Option:
    return _Option(read, read, store)


_START = _Option(decode, _same, _set("start"))
_END = _Option(decode, _same, _set("end"))
_START_ID = _option(_id, _set("start_id"))
_END_ID = _option(_id, _set("end_id"))

_OPTIONS = {
    "key": _Option(decode, _same, ViewOptions.set_key),
    "keys": _Option(_keys_text, _keys, ViewOptions.set_keys),
    "startkey": _START,
    "start_key": _START,
    "endkey": _END,
    "end_key": _END,
    "startkey_docid": _START_ID,
    "start_key_doc_id": _START_ID,
    "endkey_docid": _END_ID,
    "end_key_doc_id": _END_ID,
    "limit": _Option(_integer_text, _integer, _set("limit")),
    "skip": _Option(_integer_text, _integer, _set_skip),
    "group_level": _Option(_integer_text, _integer, _set("group_level")),
    "stale": _option(_STALE, _set("update")),
    "update": _option(_UPDATE, _set("update")),
    "stable": _option(_STABLE, _ignore),
    "partition": _option(_id, _set("partition")),
    **{
        name: _option(_flag, _set(name))
        for name in (
            "group",
            "descending",
            "inclusive_end",
            "reduce",
            "include_docs",
            "conflicts",
            "attachments",
            "att_encoding_info",
            "update_seq",
            "sorted",
        )
    },
}
