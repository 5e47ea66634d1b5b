"""Who sends a request: the authentication handlers, tried in the order of the configuration."""

from __future__ import annotations

import base64
import binascii
import contextlib
import re
import time
from typing import TYPE_CHECKING

import msgspec

from aiocouch.embedded.errors import bad_request, internal, not_found, unauthorized
from aiocouch.embedded.identity import ANONYMOUS, User, split_roles
from aiocouch.embedded.who.accounts import PATIENCE, Account, Accounts, Hasher
from aiocouch.embedded.who.cookies import (
    CookieSettings,
    MalformedCookieError,
    Session,
    find_cookie,
    make_session,
    needs_renewal,
    parse_session,
    seconds_left,
    session_cookie,
)
from aiocouch.embedded.who.jwt import (
    ExpiredTokenError,
    InvalidTokenError,
    MisconfiguredError,
    MissingClaimError,
    bearer,
)
from aiocouch.embedded.who.signing import Secrets
from aiocouch.embedded.who.totp import is_right_token

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence

    from aiocouch.embedded.http.exchange import Exchange
    from aiocouch.embedded.node.config import Configuration
    from aiocouch.embedded.who.accounts import Count, FindUser, Outdated

WRONG = "Name or password is incorrect."

_HANDLER = re.compile(r"(\w+?)_authenti(?:fi)?cation_handler")
_DEFAULT_HANDLERS = ("cookie", "default")
_NO_BASE64 = re.compile(r"(?![A-Za-z0-9+/=])[\x00-\x7f]")


class Request(msgspec.Struct, frozen=True):
    """The part of a request that tells who sends it. `peer` is the address of the client."""

    method: str
    segments: Sequence[str]
    headers: Mapping[str, str]
    peer: str


class Admission(msgspec.Struct, frozen=True):
    """A user, and the fresh session cookie that the answer should bring (None: none is due)."""

    user: User
    renewed_cookie: str | None = None


class Authenticator:
    """Knows the users of one server.

    `clock` gives seconds since 1970, `count` takes the names of counters, `patience` are the
    seconds from a log-in to the renewal of an outdated hash.
    """

    def __init__(
        self,
        config: Configuration,
        find_user: FindUser,
        outdated: Outdated | None = None,
        *,
        clock: Callable[[], float] = time.time,
        count: Count | None = None,
        patience: float = PATIENCE,
    ) -> None:
        self._config = config
        self._clock = clock
        self._secrets = Secrets(config, clock)
        self.hasher = Hasher(count)
        self.accounts = Accounts(config, self.hasher, find_user, outdated, patience)
        self._handlers: dict[str, Callable[[Request], Awaitable[Admission | None]]] = {
            "cookie": self._by_cookie,
            "default": self._by_password,
            "proxy": self._by_proxy,
            "jwt": self._by_token,
        }

    @property
    def handler_names(self) -> tuple[str, ...]:
        """The names of the handlers that are switched on, in their order."""
        text = self._config.get("chttpd", "authentication_handlers")
        if text is None:
            return _DEFAULT_HANDLERS
        return tuple(name for name in _HANDLER.findall(text) if name in self._handlers)

    async def admit(self, request: Request) -> Admission:
        """Say who sends a request. Raise CouchError for credentials that are wrong."""
        for name in self.handler_names:
            admission = await self._handlers[name](request)
            if admission is not None:
                return admission
        self._check_anonymous(request)
        return Admission(ANONYMOUS)

    async def log_in(self, name: str, password: str, token: str, peer: str) -> Account | None:
        """Check a log-in at `_session`; None when name, password or token is wrong."""
        account = self.accounts.find(name)
        if account is None or not await self.accounts.check(account, password, peer):
            return None
        if account.totp is not None and not is_right_token(account.totp, token, self._now()):
            raise unauthorized(WRONG)
        return account

    def new_cookie(self, account: Account, *, secure: bool) -> str:
        """Return the `Set-Cookie` header that logs an account in."""
        return self._cookie(account.name, self._session_key(account), secure=secure)

    def cleared_cookie(self, *, secure: bool) -> str:
        """Return the `Set-Cookie` header that logs out."""
        return session_cookie("", self._cookies(), now=self._now(), secure=secure)

    async def close(self) -> None:
        """Stop the threads and tasks."""
        await self.accounts.close()
        self.hasher.close()

    def _now(self) -> int:
        return int(self._clock())

    def _cookies(self) -> CookieSettings:
        return CookieSettings.of(self._config)

    def _cookie(self, name: str, key: bytes, *, secure: bool) -> str:
        settings, now = self._cookies(), self._now()
        value = make_session(name, key, now, settings)
        return session_cookie(value, settings, now=now, secure=secure)

    def _session_key(self, account: Account) -> bytes:
        return (self._secrets.ensure() + account.credentials.salt).encode()

    async def _by_cookie(self, request: Request) -> Admission | None:
        value = find_cookie(request.headers.get("Cookie"))
        if value is None:
            return None
        try:
            session = parse_session(value)
        except MalformedCookieError as error:
            raise bad_request(str(error)) from error
        settings = self._cookies()
        account = self._account_of(session, settings)
        left = seconds_left(session, self._now(), settings)
        if account is None or left is None:
            return None
        fresh = None
        if needs_renewal(left, settings):
            fresh = self._cookie(account.name, self._session_key(account), secure=False)
        return Admission(User(account.name, account.roles, "cookie"), fresh)

    def _account_of(self, session: Session, settings: CookieSettings) -> Account | None:
        if self._secrets.current is None:
            return None
        account = self.accounts.find(session.name)
        if account is None:
            return None
        genuine = self._secrets.verify(
            session.signed, session.signature, settings, account.credentials.salt
        )
        return account if genuine else None

    async def _by_password(self, request: Request) -> Admission | None:
        given = basic_credentials(request.headers.get("Authorization"))
        if given is None:
            return None
        name, password = given
        account = self.accounts.find(name)
        if account is None or account.totp is not None:
            raise unauthorized(WRONG)
        if not await self.accounts.check(account, password, request.peer):
            raise unauthorized(WRONG)
        return Admission(User(name, account.roles, "default"))

    async def _by_proxy(self, request: Request) -> Admission | None:
        name = request.headers.get(self._proxy_header("username", "UserName"))
        if name is None or not self._is_trusted_proxy(request, name):
            return None
        roles = request.headers.get(self._proxy_header("roles", "Roles"))
        listed = () if roles is None else split_roles(_text(roles))
        return Admission(User(_text(name), listed, "proxy"))

    def _proxy_header(self, key: str, default: str) -> str:
        return self._config.text("chttpd_auth", f"x_auth_{key}", f"X-Auth-CouchDB-{default}")

    def _is_trusted_proxy(self, request: Request, name: str) -> bool:
        if self._secrets.current is None or not self._config.flag(
            "chttpd_auth", "proxy_use_secret", default=False
        ):
            return True
        text = request.headers.get(self._proxy_header("token", "Token"))
        try:
            token = None if text is None else binascii.unhexlify(text)
        except ValueError:
            token = None
        if token is None:
            raise internal("badarg")  # CouchDB trips over it
        return self._secrets.verify(name, token, self._cookies())

    async def _by_token(self, request: Request) -> Admission | None:
        header = request.headers.get("Authorization", "")
        if not header.startswith("Bearer "):
            return None
        try:
            found = bearer(header.removeprefix("Bearer "), self._config, self._now())
        except InvalidTokenError as error:
            raise bad_request(str(error)) from error
        except ExpiredTokenError as error:
            raise unauthorized(str(error)) from error
        except MissingClaimError as error:
            raise not_found(str(error)) from error
        except MisconfiguredError as error:
            raise internal(str(error), error.error) from error
        return Admission(User(found.name, found.roles, "jwt"))

    def _check_anonymous(self, request: Request) -> None:
        path = tuple(request.segments)
        if path == ("_session",) and request.method == "POST":
            return
        required = self._config.flag("chttpd", "require_valid_user", default=False)
        except_up = self._config.flag("chttpd", "require_valid_user_except_for_up", default=False)
        refuses = required and not except_up if path == ("_up",) else required or except_up
        if refuses:
            raise unauthorized("Authentication required.")


