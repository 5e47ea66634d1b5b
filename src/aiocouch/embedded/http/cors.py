"""Cross-origin requests of browsers: sections `cors` and `chttpd/enable_cors`."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from collections.abc import Mapping

    from aiocouch.embedded.node.config import Configuration

_COMMA = re.compile(r"\s*,\s*")
_HEADERS = (
    "accept, accept-language, authorization, content-length, content-range, content-type, "
    "destination, expires, if-match, last-modified, origin, pragma, x-couch-full-commit, "
    "x-couch-id, x-couch-persist, x-couchdb-www-authenticate, x-http-method-override, "
    "x-requested-with, x-couchdb-vhost-path"
)
_METHODS = "CONNECT, COPY, DELETE, GET, HEAD, OPTIONS, POST, PUT, TRACE"
_EXPOSED = (
    "accept-ranges, etag, server, x-couch-request-id, x-couch-update-newrev, x-couchdb-body-time"
)
_ALWAYS_EXPOSED = ("content-type", "cache-control")


class _Policy(msgspec.Struct, frozen=True):
    origins: list[str]
    methods: list[str]
    headers: list[str]
    exposed: list[str]
    credentials: bool
    max_age: str

    def allows(self, origin: str) -> bool:
        return "*" in self.origins or origin in self.origins

    def basic(self, origin: str) -> dict[str, str]:
        sent = {"Access-Control-Allow-Origin": origin}
        if self.credentials and origin != "*":
            sent["Access-Control-Allow-Credentials"] = "true"
        return sent


def preflight_headers(
    method: str, headers: Mapping[str, str], config: Configuration
) -> dict[str, str] | None:
    """Return the headers that answer a preflight request; None when it is not a granted one."""
    origin = headers.get("Origin")
    wanted = headers.get("Access-Control-Request-Method")
    if method != "OPTIONS" or not origin or wanted is None or not _is_enabled(config):
        return None
    policy = _policy(config, headers.get("Host", ""))
    if not policy.allows(origin) or wanted not in policy.methods:
        return None
    asked = headers.get("Access-Control-Request-Headers", "")
    if any(name not in policy.headers for name in _split(asked.lower())):
        return None
    return policy.basic(origin) | {
        "Access-Control-Max-Age": policy.max_age,
        "Access-Control-Allow-Methods": ", ".join(policy.methods),
        "Access-Control-Allow-Headers": asked,
    }


def answer_headers(headers: Mapping[str, str], config: Configuration) -> dict[str, str]:
    """Return the headers that let a browser show an answer to the page that asked for it."""
    origin = headers.get("Origin")
    if not origin or not _is_enabled(config):
        return {}
    policy = _policy(config, headers.get("Host", ""))
    if not policy.allows(origin):
        return {}
    exposed = ", ".join([*_ALWAYS_EXPOSED, *policy.exposed])
    return policy.basic(origin) | {"Access-Control-Expose-Headers": exposed}


def _is_enabled(config: Configuration) -> bool:
    return config.flag("chttpd", "enable_cors", default=False)


def _policy(config: Configuration, host: str) -> _Policy:
    section = f"cors:{host.partition(':')[0]}"

    def setting(key: str, default: str) -> str:
        return config.text(section, key, config.text("cors", key, default))

    return _Policy(
        _split(setting("origins", "")),
        _split(setting("methods", _METHODS)),
        _split(setting("headers", _HEADERS).lower()),
        _split(setting("exposed_headers", _EXPOSED).lower()),
        setting("credentials", "false") == "true",
        setting("max_age", "600"),
    )


def _split(text: str) -> list[str]:
    return [part for part in _COMMA.split(text.strip()) if part]
