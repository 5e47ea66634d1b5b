"""Proxy authentication: who stands in front of CouchDB tells it who the user is."""

from __future__ import annotations

import hmac
from typing import TYPE_CHECKING, Literal

from aiocouch._wire.secret import SecretHeaders
from aiocouch.auth.flow import Auth
from aiocouch.exception import InvalidInputError, InvalidTypeError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from aiocouch.auth.flow import Ask

__all__ = ["ProxyAuth"]


class ProxyAuth(Auth):
    """A user and its roles, as a trusted program tells them to CouchDB's `proxy_authentication_handler`.

    With `secret`, the one of the server's `[chttpd_auth]`, there is a token as well: the HMAC of the
    name, by SHA-256, or by SHA-1 for CouchDB before 3.4. The server asks for it where it has
    `proxy_use_secret`. The names of the headers are those of `x_auth_username`, `x_auth_roles` and
    `x_auth_token` there.
    """

    def __init__(
        self,
        user: str,
        roles: Iterable[str] = (),
        *,
        secret: str | bytes | None = None,
        digest: Literal["sha256", "sha1"] = "sha256",
        user_header: str = "X-Auth-CouchDB-UserName",
        roles_header: str = "X-Auth-CouchDB-Roles",
        token_header: str = "X-Auth-CouchDB-Token",  # noqa: S107 - a name
    ) -> None:
        if isinstance(roles, str):
            raise InvalidTypeError("roles must be several str, not one")
        self._user = _checked("user name", user)
        self._headers = SecretHeaders({user_header: user})
        if joined := _joined(roles):  # an empty header would be a role without a name
            self._headers[roles_header] = joined
        if secret is not None:
            self._headers[token_header] = _token(user, secret, digest)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self._user}>"

    async def headers(self, ask: Ask) -> Mapping[str, str]:
        """Return the three headers."""
        return self._headers

    def ready(self) -> Mapping[str, str]:
        """Return the same headers, which are always at hand."""
        return self._headers


def _token(user: str, secret: str | bytes, digest: str) -> str:
    if digest not in ("sha256", "sha1"):
        raise InvalidInputError(f"digest={digest!r} is neither 'sha256' nor 'sha1'")
    key = secret.encode() if isinstance(secret, str) else secret
    return hmac.digest(key, user.encode(), digest).hex()


def _joined(roles: Iterable[str]) -> str:
    return ",".join(_checked("role", role) for role in roles)


def _checked(what: str, text: object) -> str:
    """Refuse what a header cannot carry, or CouchDB would read as something else."""
    if not isinstance(text, str):
        raise InvalidTypeError(f"a {what} must be a str, not {type(text).__name__}")
    if not text or text != text.strip() or not text.isprintable():
        raise InvalidInputError(f"the {what} {text!r} cannot be sent in a header")
    if what == "role" and "," in text:
        raise InvalidInputError(f"the role {text!r} has a comma, at which CouchDB would cut it")
    return text
