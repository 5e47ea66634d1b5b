"""The sessions of aiohttp: one for all requests, one for feeds that wait."""

from __future__ import annotations

import asyncio
import inspect
import ssl
from typing import TYPE_CHECKING, Any

import aiohttp
from multidict import CIMultiDict

from aiocouch._transport.answer import facts_of
from aiocouch._transport.jar import Jar
from aiocouch._transport.limits import checked_timeout
from aiocouch._transport.pool import Pool, Span, pool_of
from aiocouch.exception import InvalidInputError, InvalidTypeError, SessionClosedError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from aiocouch._transport.request import Request

__all__ = ["Session", "Sessions", "closed"]

_PROVING = ("Authorization", "X-Auth-CouchDB-UserName")
_NOBODY: Mapping[str, str] = {}


class Session:
    """A session of aiohttp, the pool of its connector, and whose headers it sends by default."""

    __slots__ = ("_given", "client", "identity", "is_untraced", "pool")

    def __init__(self, given: Mapping[str, str], options: Mapping[str, Any]) -> None:
        self._given = given
        self.client = aiohttp.ClientSession(headers=CIMultiDict(given), **options)
        if self.client.connector is None:
            raise RuntimeError("a session of aiohttp without a connector")
        self.pool: Pool = pool_of(self.client.connector)
        self.is_untraced = not self.client.trace_configs  # no TraceConfig counts what is read
        self.identity: Mapping[str, str] | None = _NOBODY

    def be(self, identity: Mapping[str, str] | None) -> None:
        """Send these headers by default, which is faster than with each request.

        Those that the program has given to the session stay.
        """
        headers = self.client.headers
        headers.clear()
        headers.update(identity or _NOBODY)
        headers.update(self._given)  # names have no case: none is sent twice
        self.identity = identity


class Sessions:
    """Opens the sessions at the first request, in the running loop.

    `own_cookie` is for a session whose `AuthSession` cookie is not aiohttp's to keep.

    Raises `InvalidTypeError` for an option that `aiohttp.ClientSession` does not know.
    """

    def __init__(
        self,
        kwargs: Mapping[str, Any],
        *,
        tls: ssl.SSLContext | None = None,
        own_cookie: bool = False,
    ) -> None:
        self._options = _session_options(kwargs)
        self._secure: dict[str, Any] = {} if tls is None else {"ssl": _checked(tls, kwargs)}
        self._own_cookie = own_cookie and "cookie_jar" not in kwargs
        self._given = CIMultiDict(
            {"Accept": "application/json", "Accept-Encoding": "gzip, deflate"}
        )
        self._given.update(self._options.pop("headers"))
        self.timeout = self._options["timeout"] = checked_timeout(kwargs.get("timeout"))
        self.middlewares = tuple(kwargs.get("middlewares") or ())
        self.total = self.timeout.total
        self.shares_connector = (
            kwargs.get("connector_owner") is False
        )  # with others, after its close
        self._session: Session | None = None
        self._feeds: Session | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._closed = False

    def ready(self, request: Request) -> Session:
        """Return the session for a request. Raise `SessionClosedError`."""
        session = self._session
        if session is None or self._closed or self._loop is not asyncio.get_running_loop():
            session = self._start(request)
        if request.span is None or request.span is Span.ENDS or "connector" in self._options:
            return session
        return self._for_feeds(session)

    @property
    def given(self) -> CIMultiDict[str]:
        """The headers that go with every request, cookies of the program among them."""
        cookies: Mapping[str, str] = self._options.get("cookies") or {}
        if not cookies:
            return self._given
        text = "; ".join(f"{name}={value}" for name, value in dict(cookies).items())
        return CIMultiDict({"Cookie": text, **self._given})

    @property
    def is_closed(self) -> bool:
        """Whether `close` was called."""
        return self._closed

    async def close(self) -> None:
        """Close all connections. From now on `ready` raises."""
        self._closed = True
        for used in (self._session, self._feeds):
            if used is not None:
                await used.client.close()

    @property
    def has_credentials(self) -> bool:
        """Whether the program has given what proves who we are to aiohttp itself."""
        cookie = self._given.get("Cookie", "")
        named = any(name in self._given for name in _PROVING)
        return bool(self._options.get("cookies")) or named or "AuthSession=" in cookie

    def _start(self, request: Request) -> Session:
        if self._closed or self._session is not None:
            what = "is closed" if self._closed else "belongs to another event loop"
            raise closed(request.method, request.path, what)
        options = dict(self._options)
        if self._secure:
            options["connector"] = aiohttp.TCPConnector(**self._secure)
        if self._own_cookie:
            options["cookie_jar"] = Jar()
        self._session = Session(self._given, options)
        self._loop = asyncio.get_running_loop()
        return self._session

    def _for_feeds(self, session: Session) -> Session:
        """Return the session where feeds wait, without a limit: they would take all connections."""
        if self._feeds is None:
            connector = aiohttp.TCPConnector(limit=0, **self._secure)
            shared = {"connector": connector, "cookie_jar": session.client.cookie_jar}
            self._feeds = Session(self._given, {**self._options, **shared})
        return self._feeds


def closed(method: str, path: str, what: str = "was closed") -> SessionClosedError:
    """Return the error for a request or its answer, when the session is closed."""
    facts = facts_of(method, path)
    return SessionClosedError(f"{method} {facts.path}: the session {what}", facts)


def _checked(tls: object, kwargs: Mapping[str, Any]) -> ssl.SSLContext:
    if not isinstance(tls, ssl.SSLContext):
        raise InvalidTypeError(f"tls must be an ssl.SSLContext, not {type(tls).__name__}")
    if kwargs.get("connector") is not None:
        raise InvalidInputError("a connector has its own TLS context: give it to the connector")
    return tls


def _session_options(kwargs: Mapping[str, Any]) -> dict[str, Any]:
    known = inspect.signature(aiohttp.ClientSession).parameters if kwargs else {}
    for name in kwargs:
        if name not in known or name == "base_url":
            raise InvalidTypeError(
                f"unknown option {name!r}: neither ours nor aiohttp.ClientSession's"
            )
    options = {**kwargs, "headers": CIMultiDict(kwargs.get("headers") or {})}
    if options.get("connector", options) is None:
        del options["connector"]
    auth = options.pop("auth", None)
    if auth is not None:
        options["headers"].setdefault("Authorization", auth.encode())
    return options
