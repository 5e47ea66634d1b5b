"""The bodies of `_find`, `_explain`, `_index` and `_index/_bulk_delete`, checked as CouchDB does.

What is wrong raises a CouchError: the first wrong member in CouchDB's order of members, then the
first that is not known.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from aiocouch.embedded.documents.partitions import check_partition
from aiocouch.embedded.erlang_text import printed, written
from aiocouch.embedded.errors import CouchError, bad_request
from aiocouch.embedded.selectors.selector import Selector, normalize

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

__all__ = [
    "FindOptions",
    "IndexOptions",
    "read_bulk_delete",
    "read_definition",
    "read_find",
    "read_index",
]

_REQUIRED = object()
_ABSENT = object()


class FindOptions(msgspec.Struct, frozen=True):
    """The options of a query. `fields` None: the whole document. `bookmark` None: none."""

    selector: Selector
    use_index: list[str]
    bookmark: str | None
    limit: int
    skip: int
    sort: dict[str, str]
    fields: list[str] | None
    partition: str
    r: int
    conflicts: bool
    stale: str | bool
    update: bool
    stable: bool
    execution_stats: bool
    allow_fallback: bool

    @property
    def descending(self) -> bool:
        """Whether the sort is descending; all fields have one direction."""
        return "desc" in self.sort.values()

    def as_json(self) -> dict[str, Any]:
        """Return the options as `_explain` shows them."""
        shown = {name: getattr(self, name) for name in self.__struct_fields__ if name != "selector"}
        shown["bookmark"] = "nil" if self.bookmark is None else self.bookmark
        shown["fields"] = self.fields or []
        return shown


class IndexOptions(msgspec.Struct, frozen=True):
    """What a new index shall be; None stands for "choose one"."""

    index: Any
    type: str
    name: str | None
    ddoc: str | None
    w: int
    partitioned: bool | None


def read_find(body: Mapping[str, Any], default_limit: int = 25) -> FindOptions:
    """Check the body of `_find` or `_explain`."""
    values = _validate(body, {**_FIND, "limit": (default_limit, _non_negative)})
    return FindOptions(**values)


def read_index(body: Mapping[str, Any]) -> IndexOptions:
    """Check the body of a POST to `_index`; its `index` is checked by `read_definition`."""
    return IndexOptions(**_validate(body, _INDEX))


def read_definition(definition: Any) -> tuple[dict[str, str], Selector]:
    """Check the `index` member of a new JSON index; return its fields and partial filter."""
    if not isinstance(definition, dict):
        reason = f"JSON indexes must be an object, not: {written(definition)}"
        raise bad_request(reason, "invalid_index")
    values = _validate(definition, _DEFINITION)
    return values["fields"], values["partial_filter_selector"]


def read_bulk_delete(body: Mapping[str, Any]) -> list[str]:
    """Check the body of `_index/_bulk_delete`; return the ids of design documents."""
    ids: list[str] = _validate(body, _BULK_DELETE)["docids"]
    return ids


def _validate(
    body: Mapping[str, Any], members: Mapping[str, tuple[Any, Callable[[Any], Any]]]
) -> dict[str, Any]:
    rest = dict(body)
    values = {}
    for name, (default, check) in members.items():
        value = rest.pop(name, default)
        if value is _REQUIRED:
            raise bad_request(f"Missing required key: {name}", "missing_required_key")
        values[name] = check(value)
    if rest:
        raise bad_request(f"Invalid key {next(iter(rest))} for this request.", "invalid_key")
    return values


def _unknown(value: Any, problem: str) -> CouchError:
    reason = f"Unknown Error: mango_opts :: {{{problem},{written(value)}}}"
    return CouchError(500, "unknown_error", reason)


def _any(value: Any) -> Any:
    return value


def _string(value: Any) -> str:
    if not isinstance(value, str):
        raise bad_request(f"Invalid string: {written(value)}", "invalid_string")
    return value


def _name(value: Any) -> str | None:
    if value is _ABSENT:
        return None
    if value == "":
        raise bad_request("Index name or ddoc cannot be empty string", "invalid_empty_string")
    return _string(value)


def _boolean(value: Any) -> bool:
    if not isinstance(value, bool):
        raise bad_request(f"Invalid boolean value: {written(value)}", "invalid_boolean")
    return value


def _partitioned(value: Any) -> bool | None:
    if value is _ABSENT:
        return None
    if not isinstance(value, bool):
        raise _unknown(value, "invalid_partitioned_value")
    return value


def _positive(value: Any) -> int:
    if type(value) is not int or value < 1:
        reason = f"{written(value)} is not an integer greater than zero"
        raise bad_request(reason, "invalid_pos_integer")
    return value


def _non_negative(value: Any) -> int:
    if type(value) is not int or value < 0:
        reason = f"{written(value)} is not an integer greater than or equal to zero"
        raise bad_request(reason, "invalid_non_neg_integer")
    return value


def _stale(value: Any) -> str | bool:
    if value == "ok":
        return "ok"
    if value is False or value == "false":
        return False
    raise _unknown(value, "invalid_ok_or_false_value")


def _bookmark(value: Any) -> str | None:
    if value is None or value == "":
        return None
    if not isinstance(value, str):
        raise _unknown(value, "invalid_bookmark")
    return value


def _partition(value: Any) -> str:
    if value == "":
        return ""
    check_partition(value)
    return str(value)


def _use_index(value: Any) -> list[str]:
    """Return the name of a design document and maybe that of an index in it."""
    if value is None or value == []:
        return []
    parts = value
    if isinstance(value, str):
        parts = value.split("/")
        if parts[0] == "_design" and len(parts) > 1:
            parts = parts[1:]
    if not isinstance(parts, list) or len(parts) > 2 or not all(isinstance(p, str) for p in parts):
        raise bad_request(f"Invalid index name: {written(value)}", "invalid_index_name")
    return parts


def _fields(value: Any) -> list[str] | None:
    if not isinstance(value, list):
        reason = f"Fields must be an array of strings, not: {written(value)}"
        raise bad_request(reason, "invalid_fields")
    for field in value:
        if not isinstance(field, str):
            raise bad_request(f"Invalid JSON for field spec: {written(field)}", "invalid_field")
    return value or None


def _sort(value: Any) -> dict[str, str]:
    if not isinstance(value, list):
        reason = f"Sort must be an array of sort specs, not: {printed(value)}"
        raise bad_request(reason, "invalid_sort_json")
    fields = dict(map(_sort_field, value))
    if len({direction for _, direction in map(_sort_field, value)}) > 1:
        reason = "Sorts currently only support a single direction for all fields."
        raise bad_request(reason, "unsupported_mixed_sort")
    return fields


def _sort_field(value: Any) -> tuple[str, str]:
    if value == "":
        raise bad_request("Invalid sort field: <<>>", "invalid_sort_field")
    if isinstance(value, str):
        return value, "asc"
    if isinstance(value, dict) and len(value) == 1:
        name, direction = next(iter(value.items()))
        if direction in ("asc", "desc"):
            return name, direction
    raise bad_request(f"Invalid sort field: {printed(value)}", "invalid_sort_field")


def _ids(value: Any) -> list[str]:
    if not isinstance(value, list):
        reason = f"Bulk Delete requires an array of non-null docids. Docids: {written(value)}"
        raise bad_request(reason, "invalid_bulk_docs")
    for item in value:
        _use_index(item)
    return [str(item) for item in value]


_FIND: dict[str, tuple[Any, Callable[[Any], Any]]] = {
    "selector": (_REQUIRED, normalize),
    "use_index": ([], _use_index),
    "bookmark": ("", _bookmark),
    "limit": (25, _non_negative),
    "skip": (0, _non_negative),
    "sort": ([], _sort),
    "fields": ([], _fields),
    "partition": ("", _partition),
    "r": (1, _positive),
    "conflicts": (False, _boolean),
    "stale": (False, _stale),
    "update": (True, _boolean),
    "stable": (False, _boolean),
    "execution_stats": (False, _boolean),
    "allow_fallback": (True, _boolean),
}
_INDEX: dict[str, tuple[Any, Callable[[Any], Any]]] = {
    "index": (_REQUIRED, _any),
    "type": ("json", _string),
    "name": (_ABSENT, _name),
    "ddoc": (_ABSENT, _name),
    "w": (2, _positive),
    "partitioned": (_ABSENT, _partitioned),
}
_DEFINITION: dict[str, tuple[Any, Callable[[Any], Any]]] = {
    "fields": (_REQUIRED, _sort),
    "partial_filter_selector": ({}, normalize),
}
_BULK_DELETE: dict[str, tuple[Any, Callable[[Any], Any]]] = {
    "docids": (_REQUIRED, _ids),
    "w": (2, _positive),
}
