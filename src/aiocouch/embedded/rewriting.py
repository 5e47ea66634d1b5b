"""The rules of `rewrites`: from the path of a request to another one. Pure."""

from __future__ import annotations

import posixpath
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import quote, urlencode

from aiocouch.embedded.codec import encode
from aiocouch.embedded.errors import CouchError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_KEYS = frozenset({"key", "keys", "startkey", "start_key", "endkey", "end_key"})
_MOST_STEPS_UP = 2
_SAFE = "~!$&'()*,;=:@"


class Target(NamedTuple):
    """Where a request goes: a path with its query, as in a request line."""

    path: str
    query: str

    @property
    def url(self) -> str:
        """Give path and query."""
        return f"{self.path}?{self.query}" if self.query else self.path


def apply_rules(
    rules: Sequence[Any],
    method: str,
    segments: Sequence[str],
    query: Sequence[tuple[str, str]],
    base: str,
) -> Target:
    """Give the target of the first rule that fits; 404 when none does.

    `segments` are what follows `_rewrite`, `base` the path of the design document.
    """
    for rule in rules:
        if not isinstance(rule, dict) or rule.get("method", "*") not in {"*", method}:
            continue
        bound = _match(_parts(rule.get("from", "*")), segments, dict(query))
        if bound is not None:
            return _target(rule, bound, query, base)
    raise CouchError(404, "not_found", "missing")


def check_rules(rules: Sequence[Any]) -> None:
    """Raise 500 when any rule climbs out of its database."""
    for rule in rules:
        if isinstance(rule, dict) and _parts(rule.get("to", "")).count("..") > _MOST_STEPS_UP:
            raise CouchError(500, "insecure_rewrite_rule", "too many ../.. segments")


def _parts(pattern: Any) -> list[str]:
    return [part for part in str(pattern).split("/") if part]


def _match(
    pattern: Sequence[str], segments: Sequence[str], known: dict[str, str]
) -> dict[str, str] | None:
    """Bind the variables of a pattern, None where it does not fit."""
    bound = dict(known)
    for place, part in enumerate(pattern):
        if part == "*" and place == len(pattern) - 1:
            bound["*"] = "/".join(segments[place:])
            return bound
        if place >= len(segments):
            return None
        if part.startswith(":"):
            bound[part[1:]] = segments[place]
        elif part not in ("*", segments[place]):
            return None
    return bound if len(pattern) == len(segments) else None


def _target(
    rule: Mapping[str, Any],
    bound: Mapping[str, str],
    query: Sequence[tuple[str, str]],
    base: str,
) -> Target:
    to = [_fill(part, bound) for part in _parts(rule.get("to", ""))]
    pairs = [(name, _option(name, value, bound)) for name, value in _query(rule).items()]
    named = dict(pairs)
    rest = {**{name: value for name, value in bound.items() if name != "*"}, **dict(query)}
    pairs += [(name, value) for name, value in rest.items() if name not in named]
    return Target(resolve(base, "/".join(to)), urlencode(pairs))


def _query(rule: Mapping[str, Any]) -> dict[str, Any]:
    query = rule.get("query") or {}
    return query if isinstance(query, dict) else {}


def _fill(part: str, bound: Mapping[str, str]) -> str:
    if part == "*":
        return "/".join(quote(each, safe=_SAFE) for each in bound.get("*", "").split("/"))
    if part.startswith(":"):
        return quote(bound.get(part[1:], part), safe=_SAFE)
    return part if part in {".", ".."} else quote(part, safe=_SAFE)


def _option(name: str, value: Any, bound: Mapping[str, str]) -> str:
    filled = _bind(value, bound)
    if name in _KEYS or not isinstance(filled, str):
        return encode(filled).decode()
    return filled


def _bind(value: Any, bound: Mapping[str, str]) -> Any:
    if isinstance(value, str) and value.startswith(":"):
        return bound.get(value[1:], value)
    if value == "*":
        return bound.get("*", value)
    if isinstance(value, list):
        return [_bind(each, bound) for each in value]
    return value


def resolve(base: str, path: str) -> str:
    """Give the path that a relative one stands for, beginning at the design document."""
    joined = posixpath.normpath(f"{base}/{path.lstrip('/')}")
    return "/" + joined.lstrip("/")
