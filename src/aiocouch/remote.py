"""HTTP to one CouchDB server: the two doors through which every request goes.

`Remote.request` sends and reads the whole answer, `Remote.stream` reads rows, lines or bytes as they
come. Both map every error to a class of `aiocouch.exception`. No other module knows aiohttp's client.
"""

from __future__ import annotations

import asyncio
import inspect
import io
import zlib
from collections.abc import AsyncGenerator, AsyncIterable, Awaitable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias, TypeGuard
from weakref import WeakKeyDictionary

import aiohttp
from multidict import CIMultiDict
from yarl import URL

from aiocouch._former.server import RemoteServer
from aiocouch._renamed import door
from aiocouch._transport.answer import HTTPResponse, facts_of, refusal, refuse_html
from aiocouch._transport.body import FOREIGN, ResponseBody
from aiocouch._transport.pool import Place, Pool, Span, pool_of
from aiocouch._transport.stream import Stream
from aiocouch._transport.watch import SENT_AGAIN, Watch
from aiocouch._wire.codec import encoder
from aiocouch._wire.texts import Texts
from aiocouch.auth import BasicAuth, Credentials, credentials
from aiocouch.exception import (
    BadRequestError,
    CouchDBError,
    InvalidInputError,
    InvalidTypeError,
    SessionClosedError,
    transport_error,
)

__all__ = ["HTTPResponse", "Remote", "RemoteServer", "Span", "Stream", "Timeout", "silent_for"]

Body = bytes | Texts | AsyncIterable[bytes] | None

JSON = {"Content-Type": "application/json"}
_LARGE = 1 << 20
_PIECE = 1 << 18
_PACKED = {"Content-Encoding": "gzip"}
_WORTH_IT = 0.8
_SAFE = frozenset({"GET", "HEAD"})
_JSON_BEGINS = (b"{", b"[")

Timeout: TypeAlias = aiohttp.ClientTimeout


def silent_for(seconds: float | None) -> Timeout:
    """How long a stream may be silent, in seconds; None: for ever. It may last as long as it likes."""
    return Timeout(total=None, sock_connect=30, sock_read=seconds)


_STREAM_TIMEOUT = silent_for(300)


class _Session(NamedTuple):
    client: aiohttp.ClientSession
    pool: Pool


