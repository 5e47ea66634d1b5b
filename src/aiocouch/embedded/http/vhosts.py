"""Databases and rewrites under host names of their own: the section `vhosts`."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from aiocouch.embedded.http.exchange import Exchange

VHOST_PATH = "x-couchdb-vhost-path"
"""The header that tells functions which path the client asked for."""

_GLOBAL = frozenset({"_utils", "_uuids", "_session", "_users"})
"""What is the server's own under every name."""
_PORT = re.compile(r"(.*):([0-9]+)")


class _Rule(msgspec.Struct, frozen=True):
    """A setting: host from its end, port, and path; a part is text, `:name` or `*`."""

    host: tuple[str, ...]
    port: int | None
    path: tuple[str, ...]
    target: tuple[str, ...]

    @property
    def rank(self) -> tuple[object, ...]:
        """What is more precise comes first, by the order that Erlang has for it."""
        spoken = tuple(map(_weight, reversed(self.host)))
        port = (1, 0) if self.port is None else (0, self.port)
        return spoken, port, self.path, tuple(map(_weight, self.target))

    def url_for(
        self, host: Sequence[str], port: int | None, path: Sequence[str]
    ) -> tuple[str, list[str]] | None:
        """Return the target and what remains of the path, None where the rule is for others."""
        if self.port not in (None, port) or tuple(path[: len(self.path)]) != self.path:
            return None
        found = _bound(self.host, host)
        if found is None:
            return None
        names, rest = found
        return f"/{'/'.join(_filled(self.target, names, rest))}", list(path[len(self.path) :])


def at_virtual_host(exchange: Exchange) -> Exchange:
    """Return the request as the host name that it was sent to means it."""
    config = exchange.server.config
    if not config.has_section("vhosts"):
        return exchange
    if exchange.raw_segments and exchange.raw_segments[0] in _GLOBAL:
        return exchange
    settings = config.section("vhosts")
    host, port = _split(exchange.host)
    for rule in _rules(tuple(settings.items())):
        found = rule.url_for(host, port, exchange.raw_segments)
        if found is not None:
            return _moved(exchange, *found)
    return exchange


def _moved(exchange: Exchange, target: str, path: Sequence[str]) -> Exchange:
    _, mark, query = exchange.raw_path.partition("?")
    asked = f"/{'/'.join(path)}{mark}{query}"
    url = asked if target == asked == "/" else target + asked
    return exchange.redirected(exchange.method, url, headers={VHOST_PATH: asked})


@lru_cache(maxsize=8)
def _rules(settings: tuple[tuple[str, str], ...]) -> list[_Rule]:
    rules = {_rule(name, target) for name, target in settings if target}
    return sorted(rules, key=lambda rule: rule.rank, reverse=True)


def _rule(name: str, target: str) -> _Rule:
    place, _, path = name.partition("/")
    host, port = _split(place) if place else (["*"], None)
    return _Rule(tuple(host), port, _parts(path), _parts(target))


def _split(place: str) -> tuple[list[str], int | None]:
    """Return the parts of a host name from its end, and the port."""
    found = _PORT.fullmatch(place)
    name, port = (place, None) if found is None else (found[1], int(found[2]))
    return [part for part in reversed(name.split(".")) if part], port


def _parts(path: str) -> tuple[str, ...]:
    return tuple(part for part in path.split("/") if part)


def _weight(part: str) -> tuple[int, str]:
    if part == "*":
        return 0, ""
    return (1, part[1:]) if part[:1] == ":" else (2, part)


def _bound(rule: Sequence[str], host: Sequence[str]) -> tuple[dict[str, str], Sequence[str]] | None:
    """Return what the names of a rule stand for, and what its `*` does; None: it does not match."""
    names: dict[str, str] = {}
    for place, part in enumerate(rule):
        rest = host[place:]
        if part == "*":
            return (names, rest) if rest and place == len(rule) - 1 else None
        if not rest or (part[:1] != ":" and part != rest[0]):
            return None
        if part[:1] == ":":
            names[part[1:]] = rest[0]
    return (names, []) if len(rule) == len(host) else None


def _filled(target: Sequence[str], names: Mapping[str, str], rest: Sequence[str]) -> list[str]:
    filled: list[str] = []
    for part in target:
        if part == "*":
            return [*filled, *rest]
        filled.append(names.get(part[1:], "undefined") if part[:1] == ":" else part)
    return filled
