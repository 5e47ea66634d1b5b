"""The session cookie of CouchDB: one that is given, and how one is read off an answer."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple, Protocol

from aiocouch._wire.secret import SecretHeaders
from aiocouch.auth.flow import Auth
from aiocouch.exception import InvalidInputError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from aiocouch.auth.flow import Ask

__all__ = ["CookieAuth", "SessionCookie", "cookie_header", "session_cookie"]

_NAME = "AuthSession"


class _Several(Protocol):
    """Headers of which one may come more than once."""

    def getall(self, key: str, /) -> list[str]: ...
    def __contains__(self, key: object, /) -> bool: ...


class SessionCookie(NamedTuple):
    """The value of an `AuthSession` cookie, and the seconds that it holds; None: not told."""

    value: str
    max_age: float | None

    def __repr__(self) -> str:
        return f"<{type(self).__name__} for {self.max_age} s>"


@dataclass
class CookieAuth(Auth):
    """The value of an `AuthSession` cookie, renewed when the server pushes a new one.

    CouchDB pushes one with an answer when a tenth of the time of the last has gone by. A session that
    rests longer than the cookie holds is over; `LoginAuth` can begin another.
    """

    cookie: str = field(repr=False)
    _headers: Mapping[str, str] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Refuse what would break the header."""
        self._headers = cookie_header(self.cookie)

    async def headers(self, ask: Ask) -> Mapping[str, str]:
        """Return the `Cookie` header."""
        return self._headers

    def ready(self) -> Mapping[str, str]:
        """Return the same headers, which are always at hand."""
        return self._headers

    def pushed(self, cookie: str, max_age: float | None, sent: Mapping[str, str]) -> None:
        """Keep the pushed cookie."""
        self.cookie = cookie
        self._headers = cookie_header(cookie)


def cookie_header(value: str) -> SecretHeaders:
    """Return the `Cookie` header. Raise `InvalidInputError` for what no cookie's value has."""
    if not (value.isascii() and value.isprintable()) or any(c in ";, " for c in value):
        raise InvalidInputError("the session cookie has characters that no cookie value has")
    return SecretHeaders(Cookie=f"{_NAME}={value}")


def session_cookie(headers: _Several) -> SessionCookie | None:
    """Return the session cookie among the `Set-Cookie` headers of an answer.

    None where there is none, and for an empty one, by which CouchDB ends a session.
    """
    for text in headers.getall("Set-Cookie") if "Set-Cookie" in headers else ():
        pair, *attributes = (part.strip() for part in text.split(";"))
        name, _, value = pair.partition("=")
        if name == _NAME and value.strip('"'):
            return SessionCookie(value.strip('"'), _max_age(attributes))
    return None


def _max_age(attributes: Iterable[str]) -> float | None:
    for attribute in attributes:
        name, _, value = attribute.partition("=")
        if name.lower() == "max-age" and value.isdecimal():
            return float(value)
    return None
