"""A session with CouchDB: name and password once, then a cookie that is kept fresh."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, overload

from aiocouch._wire.codec import encode
from aiocouch._wire.secret import SecretBytes, SecretPair
from aiocouch.auth.cookie import cookie_header, session_cookie
from aiocouch.auth.lease import Lease, Leased, lease
from aiocouch.auth.source import checked_pair, value_of
from aiocouch.exception import (
    AccountLockedError,
    CouchDBError,
    Facts,
    InvalidInputError,
    InvalidTypeError,
    UnauthorizedError,
    UnexpectedAnswerError,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from aiocouch.auth.flow import Ask
    from aiocouch.auth.source import Source

__all__ = ["LoginAuth"]

_LIFETIME = 600.0
"""CouchDB's default `[chttpd_auth] timeout`, for cookies that do not tell (`allow_persistent_cookies`)."""
_PAUSE = 30.0
"""Seconds without another try when the account is locked."""


class LoginAuth(Leased):
    """A login (`POST /_session`) at the first request; its cookie is sent with all others.

    Give a name and a password, or a callback, sync or async, that gives both as a tuple and is asked
    at each login. The cookie is renewed by those that the server pushes, and by another login before
    it ends, by one caller while the others go on with the old one. When a request is refused with
    401, because the password has changed or the server has another secret, one login is made however
    many callers there are, and each sends its request once more.

    A password that was refused is not tried again, because that would lock the account: the refusal is
    raised again, and nothing sent, until the callback gives another, `again_after` seconds have gone
    by (None: never), or `forget` is called. While an account is locked, `AccountLockedError` is raised
    and one login tried every thirty seconds.

    One object is for one session. `clock` gives seconds.
    """

    @overload
    def __init__(
        self,
        user: str,
        password: str,
        *,
        again_after: float | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None: ...

    @overload
    def __init__(
        self,
        user: Source[tuple[str, str]],
        *,
        again_after: float | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None: ...

    def __init__(
        self,
        user: str | Source[tuple[str, str]],
        password: str | None = None,
        *,
        again_after: float | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        super().__init__(clock)
        self._source = _source(user, password)
        self._name = user if isinstance(user, str) else None
        self._again_after = again_after
        self._servers: tuple[str, ...] | None = None
        self._refused: _Refused | None = None

    def __repr__(self) -> str:
        return f"<{type(self).__name__}{f' {self._name}' if self._name else ''}>"

    def joins(self, *servers: str) -> None:
        """Belong to these servers. Raise `InvalidInputError` for others: the cookie is not theirs."""
        if self._servers not in (None, servers):
            raise InvalidInputError(
                f"this login belongs to a session with {', '.join(self._servers or ())}; "
                f"make another for {', '.join(servers)}"
            )
        self._servers = servers

    def forget(self) -> None:
        """Log in anew at the next request, even with a password that was refused."""
        self.lapse()
        self._refused = None

    def pushed(self, cookie: str, max_age: float | None, sent: Mapping[str, str]) -> None:
        """Take over the cookie, if it comes from the one of now: a late answer may have an old one."""
        if self.is_current(sent):
            self.take(self._session(cookie, self._clock(), max_age))

    async def fetch(self, current: Lease | None, ask: Ask) -> Lease:
        """Log in; once more if the password has changed while that was refused."""
        given = await self._given()
        self._check(given)
        try:
            return await self._log_in(given, ask)
        except UnauthorizedError:
            again = await self._given()
            if again == given:
                raise
        return await self._log_in(again, ask)

    async def still_holds(self, current: Lease, ask: Ask) -> bool:
        """Return whether the server knows us by the cookie (`GET /_session`).

        It answers 401 also to those who are known, but are not admins.
        """
        if self._clock() >= current.ends:
            return False
        try:
            answer = await ask("GET", "/_session", headers=current.headers)
        except CouchDBError as error:
            if error.status is None:
                raise
            return False
        return _user_of(answer.json()) is not None

    async def _given(self) -> SecretPair:
        return checked_pair(await value_of(self._source))

    async def _log_in(self, given: SecretPair, ask: Ask) -> Lease:
        since = self._clock()
        try:
            answer = await ask("POST", "/_session", body=_form(given))
        except (UnauthorizedError, AccountLockedError) as error:
            self._refused = _Refused(given, error, self._until(error))
            raise
        self._refused = None
        found = session_cookie(answer.headers)
        if found is None:
            facts = Facts("POST", "/_session", answer.status)
            raise UnexpectedAnswerError("POST /_session: the answer brings no cookie", facts)
        return self._session(found.value, since, found.max_age)

    def _session(self, cookie: str, since: float, max_age: float | None) -> Lease:
        return lease(cookie_header(cookie), since, _LIFETIME if max_age is None else max_age)

    def _check(self, given: SecretPair) -> None:
        """Raise the refusal of these credentials again, while it counts."""
        refused = self._refused
        if refused is not None and refused.given == given and self._clock() < refused.until:
            raise refused.again()

    def _until(self, error: CouchDBError) -> float:
        locked = isinstance(error, AccountLockedError)
        wait = _PAUSE if locked else self._again_after
        return float("inf") if wait is None else self._clock() + wait


class _Refused:
    """Credentials that were refused, why, and until when they are not tried again."""

    __slots__ = ("error", "given", "until")

    def __init__(self, given: SecretPair, error: CouchDBError, until: float) -> None:
        self.given, self.error, self.until = given, error, until

    def again(self) -> CouchDBError:
        """Return the refusal, for a login that is not tried."""
        facts = Facts(*(getattr(self.error, name) for name in Facts._fields))
        return type(self.error)(f"{self.error} (said before; not asked again yet)", facts)


def _form(given: SecretPair) -> SecretBytes:
    user, password = given
    return SecretBytes(encode({"name": user, "password": password}))


def _user_of(session: object) -> object:
    """Return who the server takes us for, by its answer to `GET /_session`."""
    context = session.get("userCtx") if isinstance(session, dict) else None
    return context.get("name") if isinstance(context, dict) else None


def _source(user: str | Source[tuple[str, str]], password: str | None) -> Source[tuple[str, str]]:
    if callable(user):
        if password is not None:
            raise InvalidTypeError("a callback gives the password, too")
        return user
    if not isinstance(user, str) or not isinstance(password, str):
        raise InvalidTypeError("a login needs a name and a password, both str, or a callback")
    pair = SecretPair((user, password))
    return lambda: pair
