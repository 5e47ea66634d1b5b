"""A token in the `Authorization` header: JSON Web Tokens, and whatever a proxy in front asks for."""

from __future__ import annotations

import base64
import time
from typing import TYPE_CHECKING

from aiocouch._wire.codec import DECODE_ERRORS, decode
from aiocouch.auth.lease import Lease, Leased, lease
from aiocouch.auth.source import value_of
from aiocouch.exception import InvalidInputError, InvalidTypeError

if TYPE_CHECKING:
    from collections.abc import Callable

    from aiocouch.auth.flow import Ask
    from aiocouch.auth.source import Source
    from aiocouch.exception import CouchDBError

__all__ = ["TokenAuth", "expiry"]

_NOT_GENUINE = ("Bad HMAC", "Bad signature", "Malformed token", "Invalid ", "Missing ")
"""How the reasons begin with which CouchDB answers 400 to a JSON Web Token that it does not take."""


class TokenAuth(Leased):
    """A token with every request: `Authorization: Bearer …`.

    `token` is the text, or a callback, sync or async, that gives it. The callback is asked at the
    first request, then before the time in the claim `exp` of a JSON Web Token, by one caller while the
    others go on with the old one, and when the server refuses the token; if it gives another
    one, the request is sent once more.

    `clock` gives seconds since 1970.
    """

    def __init__(
        self,
        token: str | Source[str],
        *,
        scheme: str = "Bearer",
        clock: Callable[[], float] = time.time,
    ) -> None:
        super().__init__(clock)
        if not callable(token):
            _header(scheme, token)
        self._token = token
        self._scheme = scheme

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self._scheme}>"

    async def fetch(self, current: Lease | None, ask: Ask) -> Lease:
        """Return the header of the token that there is now."""
        token = await value_of(self._token) if callable(self._token) else self._token
        header = _header(self._scheme, token)
        if current is not None and current.headers["Authorization"] == header:
            return current
        now, ends = self._clock(), expiry(token)
        return lease({"Authorization": header}, now, None if ends is None else max(ends - now, 0))

    def is_refusal(self, error: CouchDBError) -> bool:
        """Return whether it is a refusal: 401, or a 400 for a signature that is not by the key of now."""
        said = error.reason or ""
        return error.status == 401 or (error.status == 400 and said.startswith(_NOT_GENUINE))


def expiry(token: str) -> float | None:
    """Return when a JSON Web Token ends, in seconds since 1970; None for one without an end, and for others.

    Its signature is for the server to check.
    """
    parts = token.split(".")
    if len(parts) != 3:
        return None
    try:
        claims = decode(base64.urlsafe_b64decode(parts[1] + "=" * (-len(parts[1]) % 4)))
    except (ValueError, *DECODE_ERRORS):
        return None
    ends = claims.get("exp") if isinstance(claims, dict) else None
    return float(ends) if isinstance(ends, int | float) and not isinstance(ends, bool) else None


def _header(scheme: str, token: object) -> str:
    if not isinstance(token, str):
        raise InvalidTypeError(f"a token must be a str, not {type(token).__name__}")
    if not token or not token.isascii() or not token.isprintable() or " " in token:
        raise InvalidInputError("the token is empty, or has characters that no token has")
    return f"{scheme} {token}"
