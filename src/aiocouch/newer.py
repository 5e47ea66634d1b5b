"""What CouchDB has after 3.5.2 only: servers that lack it are named, instead of what they say."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import msgspec

from aiocouch.exception import CouchDBError, Facts, InvalidInputError

if TYPE_CHECKING:
    from aiocouch.remote import Remote

__all__ = ["check_newer", "is_time", "refused_by", "time_text"]

_LAST_WITHOUT = (3, 5, 2)
# A version with more behind it is a build of its own, which may have anything.
_RELEASE = re.compile(r"(\d+)\.(\d+)\.(\d+)").fullmatch
_TIME = re.compile(r"\d{4}-\d\d-\d\dT").match
_REFUSALS = frozenset(
    {(404, "missing"), (400, "Only reserved document ids may start with underscore.")}
)


class _Greeting(msgspec.Struct):
    version: str = ""


def is_time(since: object) -> bool:
    """Return whether `since` is a time, in a text, and not a sequence."""
    return isinstance(since, str) and _TIME(since) is not None


def time_text(since: Any) -> Any:
    """Return a datetime as CouchDB reads it, and anything else as it is. Raise `InvalidInputError`."""
    if not isinstance(since, datetime):
        return since
    if since.tzinfo is None:
        raise InvalidInputError(f"since={since!r} has no time zone, such as datetime.UTC")
    return since.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


async def check_newer(remote: Remote, what: str) -> None:
    """Raise `InvalidInputError` if the server is a release without it (`GET /`)."""
    version = await _too_old(remote)
    if version is not None:
        raise InvalidInputError(_told(what, version))


async def refused_by(remote: Remote, what: str, error: CouchDBError) -> CouchDBError:
    """Return what is to be raised for the refusal of a request that a release may not know."""
    if (error.status, error.reason) in _REFUSALS:
        version = await _too_old(remote)
        if version is not None:
            facts = Facts(error.method, error.path, error.status, error.error, error.reason)
            return type(error)(f"{error}: {_told(what, version)}", facts)
    return error


def _told(what: str, version: str) -> str:
    return f"CouchDB has {what} after 3.5.2, and this server is {version}"


async def _too_old(remote: Remote) -> str | None:
    version = (await remote.json("GET", "/", into=_Greeting)).version
    found = _RELEASE(version)
    is_old = found is not None and tuple(map(int, found.groups())) <= _LAST_WITHOUT
    return version if is_old else None