def basic_credentials(header: str | None) -> tuple[str, str] | None:
    """Return name and password of a Basic header; None when there is nothing of the kind in it.

    Broken base64 is answered with 500 or 400, as CouchDB does. `_:_` means: not logged in.
    """
    if header is None or not header.startswith("Basic "):
        return None
    name, colon, password = _decoded(header[6:]).decode(errors="replace").partition(":")
    if not colon or (name, password) == ("_", "_"):
        return None
    return name, password


def _text(header: str) -> str:
    """Return a header as text; bytes that are not UTF-8 are replaced."""
    return header.encode(errors="surrogateescape").decode(errors="replace")


def _decoded(text: str) -> bytes:
    # what is usual first: every request brings it
    if len(text) % 4 == 0:
        with contextlib.suppress(ValueError):
            return binascii.a2b_base64(text, strict_mode=True)
    return _carefully_decoded(text)


def _carefully_decoded(text: str) -> bytes:
    """Decode what CouchDB takes for base64 and Python does not, or raise what CouchDB answers."""
    encoded = "".join(text.split())
    # CouchDB reads four characters after the other, and crashes in the middle of them
    if _NO_BASE64.search(encoded, 0, len(encoded) // 4 * 4):
        raise internal("badarg")
    if len(encoded) % 4 == 0:
        with contextlib.suppress(ValueError):
            return base64.b64decode(encoded, validate=True)
    raise bad_request("Authorization header has invalid base64 value")


async def authenticate(exchange: Exchange) -> User:
    """Return the user of a request; raise CouchError for wrong credentials."""
    user, headers = exchange.request.user, exchange.headers
    if user is not None and "Authorization" not in headers and "Cookie" not in headers:
        return user
    request = Request(exchange.method, exchange.segments, exchange.headers, exchange.peer)
    admission = await exchange.server.auth.admit(request)
    if admission.renewed_cookie is not None:
        exchange.set_cookie = admission.renewed_cookie
    return admission.user
