"""What differs between two schemas. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from aiocouch._wire.codec import encode_sorted
from aiocouch.exception import InvalidTypeError
from aiocouch.schema.parts import Schema, normal_security

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["Change", "diff"]


@dataclass(frozen=True)
class Change:
    """One thing that differs: what is to be created or changed, and the places in it that differ."""

    kind: Literal["database", "security", "index", "design"]
    name: str
    action: Literal["create", "change"]
    places: tuple[str, ...] = ()

    def __str__(self) -> str:
        words = f"{self.action} {self.kind} {self.name}".rstrip()
        return f"{words}: {', '.join(self.places)}" if self.places else words


def diff(wanted: Schema, found: Schema | None) -> list[Change]:
    """Return what must be done so that `found` has all of `wanted`; None: it does not exist.

    What `found` has beside that is left as it is.
    """
    for name, given in (("wanted", wanted), ("found", found)):
        if not isinstance(given, Schema) and (name == "wanted" or given is not None):
            raise InvalidTypeError(
                f"{name} must be a Schema, not {type(given).__name__}: diff(wanted, await read(db))"
            )
    created = [Change("database", "", "create")] if found is None else []
    there = Schema(security={}) if found is None else found
    return [*created, *_security(wanted, there), *_indexes(wanted, there), *_designs(wanted, there)]


def _security(wanted: Schema, found: Schema) -> Iterator[Change]:
    if wanted.security is None:
        return
    places = _places(normal_security(found.security or {}), normal_security(wanted.security))
    if places:
        yield Change("security", "", "change", tuple(places))


def _indexes(wanted: Schema, found: Schema) -> Iterator[Change]:
    there = {index.full_name: index.definition() for index in found.indexes}
    for index in wanted.indexes:
        yield from _one("index", index.full_name, there, index.definition())


def _designs(wanted: Schema, found: Schema) -> Iterator[Change]:
    there = {name: dict(content) for name, content in found.designs.items()}
    for name, content in wanted.designs.items():
        yield from _one("design", name, there, dict(content))


def _one(
    kind: Literal["index", "design"], name: str, there: dict[str, dict[str, Any]], wanted: Any
) -> Iterator[Change]:
    if name not in there:
        yield Change(kind, name, "create")
    elif places := _places(there[name], wanted):
        yield Change(kind, name, "change", tuple(places))


def _places(found: Any, wanted: Any, path: str = "") -> list[str]:
    """Return where two JSON values differ."""
    if isinstance(found, dict) and isinstance(wanted, dict):
        names = [*wanted, *(name for name in found if name not in wanted)]
        return [
            place
            for name in names
            for place in _member(found, wanted, name, f"{path}.{name}" if path else name)
        ]
    return [] if encode_sorted(found) == encode_sorted(wanted) else [path]


def _member(found: dict[str, Any], wanted: dict[str, Any], name: str, path: str) -> list[str]:
    if name not in found:
        return [f"+{path}"]
    return _places(found[name], wanted[name], path) if name in wanted else [f"-{path}"]
