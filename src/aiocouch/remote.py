"""HTTP to one CouchDB server: the doors through which every request goes.

`Remote.request` sends and reads the whole answer, `Remote.json` decodes it into a type, `Remote.stream`
reads rows, lines or bytes as they come. Behind them a request goes through the steps of `_transport`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TypeVar, cast

import aiohttp

from aiocouch._former.server import RemoteServer
from aiocouch._hints import complete
from aiocouch._locals import forgets
from aiocouch._renamed import door
from aiocouch._transport.answer import HTTPResponse, check_members
from aiocouch._transport.authenticate import Authenticate
from aiocouch._transport.host import host_in
from aiocouch._transport.limits import MOST, Timeout, checked_size, silence_of, silent_for
from aiocouch._transport.node import node_step
from aiocouch._transport.pack import Pack, number_of_bytes
from aiocouch._transport.policy import DEFAULT, RetryPolicy, checked_policy
from aiocouch._transport.pool import Span
from aiocouch._transport.request import NOTHING, Body, Repeat, Request, Settle, Step
from aiocouch._transport.retry import Retry
from aiocouch._transport.send import Send
from aiocouch._transport.sessions import Sessions
from aiocouch._transport.stream import Stream
from aiocouch._transport.trace import Trace
from aiocouch._transport.url import Servers, split_all
from aiocouch._wire.codec import encoder
from aiocouch._wire.options import with_query
from aiocouch.auth import CookieAuth, LoginAuth, credentials
from aiocouch.exception import InvalidInputError, InvalidTypeError
from aiocouch.hooks import checked_hooks

if TYPE_CHECKING:
    import ssl
    from collections.abc import Awaitable, Callable, Iterable

    from aiocouch._transport.answer import Coming
    from aiocouch._transport.direct import Direct
    from aiocouch._transport.host import Host
    from aiocouch.auth import Auth
    from aiocouch.hooks import Hooks

__all__ = [
    "NOTHING",
    "HTTPResponse",
    "Remote",
    "RemoteServer",
    "Span",
    "Stream",
    "Timeout",
    "silent_for",
]

T = TypeVar("T")


class Remote(RemoteServer):
    """One server, by its URL, or several nodes of a cluster.

    The aiohttp session opens at the first request, in the running loop.

    Raises `InvalidInputError` for what is not an http or https URL, `InvalidTypeError` for an option
    that `aiohttp.ClientSession` does not know.
    """

    @forgets
    def __init__(
        self,
        server: Servers,
        *,
        user: str | None = None,
        password: str | None = None,
        cookie: str | None = None,
        gzip_above: int | str | None = None,
        max_size: int | None = MOST,
        retry: RetryPolicy | None = DEFAULT,
        resume: bool = True,
        auth: Auth | aiohttp.BasicAuth | None = None,
        tls: ssl.SSLContext | None = None,
        hooks: Hooks | Iterable[Hooks] | None = None,
        **kwargs: Any,
    ) -> None:
        pack_above = number_of_bytes(gzip_above)
        host = host_in(server)
        urls, named, secret = split_all(server) if host is None else ([host.url], None, None)
        self.url = urls[0]
        if named:
            user, password, cookie = named, secret, None
        if isinstance(auth, aiohttp.BasicAuth):
            kwargs, auth = {**kwargs, "auth": auth}, None
        says_nothing = user is password is cookie is None
        self.credentials = credentials(user, password, cookie, auth)
        if self.credentials is not None:
            self.credentials.joins(*urls)
        own_cookie = isinstance(self.credentials, CookieAuth | LoginAuth)
        self._sessions = Sessions(kwargs, tls=tls, own_cookie=own_cookie)
        self.encode = encoder(kwargs.get("json_serialize_bytes") or kwargs.get("json_serialize"))
        self._stream_timeout = silence_of(self._sessions.timeout)
        self.max_size = checked_size(max_size)
        is_trusted = says_nothing and not self.has_credentials  # an empty name is nobody's
        self._send = self._last_step(host, kwargs, tls, is_trusted=is_trusted)
        self._authenticate = Authenticate(self._send, self.credentials)
        policy = checked_policy(retry)
        self.resume = policy if resume else None  # how often rows that break off go on
        self.tries_again = policy is not None
        self._node = node_step(self._authenticate, urls, policy)
        self._retry = Retry(self._node, policy, self._sessions.total)
        ask: Step = self._retry
        ask = ask if pack_above is None else Pack(ask, pack_above)
        ask = Trace(ask, self.url, checked_hooks(hooks))
        self._ask = cast("Callable[[Request], Awaitable[HTTPResponse]]", ask)
        self._begin = cast("Callable[[Request], Awaitable[Coming]]", ask)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {vars(self).get('url', 'that was not made')}>"

    def _last_step(
        self,
        host: Host | None,
        options: Mapping[str, Any],
        tls: ssl.SSLContext | None,
        *,
        is_trusted: bool,
    ) -> Send | Direct:
        if host is None:
            return Send(self._sessions, self.max_size)
        from aiocouch._transport.direct import Direct, check_options

        check_options(options, tls)
        return Direct(host, self._sessions, self.max_size, is_trusted=is_trusted)

    @property
    def is_inside(self) -> bool:
        """Whether the server is in this process."""
        return not isinstance(self._send, Send)

    async def open(self) -> None:
        """Open a server in this process; of any other, the first request opens the connection."""
        await self._send.open()

    def request(
        self,
        method: str,
        path: str,
        *,
        body: Body = None,
        headers: Mapping[str, str] | None = None,
        repeat: Repeat | None = None,
        settle: Settle | None = None,
        html: bool = False,
    ) -> Awaitable[HTTPResponse]:
        """Send, and return the whole answer. `path` begins with a slash and is quoted already.

        Raise `UnexpectedAnswerError` for a page in HTML, which is a proxy's, unless `html`.
        """
        request = Request(method, path, body, headers, None, None, repeat, settle, html=html)
        return self._ask(request)

    async def json(
        self,
        method: str,
        path: str,
        *,
        into: type[T],
        body: Body = None,
        headers: Mapping[str, str] | None = None,
        having: Iterable[str] = (),
        repeat: Repeat | None = None,
        settle: Settle | None = None,
    ) -> T:
        """Send, and decode the whole answer into a type, as msgspec does.

        Raise `UnexpectedAnswerError` when the answer is not of that type, or is a dict without one of
        the members that it must be `having`.
        """
        request = Request(method, path, body, headers, None, None, repeat, settle)
        answer = await self._ask(request)
        found = answer.json(into)
        if having and isinstance(found, dict):
            check_members(method, path, answer, found, having)
        return found

    async def raw(
        self,
        method: str,
        path: str,
        *,
        json: object = NOTHING,
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        params: Mapping[str, Any] | None = None,
    ) -> HTTPResponse:
        """Send what a user has put together, and read the whole answer, of any kind.

        `json` is encoded, `body` is sent as it is; in `params` text stands as it is and all else as JSON.
        Raise `InvalidTypeError` for both a `json` and a `body`.
        """
        for name, given in (("headers", headers), ("params", params)):
            if not isinstance(given, Mapping | None):
                raise InvalidTypeError(f"{name}= must be a dict, not {type(given).__name__}")
        if json is not NOTHING:
            if body is not None:
                raise InvalidTypeError("a request has json or body, not both")
            body = self.encode(json)
        target = with_query(path, params) if params else path
        return await self.request(method, target, body=body, headers=headers, html=True)

    def stream(
        self,
        method: str,
        path: str,
        *,
        body: Body = None,
        headers: Mapping[str, str] | None = None,
        timeout: Timeout | None = None,
        span: Span = Span.ENDS,
        repeat: Repeat | None = None,
        rows: bool = False,
    ) -> Stream:
        """Return an answer that is read while it comes: `async with remote.stream(…) as stream`.

        With `rows` it is read by `batch` for documents: they need not travel as text in this process.
        """
        patience = timeout or self._stream_timeout
        request = Request(method, path, body, headers, patience, span, repeat, rows=rows)
        return Stream(self._begin, request, self.max_size)

    def cut_streams(self, folder: str, why: str) -> None:
        """Raise `TruncatedError` in all streams of paths in the folder that have not come whole."""
        self._send.cut(folder, lambda method, path: aiohttp.ClientPayloadError(why))

    async def close(self) -> None:
        """Close all connections. `SessionClosedError` is raised where one is used, now and later."""
        self._retry.close()
        self._send.stop()
        await self._node.close()
        await self._send.close()

    def session(self) -> aiohttp.ClientSession:
        """Return the session of aiohttp, which is opened if it was not yet.

        Raise `InvalidInputError` where the server is in this process, and nothing goes by aiohttp.
        """
        if self.is_inside:
            raise InvalidInputError(
                f"{self.url} is in this process: there is no session of aiohttp"
            )
        session = self._sessions.ready(Request("GET", "/"))
        session.be(self._authenticate.identity)
        return session.client

    @property
    def has_credentials(self) -> bool:
        """Whether anything that proves who we are is sent."""
        return bool(self.credentials) or self._sessions.has_credentials


if TYPE_CHECKING:
    from aiocouch._former.resources import RemoteAttachment as RemoteAttachment
    from aiocouch._former.resources import RemoteDatabase as RemoteDatabase
    from aiocouch._former.resources import RemoteDocument as RemoteDocument
    from aiocouch._former.resources import RemoteView as RemoteView
    from aiocouch._former.server import RequestResult as RequestResult
else:
    _RESOURCES, _SERVER = "aiocouch._former.resources", "aiocouch._former.server"
    __getattr__ = door(
        __name__,
        {
            "RemoteAttachment": (_RESOURCES, "aiocouch.Attachment"),
            "RemoteDatabase": (_RESOURCES, "aiocouch.Database"),
            "RemoteDocument": (_RESOURCES, "aiocouch.Document"),
            "RemoteView": (_RESOURCES, "aiocouch.View"),
            "RequestResult": (_SERVER, "aiocouch.HTTPResponse"),
            "_quote_id": (_SERVER, "the public methods, which quote ids"),
            "_stringify_params": (_SERVER, "the options of the public methods"),
        },
    )

complete("aiocouch")
