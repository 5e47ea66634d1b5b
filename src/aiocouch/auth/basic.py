"""A name and a password with every request. UTF-8 always, so that every password works."""

from __future__ import annotations

import base64
import copy
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from aiocouch._wire.secret import SecretHeaders
from aiocouch.auth.flow import Auth
from aiocouch.auth.lease import Leased, lease
from aiocouch.auth.source import checked_pair, value_of
from aiocouch.exception import InvalidInputError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from aiocouch._wire.secret import SecretPair
    from aiocouch.auth.flow import Ask
    from aiocouch.auth.lease import Lease
    from aiocouch.auth.source import Source
    from aiocouch.exception import CouchDBError

__all__ = ["BasicAuth", "RotatingBasicAuth"]

_WRONG_PASSWORD = "Name or password is incorrect."  # noqa: S105 - what CouchDB says


@dataclass(frozen=True)
class BasicAuth(Auth):
    """A name and a password, sent with every request (RFC 7617)."""

    user: str
    password: str = field(default="", repr=False)
    _headers: Mapping[str, str] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Refuse what the header cannot carry."""
        object.__setattr__(self, "_headers", _basic(self.user, self.password))

    async def headers(self, ask: Ask) -> Mapping[str, str]:
        """Return the `Authorization` header."""
        return self._headers

    def ready(self) -> Mapping[str, str]:
        """Return the same headers, which are always at hand."""
        return self._headers


class RotatingBasicAuth(Leased):
    """Basic authentication with a password that changes: `source` is asked for name and password.

    It is a callback, sync or async, which is asked at the first request, and again when the server
    refuses what it gave last; if that has changed, the request is sent once more. While it has not,
    nothing is sent, so that a wrong password does not lock the account.

    Requests that are under way when the password changes carry the old one, each a failure that
    CouchDB counts. For many callers at once take `LoginAuth`, whose cookie is not counted.
    """

    def __init__(
        self, source: Source[tuple[str, str]], *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        super().__init__(clock)
        self._source = source
        self._given: SecretPair | None = None
        self._refusal: CouchDBError | None = None

    def __repr__(self) -> str:
        return f"<{type(self).__name__}>"

    async def fetch(self, current: Lease | None, ask: Ask) -> Lease:
        """Return the header of what the callback gives."""
        given = checked_pair(await value_of(self._source))
        if current is not None and given == self._given:
            if self._refusal is not None:
                raise copy.copy(self._refusal)
            return current
        self._given, self._refusal = given, None
        return lease(_basic(*given), self._clock(), None)

    def ready(self) -> Mapping[str, str] | None:
        """Return the header, unless it was refused."""
        return None if self._refusal is not None else super().ready()

    async def headers(self, ask: Ask) -> Mapping[str, str]:
        """Return the header. Raise the refusal of the server again until the callback gives another."""
        if self._refusal is not None:
            await self.renew(ask)
        return await super().headers(ask)

    async def refused(self, error: CouchDBError, sent: Mapping[str, str], ask: Ask) -> bool:
        """Ask the callback once more; tell whether it gave another password."""
        again = await super().refused(error, sent, ask)
        if not again and error.status == 401 and error.reason == _WRONG_PASSWORD:
            self._refusal = error
        return again


def _basic(user: str, password: str) -> SecretHeaders:
    if ":" in user:
        raise InvalidInputError("a user name with a colon cannot be sent as basic authentication")
    text = f"{user}:{password}".encode()
    return SecretHeaders(Authorization=f"Basic {base64.b64encode(text).decode()}")
