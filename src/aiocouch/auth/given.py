"""The way to say who we are that the arguments of `CouchDB` stand for."""

from __future__ import annotations

from aiocouch.auth.basic import BasicAuth
from aiocouch.auth.cookie import CookieAuth
from aiocouch.auth.flow import Auth
from aiocouch.exception import InvalidInputError, InvalidTypeError

__all__ = ["credentials"]


def credentials(
    user: str | None, password: str | None, cookie: str | None, auth: Auth | None = None
) -> Auth | None:
    """Return the flow, None for an anonymous session."""
    for name, value in (("user", user), ("password", password), ("cookie", cookie)):
        if value is not None and not isinstance(value, str):
            raise InvalidTypeError(f"{name} must be a str, not {type(value).__name__}")
    if auth is not None:
        if not isinstance(auth, Auth):
            raise InvalidTypeError(f"auth must be an aiocouch.auth.Auth, not {type(auth).__name__}")
        if user or password or cookie:
            raise InvalidInputError("auth= and user=, password= or cookie= say two ways who we are")
        return auth
    if cookie:
        return CookieAuth(cookie)
    return BasicAuth(user, password or "") if user else None
