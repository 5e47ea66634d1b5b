"""The rules of `rewrites`: from the path of a request to another one. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import quote_plus

from aiocouch.embedded.codec import decode, encode
from aiocouch.embedded.erlang_text import flattened, read_integer
from aiocouch.embedded.errors import CouchError, internal, not_found

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

_KEYS = frozenset({"key", "keys", "startkey", "start_key", "endkey", "end_key"})
_MOST_STEPS_UP = 2

#: A name and what it stands for. Of several with one name the first counts.
_Binding = tuple[str, Any]


class Target(NamedTuple):
    """Where a request goes: a path with its query, as in a request line."""

    path: str
    query: str

    @property
    def url(self) -> str:
        """Path and query."""
        return f"{self.path}?{self.query}" if self.query else self.path


class _Rule(NamedTuple):
    method: str
    source: list[str]
    target: list[str]
    query: dict[str, Any]
    formats: dict[str, Any]


class _Match(NamedTuple):
    bound: list[_Binding]
    rest: list[str]


def apply_rules(
    rules: Sequence[Any],
    method: str,
    segments: Sequence[str],
    query: Sequence[tuple[str, str]],
    base: str,
) -> Target:
    """Return the target of the first rule that fits; 404 when none does.

    `segments` are what follows `_rewrite`, `base` the path of the design document. A rule
    without `to` is a 500, as is a variable that stands for what cannot be part of a path.
    """
    sent = [(name, decode(value) if name in _KEYS else value) for name, value in query]
    for rule in [_read_rule(rule) for rule in rules if isinstance(rule, dict)]:
        match = _match(rule.source, segments) if rule.method in {"*", method} else None
        if match is not None:
            return _target(rule, match, sent, base)
    raise not_found()


def check_rules(rules: Sequence[Any]) -> None:
    """Raise 500 when any rule climbs out of its database."""
    for rule in rules:
        if isinstance(rule, dict) and _parts(rule.get("to", "")).count("..") > _MOST_STEPS_UP:
            raise CouchError(500, "insecure_rewrite_rule", "too many ../.. segments")


def _read_rule(rule: Mapping[str, Any]) -> _Rule:
    if "to" not in rule:
        raise CouchError(500, "error", "invalid_rewrite_target")
    return _Rule(
        rule.get("method", "*"),
        _parts(rule.get("from", "*")),
        _parts(rule["to"]),
        _object(rule.get("query", {})),
        _object(rule.get("formats", {})),
    )


def _object(value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise CouchError(500, "case_clause", encode(value).decode())
    return value


def _parts(pattern: Any) -> list[str]:
    if not isinstance(pattern, str):
        raise internal("badarg")
    return [part for part in pattern.split("/") if part]


def _match(pattern: Sequence[str], segments: Sequence[str]) -> _Match | None:
    """Bind the variables of a pattern, the last one first; None where it does not fit."""
    bound: list[_Binding] = []
    for place, part in enumerate(pattern):
        if part == "*" and place == len(pattern) - 1:
            return _Match(bound, list(segments[place:]))
        if place >= len(segments):
            return None
        if part == "*" or part.startswith(":"):
            bound.insert(0, (_name(part), segments[place]))
        elif part != segments[place]:
            return None
    return _Match(bound, []) if len(pattern) == len(segments) else None


def _name(part: str) -> str:
    return part if part == "*" else part[1:]


def _target(rule: _Rule, match: _Match, sent: list[_Binding], base: str) -> Target:
    known = match.bound + sent
    own = [(name, _fill(value, known, rule.formats)) for name, value in rule.query.items()][::-1]
    named = {name for name, _ in own}
    bindings = [pair for pair in known if pair[0] not in named] + own
    path = "/".join(quote_plus(part, safe="~") for part in _path(rule.target, bindings, match.rest))
    pairs = [_pair(name, value) for name, value in reversed(bindings) if name != "*"]
    return Target(resolve_path(base, path), "&".join(pairs))


def _fill(value: Any, bindings: list[_Binding], formats: Mapping[str, Any]) -> Any:
    """Put what variables stand for into an option of a rule."""
    if value == "*":
        return _variable("*", bindings, value, formats)
    if isinstance(value, list):
        return [_fill(each, bindings, formats) if _is_variable(each) else each for each in value]
    return _variable(value[1:], bindings, value, formats) if _is_variable(value) else value


def _is_variable(value: Any) -> bool:
    return isinstance(value, str) and value.startswith(":")


def _variable(name: str, bindings: list[_Binding], default: str, formats: Mapping[str, Any]) -> Any:
    value = _first(name, bindings, default)
    return _formatted(value, formats.get(name)) if isinstance(value, str) else value


def _first(name: str, bindings: Iterable[_Binding], default: Any) -> Any:
    return next((value for known, value in bindings if known == name), default)


def _formatted(value: str, format_: Any) -> Any:
    """Return a text in a format; what does not fit becomes the list of its bytes, as in CouchDB."""
    if format_ == "int":
        try:
            return read_integer(value)
        except ValueError:
            return list(value.encode())
    if format_ == "bool":
        return {"true": True, "false": False}.get(value.lower(), list(value.encode()))
    return value


def _path(target: Sequence[str], bindings: list[_Binding], rest: list[str]) -> list[str]:
    path: list[str] = []
    for part in target:
        if part == "*":
            return path + rest
        bound = part.startswith(":")
        path.append(_text(_first(part[1:], bindings, "undefined")) if bound else part)
    return path


def _pair(name: str, value: Any) -> str:
    text = encode(value).decode() if name in _KEYS else _text(value)
    return f"{quote_plus(name, safe='~')}={quote_plus(text, safe='~')}"


def _text(value: Any) -> str:
    """Return a value as text: a list is what its texts and bytes make together."""
    try:
        return flattened(value).decode("utf-8", "surrogateescape")
    except ValueError:
        raise internal("badarg") from None


def resolve_path(base: str, path: str) -> str:
    """Return the path that a relative one stands for, beginning at the design document.

    Steps that lead out of the server stay in it, and so lead nowhere.
    """
    steps: list[str] = []
    for step in f"{base}/{path}".split("/"):
        if step == ".." and steps and steps[-1] != "..":
            steps.pop()
        elif step not in {"", "."}:
            steps.append(step)
    return "/" + "/".join(steps)
