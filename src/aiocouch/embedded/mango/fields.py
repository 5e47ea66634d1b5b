"""The `fields` of a query: a new document with these paths of another."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from aiocouch.embedded.selectors.match import MISSING, get_field
from aiocouch.embedded.selectors.selector import parse_field

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

__all__ = ["projection", "set_field"]


def projection(fields: Iterable[str]) -> Callable[[dict[str, Any]], dict[str, Any]]:
    """Return the function that takes the fields out of a document; those missing are left out."""
    paths = [parse_field(field) for field in fields]

    def project(document: dict[str, Any]) -> dict[str, Any]:
        result: dict[str, Any] = {}
        for path in paths:
            value = get_field(document, path)
            if value is not MISSING:
                set_field(result, path, value)
        return result

    return project


def set_field(document: dict[str, Any], path: Sequence[str], value: Any) -> None:
    """Put a value at a path, with objects on the way; what is not an object there stays."""
    *outer, last = path
    for name in outer:
        inner = document.setdefault(name, {})
        if not isinstance(inner, dict):
            return
        document = inner
    document[last] = value
