"""The parts of a schema, in the form in which they can be compared. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from aiocouch._wire.codec import encode
from aiocouch._wire.options import DATABASE, checked
from aiocouch.exception import InvalidInputError, InvalidTypeError
from aiocouch.typing import DatabaseOptions

if TYPE_CHECKING:
    from aiocouch.typing import JsonDict

__all__ = ["Index", "Schema", "normal_fields", "normal_security", "normal_selector"]

_SIDES = ("admins", "members")
_LISTS = ("names", "roles")
_OF_SELECTORS = ("$and", "$or", "$nor")


@dataclass(frozen=True)
class Index:
    """A Mango index. `ddoc` is the name of its design document; without one it is `name`.

    `fields` are names, or such as `{"name": "desc"}`.
    """

    name: str
    fields: Sequence[str | Mapping[str, str]]
    ddoc: str = ""
    partial_filter_selector: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name in (self.name, self.ddoc):
            if not isinstance(name, str):
                raise InvalidTypeError(f"the name of an index must be a text, not {name!r}")
        if not isinstance(self.partial_filter_selector, Mapping):
            raise InvalidTypeError(f"the selector of the index {self.name!r} must be a dict")
        if not isinstance(self.fields, Sequence) or isinstance(self.fields, str) or not self.fields:
            raise InvalidInputError(f"the index {self.name!r} needs a list of fields")
        for one in self.fields:
            if not isinstance(one, str | Mapping):
                what = f"the field {one!r} of the index {self.name!r}"
                raise InvalidTypeError(f"{what} must be a name, or such as {{'name': 'desc'}}")
        own = (self.ddoc or self.name).removeprefix("_design/")
        object.__setattr__(self, "ddoc", own)

    @property
    def full_name(self) -> str:
        """The names of the design document and of the index."""
        return f"{self.ddoc}/{self.name}"

    def definition(self) -> JsonDict:
        """Return what CouchDB makes an index of."""
        found: JsonDict = {"fields": normal_fields(self.fields)}
        if self.partial_filter_selector:
            found["partial_filter_selector"] = normal_selector(self.partial_filter_selector)
        return found


@dataclass(frozen=True)
class Schema:
    """What a database has, or is to have. What is not named in it is left as it is.

    `designs` are the contents of design documents by their names, `security` is its security object, None
    for any.
    """

    designs: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    indexes: Sequence[Index] = ()
    security: Mapping[str, Any] | None = None
    options: DatabaseOptions = field(default_factory=DatabaseOptions)
    """How the database is created where it does not exist. Later it cannot be changed, nor is it compared."""

    def __post_init__(self) -> None:
        if not isinstance(self.designs, Mapping):
            raise InvalidTypeError("designs= is a dict by name, such as designs_in(folder) reads")
        for name, content in self.designs.items():
            _check_design(name, content)
        for index in self.indexes:
            if not isinstance(index, Index):
                raise InvalidTypeError(f"indexes= is a list of Index, not of {index!r}")
        _check_security(self.security or {})
        checked(self.options, DATABASE)
        names = [index.full_name for index in self.indexes]
        for name in names:
            if names.count(name) > 1:
                raise InvalidInputError(f"there are two indexes {name!r}")


def _check_design(name: str, content: Mapping[str, Any]) -> None:
    if not isinstance(content, Mapping):
        raise InvalidTypeError(f"the design document {name!r} must be a dict")
    if name.startswith("_") or not name:
        raise InvalidInputError(f"{name!r}: a design document is named without _design/")
    for member in content:
        if member.startswith("_"):
            raise InvalidInputError(f"the design document {name!r} has the member {member!r}")
    encode(dict(content))


def _check_security(security: Mapping[str, Any]) -> None:
    if not isinstance(security, Mapping):
        raise InvalidTypeError(f"security= is a dict or None, not {type(security).__name__}")
    for side in _SIDES:
        given = security.get(side) or {}
        if not isinstance(given, Mapping):
            raise InvalidTypeError(f"security: the {side} must be a dict of names and roles")
        for names in _LISTS:
            if not isinstance(given.get(names) or [], list | tuple):
                raise InvalidTypeError(f"security: the {names} of {side} must be a list")


def normal_fields(fields: Sequence[str | Mapping[str, str]]) -> list[dict[str, str]]:
    """Return the fields of an index, each with its direction."""
    return [{one: "asc"} if isinstance(one, str) else dict(one) for one in fields]


def normal_security(security: Mapping[str, Any]) -> JsonDict:
    """Return a security object in which no list is left out."""
    found = dict(security)
    for side in _SIDES:
        given = dict(found.get(side) or {})
        found[side] = {**given, **{name: given.get(name) or [] for name in _LISTS}}
    return found


def normal_selector(selector: Mapping[str, Any]) -> JsonDict:
    """Return a selector as CouchDB keeps it: each condition with its operator and its whole path."""
    parts = _conditions(selector, "")
    return parts[0] if len(parts) == 1 else {"$and": parts}


def _conditions(selector: Mapping[str, Any], path: str) -> list[JsonDict]:
    found: list[JsonDict] = []
    for name, value in selector.items():
        if name in _OF_SELECTORS and not path:
            inner = [normal_selector(one) for one in value]
            found += inner if name == "$and" and len(selector) == 1 else [{name: inner}]
        elif name.startswith("$"):
            found.append({path: {name: value}} if path else {name: value})
        elif isinstance(value, Mapping) and value:
            found += _conditions(value, _joined(path, name))
        else:
            found.append({_joined(path, name): {"$eq": value}})
    return found


def _joined(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name