class Remote(RemoteServer):
    """One server, by its URL. The aiohttp session opens at the first request, in the running loop.

    Raises `InvalidInputError` for what is no http or https URL, `InvalidTypeError` for an option
    that `aiohttp.ClientSession` does not know.
    """

    def __init__(
        self,
        server: str | URL | None,
        *,
        user: str | None = None,
        password: str | None = None,
        cookie: str | None = None,
        gzip_above: int | str | None = None,
        **kwargs: Any,
    ) -> None:
        self._gzip_above = _number_of_bytes(gzip_above)
        url, self.credentials = _split(server, credentials(user, password, cookie))
        self.url = url
        self._options = _session_options(kwargs)
        self.encode = encoder(kwargs.get("json_serialize_bytes") or kwargs.get("json_serialize"))
        self._middlewares = tuple(kwargs.get("middlewares") or ())
        self._session: _Session | None = None
        self._feeds: _Session | None = None
        self._reading: set[aiohttp.ClientResponse] = set()
        self._coming: WeakKeyDictionary[ResponseBody, str] = WeakKeyDictionary()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._closed = False
        self._stream_timeout = kwargs.get("timeout") or _STREAM_TIMEOUT

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.url}>"

    async def request(
        self, method: str, path: str, *, body: Body = None, headers: Mapping[str, str] | None = None
    ) -> HTTPResponse:
        """Send, and read the whole answer. `path` begins with a slash and is quoted already."""
        plain = body
        watch = Watch(method) if method in SENT_AGAIN else None
        options = self._watched_by(watch) if watch else {}
        if headers is None and self._is_to_pack(body):
            body, headers = await _packed(bytes(body))
        session, pool = self._ready(method, path)
        pool.busy += 1
        try:
            if pool.busy > pool.limit:
                pool.make_room(facts_of(method, path))
            response = await self._open(session, method, path, body, headers, **options)
            self._reading.add(response)
            try:
                content = await response.read()
            finally:
                self._reading.discard(response)
        except FOREIGN as error:
            raise transport_error(error, facts_of(method, path)) from error
        finally:
            pool.busy -= 1
        if response.status == 415 and headers is _PACKED:
            self._gzip_above = None
            return await self.request(method, path, body=plain)
        if response.status >= 300:
            refused = refusal(method, path, response, content)
            if response.status == 400 and method == "HEAD":
                refused = await self._with_reason(path) or refused
            raise watch.unclear(refused) if watch and watch.broke else refused
        if self.credentials is not None and "Set-Cookie" in response.headers:
            self._renew(self.credentials, response)
        answer = HTTPResponse(response, content)
        if content[:1] not in _JSON_BEGINS and method != "HEAD":
            refuse_html(method, path, answer)
        return answer

    def stream(
        self,
        method: str,
        path: str,
        *,
        body: Body = None,
        headers: Mapping[str, str] | None = None,
        timeout: Timeout | None = None,
        span: Span = Span.ENDS,
    ) -> Stream:
        """An answer that is read while it comes: `async with remote.stream(…) as stream`."""
        patience = timeout or self._stream_timeout
        opener = partial(
            self._open_stream, method, path, body, headers, timeout=patience, span=span
        )
        return Stream(opener, method, path)

    async def _open_stream(
        self,
        method: str,
        path: str,
        body: Body,
        headers: Mapping[str, str] | None,
        *,
        timeout: Timeout,
        span: Span,
    ) -> ResponseBody:
        """The answer's head. An error status raises; the caller closes the body.

        Who asks for an encoding gets the bytes as they are encoded.
        """
        session = self._ready(method, path)
        if span is not Span.ENDS and self._options.get("connector") is None:
            session = self._for_feeds(session)
        client, pool = session
        place = Place(pool, span)
        try:
            if pool.busy > pool.limit:
                pool.make_room(facts_of(method, path))
            response = await self._begin(client, method, path, body, headers, timeout=timeout)
        except BaseException:
            place.leave()
            raise
        body_of_answer = ResponseBody(response, place)
        self._coming[body_of_answer] = path
        return body_of_answer

    async def _begin(
        self,
        session: aiohttp.ClientSession,
        method: str,
        path: str,
        body: Body,
        headers: Mapping[str, str] | None,
        *,
        timeout: Timeout,
    ) -> aiohttp.ClientResponse:
        packed = headers is not None and "Accept-Encoding" in headers
        options = {"timeout": timeout, "auto_decompress": not packed}
        try:
            response = await self._open(session, method, path, body, headers, **options)
            if response.status < 300:
                return response
            content = await response.read()
        except FOREIGN as error:
            raise transport_error(error, facts_of(method, path)) from error
        raise refusal(method, path, response, content)

    def cut_streams(self, folder: str, why: str) -> None:
        """Raise `TruncatedError` in all streams of paths in the folder that have not come whole."""
        for body, path in list(self._coming.items()):
            if path.startswith(f"{folder}/") and body.is_coming:
                body.cut(aiohttp.ClientPayloadError(why))

    async def close(self) -> None:
        """Close all connections. Later requests raise `SessionClosedError`, streams `TruncatedError`."""
        self._closed = True
        # aiohttp would let some of them wait for ever.
        self.cut_streams("", "the session was closed")
        for response in list(self._reading):
            response.close()
        for used in (self._session, self._feeds):
            if used is not None:
                await used.client.close()

    def _ready(self, method: str, path: str) -> _Session:
        """The session for all but feeds. Raises `SessionClosedError`."""
        session = self._session
        if session is None or self._closed or self._loop is not asyncio.get_running_loop():
            return self._start(method, path)
        return session

    def _for_feeds(self, session: _Session) -> _Session:
        """Where feeds wait, without a limit of connections: they would take all of the others'."""
        if self._feeds is None:
            connector = aiohttp.TCPConnector(limit=0)
            shared = session.client.cookie_jar
            self._feeds = self._new_session(connector=connector, cookie_jar=shared)
        return self._feeds

    def _open(
        self,
        session: aiohttp.ClientSession,
        method: str,
        path: str,
        body: Body,
        headers: Mapping[str, str] | None,
        **options: Any,
    ) -> Awaitable[aiohttp.ClientResponse]:
        """The request of aiohttp, not awaited yet."""
        if method not in _SAFE:
            options["allow_redirects"] = False  # a redirected write would be repeated as a GET
        if type(body) is bytes and len(body) <= _LARGE:
            headers = {**JSON, **headers} if headers else JSON
            options["data"] = body
        elif isinstance(body, bytes | Texts):
            headers = {**JSON, "Content-Length": str(len(body)), **(headers or {})}
            options["data"] = self._sendable(body)
        elif body is not None:
            options["data"] = body
        return session.request(
            method,
            URL(self.url + path, encoded=True),
            headers=headers,
            raise_for_status=False,
            **options,
        )

    async def _with_reason(self, path: str) -> CouchDBError | None:
        """The refusal of a GET, whose body tells the reason, as that of a HEAD cannot."""
        try:
            async with self.stream("GET", path):
                return None
        except BadRequestError as error:
            return error
        except CouchDBError:
            return None

    def session(self) -> aiohttp.ClientSession:
        """The session of aiohttp, which is opened if it was not yet."""
        return self._ready("GET", "/").client

    def _is_to_pack(self, body: Body) -> TypeGuard[bytes | Texts]:
        above = self._gzip_above
        return above is not None and isinstance(body, bytes | Texts) and len(body) > above

    def _watched_by(self, watch: Watch) -> dict[str, Any]:
        """The option of aiohttp. By itself it would stand for those of the session."""
        return {"middlewares": (*self._middlewares, watch)}

    def _sendable(self, body: bytes | Texts) -> bytes | Texts | _Pieces | io.BytesIO:
        """JSON in the form in which aiohttp sends it best."""
        if self._middlewares:  # one of which may send it again
            whole = bytes(body)
            return whole if len(whole) <= _LARGE else io.BytesIO(whole)
        # aiohttp warns of large bytes, and would write them at once.
        return _Pieces(body) if isinstance(body, bytes) else body

    def _start(self, method: str, path: str) -> _Session:
        if self._closed or self._session is not None:
            what = "is closed" if self._closed else "belongs to another event loop"
            facts = facts_of(method, path)
            raise SessionClosedError(f"{method} {facts.path}: the session {what}", facts)
        self._session = self._new_session()
        self._loop = asyncio.get_running_loop()
        return self._session

    def _new_session(self, **different: Any) -> _Session:
        options = {**self._options, **different}
        own = self.credentials.headers() if self.credentials else {}
        headers = CIMultiDict({"Accept": "application/json", **own})
        headers.update(options.pop("headers"))  # names have no case: none is sent twice
        client = aiohttp.ClientSession(headers=headers, **options)
        connector = client.connector
        if connector is None:
            raise RuntimeError("a session of aiohttp without a connector")
        return _Session(client, pool_of(connector))

    def _renew(self, credentials: Credentials, response: aiohttp.ClientResponse) -> None:
        """Keep the cookie that CouchDB pushes to a session that has used some of its time."""
        pushed = response.cookies.get("AuthSession")
        if pushed and pushed.value and credentials.renew(pushed.value):
            for used in (self._session, self._feeds):
                if used is not None:
                    used.client.headers.update(credentials.headers())

    @property
    def has_credentials(self) -> bool:
        """Whether anything that proves who we are is sent."""
        given = self._options.get("cookies") or "Authorization" in self._options["headers"]
        return bool(self.credentials or given)


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


