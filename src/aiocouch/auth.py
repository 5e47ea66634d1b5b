"""Who we are, as request headers. UTF-8 always, so that every password works."""

from __future__ import annotations

import base64
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


class BasicAuth:
    """A name and a password, sent with every request (RFC 7617).

    Raises `InvalidInputError` for what the header cannot carry.
    """

    def __init__(self, user: str, password: str = "") -> None:
        if ":" in user:
            raise InvalidInputError(
                "a user name with a colon cannot be sent as basic authentication"
            )
        self.user = user
        self.password = password

    def __repr__(self) -> str:
        return f"<{type(self).__name__} of {self.user!r}>"

    def headers(self) -> dict[str, str]:
        """The `Authorization` header."""
        text = f"{self.user}:{self.password}".encode()
        return {"Authorization": f"Basic {base64.b64encode(text).decode()}"}

    def renew(self, cookie: str) -> bool:
        """Never: a password does not change by itself."""
        return False


class CookieAuth:
    """The value of an `AuthSession` cookie, renewed when the server pushes a new one.

    Raises `InvalidInputError` for what would break the header.
    """

    def __init__(self, cookie: str) -> None:
        if not cookie.isascii() or any(c in ";, \r\n\t" for c in cookie):
            raise InvalidInputError("the session cookie has characters that no cookie value has")
        self.cookie = cookie

    def __repr__(self) -> str:
        return f"<{type(self).__name__}>"

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
