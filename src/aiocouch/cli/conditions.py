"""Conditions as people type them, as selectors of Mango: `age>21`, `name~^A`, or JSON. Pure."""

from __future__ import annotations

import re
from typing import Any

import msgspec

from aiocouch.cli.exits import CommandError, Exit
from aiocouch.cli.values import object_of, value_of

__all__ = ["CONDITIONS", "fields_of", "is_condition", "selector_of"]

CONDITIONS = "field=value, !=, >, >=, <, <=, ~regex"
"""How conditions are typed, for the help of commands."""

_CONDITION = re.compile(r"([^=<>!~{]+)(==|=|!=|<>|>=|<=|>|<|~)(.*)", re.DOTALL)
_OPERATORS = {
    "=": "$eq",
    "==": "$eq",
    "<>": "$ne",
    "!=": "$ne",
    ">": "$gt",
    ">=": "$gte",
    "<": "$lt",
    "<=": "$lte",
    "~": "$regex",
}


def is_condition(word: str) -> bool:
    """Return whether a word is a condition or a selector, and so not a name."""
    return word.startswith("{") or _CONDITION.fullmatch(word) is not None


def selector_of(words: list[str]) -> dict[str, Any]:
    """Return the selector that all the words together are. Raise `CommandError` for one that is none."""
    each = [_one(word) for word in words]
    return {} if not each else each[0] if len(each) == 1 else {"$and": each}


def _one(word: str) -> dict[str, Any]:
    if word.startswith("{"):
        return object_of(word, "the selector")
    found = _CONDITION.fullmatch(word)
    if found is None:
        said = (
            f"{word!r} is not a condition ({CONDITIONS}) and not a selector in JSON. A shell takes < and > "
            "for files, unless there are quotes: 'age>21'"
        )
        raise CommandError(said, Exit.USAGE)
    field, operator, value = found.groups()
    if value[:1] in {"=", "<", ">"} and operator != "~":
        said = f"{word!r} is not a condition ({CONDITIONS}). A text that begins with {value[0]} has quotes"
        raise CommandError(
            f"{said}: '{field}{operator}{msgspec.json.encode(value).decode()}'", Exit.USAGE
        )
    return {field: {_OPERATORS[operator]: value if operator == "~" else value_of(value)}}


_NARROWING = frozenset({"$eq", "$gt", "$gte", "$lt", "$lte", "$beginsWith"})
"""The operators for which CouchDB looks at a part of an index only. Tried on 3.5.2."""


def fields_of(selector: Any) -> list[str]:
    """Return the fields by which an index would narrow a query, those that must equal something first."""
    found = sorted(_narrowed(selector, ""), key=lambda each: not each[1])
    return list(dict.fromkeys(name for name, _ in found))


def _narrowed(selector: Any, path: str) -> list[tuple[str, bool]]:
    """Return fields, and whether they must be equal to something."""
    if not isinstance(selector, dict):
        return [(path, True)] if path else []
    found: list[tuple[str, bool]] = []
    for name, value in selector.items():
        if name == "$and":
            found += [each for one in value for each in _narrowed(one, path)]
        elif name in _NARROWING and path:
            found.append((path, name == "$eq"))
        elif not name.startswith("$"):
            found += _narrowed(value, f"{path}.{name}" if path else name)
    return found