async def _packed(body: bytes) -> tuple[bytes, Mapping[str, str] | None]:
    """A body compressed, with the header that says so, where that makes it smaller."""
    packed = await asyncio.to_thread(zlib.compress, body, 1, zlib.MAX_WBITS | 16)
    return (packed, _PACKED) if len(packed) < _WORTH_IT * len(body) else (body, None)


class _Pieces:
    """A large body in pieces, from its beginning each time that it must be sent."""

    def __init__(self, body: bytes) -> None:
        self._body = body

    async def __aiter__(self) -> AsyncGenerator[bytes, None]:
        for start in range(0, len(self._body), _PIECE):
            yield self._body[start : start + _PIECE]


def _number_of_bytes(given: int | str | None) -> int | None:
    try:
        return None if given is None else int(given)
    except (TypeError, ValueError):
        raise InvalidInputError(f"gzip_above={given!r} is no number of bytes") from None


def _split(server: str | URL | None, given: Credentials | None) -> tuple[str, Credentials | None]:
    """The URL without its credentials and without a slash at its end, and who we are."""
    if server is None:
        raise InvalidTypeError("the server is None: is the variable that has its URL not set?")
    if not isinstance(server, str | URL):
        raise InvalidTypeError(f"the server must be a URL, not {type(server).__name__}")
    try:
        url = URL(server)
        user, password, port = url.user, url.password, url.port
    except (ValueError, UnicodeError):
        raise InvalidInputError("the server is no URL that can be read") from None
    bare = url.with_user(None) if url.host else url
    if url.scheme not in {"http", "https"} or not url.host or port is None:
        raise InvalidInputError(f"the server must be an http or https URL with a host: {bare!s}")
    if url.query_string or url.fragment:
        raise InvalidInputError(f"the server's URL must have no query and no fragment: {bare!s}")
    if user:
        given = BasicAuth(user, password or "")
    return str(bare).rstrip("/"), given


def _session_options(kwargs: Mapping[str, Any]) -> dict[str, Any]:
    known = inspect.signature(aiohttp.ClientSession).parameters if kwargs else {}
    for name in kwargs:
        if name not in known or name == "base_url":
            raise InvalidTypeError(
                f"unknown option {name!r}: neither ours nor aiohttp.ClientSession's"
            )
    options = {**kwargs, "headers": CIMultiDict(kwargs.get("headers") or {})}
    auth = options.pop("auth", None)
    if auth is not None:
        options["headers"].setdefault("Authorization", auth.encode())
    return options
