"""Who we are, as request headers. UTF-8 always, so that every password works."""

from __future__ import annotations

import base64
from dataclasses import dataclass, field
from typing import Protocol

from aiocouch.exception import InvalidInputError, InvalidTypeError

__all__ = ["BasicAuth", "CookieAuth", "Credentials"]


class Credentials(Protocol):
    """What proves who we are. `headers()` are sent with every request."""

    def headers(self) -> dict[str, str]:
        """The request headers."""
        ...

    def renew(self, cookie: str) -> bool:
        """Take the session cookie that the server has pushed; tell whether the headers changed."""
        ...


@dataclass(frozen=True)
class BasicAuth:
    """A name and a password, sent with every request (RFC 7617)."""

    user: str
    password: str = field(default="", repr=False)

    def __post_init__(self) -> None:
        """Refuse what the header cannot carry."""
        if ":" in self.user:
            raise InvalidInputError(
                "a user name with a colon cannot be sent as basic authentication"
            )

    def headers(self) -> dict[str, str]:
        """The `Authorization` header."""
        text = f"{self.user}:{self.password}".encode()
        return {"Authorization": f"Basic {base64.b64encode(text).decode()}"}

    def renew(self, cookie: str) -> bool:
        """Never: a password does not change by itself."""
        return False


@dataclass
class CookieAuth:
    """The value of an `AuthSession` cookie, renewed when the server pushes a new one."""

    cookie: str = field(repr=False)

    def __post_init__(self) -> None:
        """Refuse what would break the header."""
        if not self.cookie.isascii() or any(c in ";, \r\n\t" for c in self.cookie):
            raise InvalidInputError("the session cookie has characters that no cookie value has")

    def headers(self) -> dict[str, str]:
        """The `Cookie` header."""
        return {"Cookie": f"AuthSession={self.cookie}"}

    def renew(self, cookie: str) -> bool:
        """Keep the pushed cookie."""
        self.cookie = cookie
        return True


def credentials(user: str | None, password: str | None, cookie: str | None) -> Credentials | None:
    """The credentials that the arguments of `CouchDB` stand for, None for an anonymous session."""
    for name, value in (("user", user), ("password", password), ("cookie", cookie)):
        if value is not None and not isinstance(value, str):
            raise InvalidTypeError(f"{name} must be a str, not {type(value).__name__}")
    if cookie:
        return CookieAuth(cookie)
    return BasicAuth(user, password or "") if user else None
