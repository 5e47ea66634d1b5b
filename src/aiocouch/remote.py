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
from typing import TYPE_CHECKING, Any, NoReturn, Protocol, Self, TypeAlias, TypeGuard, TypeVar

import aiohttp
from multidict import CIMultiDict
from yarl import URL

from aiocouch._wire.codec import DECODE_ERRORS, decode
from aiocouch._wire.rows import BrokenBodyError, LineSplitter, RowSplitter, error_at_end
from aiocouch._wire.texts import Texts
from aiocouch.auth import BasicAuth, Credentials, credentials
from aiocouch.exception import (
    BadRequestError,
    ConflictError,
    CouchDBError,
    Facts,
    InvalidInputError,
    InvalidTypeError,
    SessionClosedError,
    TransportError,
    TruncatedError,
    UnexpectedAnswerError,
    response_error,
    transport_error,
)

if TYPE_CHECKING:
    from types import TracebackType

__all__ = ["HTTPResponse", "Remote", "RemoteServer", "Stream", "Timeout", "silent_for"]

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)
Body = bytes | Texts | AsyncIterable[bytes] | None

JSON = {"Content-Type": "application/json"}
_LARGE = 1 << 20
_PIECE = 1 << 18
_SMALL_PIECE = 1 << 15
_PATIENCE = 8  # small pieces that are taken as they come: short answers must not wait
_REST_SECONDS = 0.002
_LONGEST_REST = 0.016  # for a server that finds its rows slowly
_PACKED = {"Content-Encoding": "gzip"}
_WORTH_IT = 0.8
_SAFE = frozenset({"GET", "HEAD"})
_SENT_AGAIN = frozenset({"PUT", "DELETE"})
"""The writes that aiohttp sends again when a connection turns out to be broken."""
_JSON_BEGINS = (b"{", b"[")
_FOREIGN = (aiohttp.ClientError, TimeoutError)

Timeout: TypeAlias = aiohttp.ClientTimeout


def silent_for(seconds: float | None) -> Timeout:
    """How long a stream may be silent, in seconds; None: for ever. It may last as long as it likes."""
    return Timeout(total=None, sock_connect=30, sock_read=seconds)


_STREAM_TIMEOUT = silent_for(300)


class HTTPResponse:
    """An answer of the server.

    `status` is the HTTP status, usually 200, 201 or 202 (accepted, but not yet by a quorum).
    `headers` is a mapping whose names have no case. `body` is the content, empty for a stream.
    """

    __slots__ = ("body", "headers", "status")

    def __init__(self, resp: aiohttp.ClientResponse, body: bytes = b"") -> None:
        self.status = resp.status
        self.headers = resp.headers
        self.body = body

    @property
    def etag(self) -> str | None:
        """The `ETag` without its quotes: the revision, where the answer is about a document."""
        etag = self.headers.get("ETag")
        return None if etag is None else etag.removeprefix("W/").strip('"')

    def json(self) -> Any:
        """The body, decoded. Raises `UnexpectedAnswerError` when it is no JSON."""
        try:
            return decode(self.body)
        except DECODE_ERRORS as error:
            raise UnexpectedAnswerError(_not_json(self), Facts(status=self.status)) from error

    def __repr__(self) -> str:
        return f"<HTTPResponse {self.status}>"


def _not_json(response: HTTPResponse) -> str:
    content_type = response.headers.get("Content-Type", "no content type")
    return f"the answer is no JSON but {content_type}: is this a CouchDB?"


class Remote:
    """One server, by its URL. The aiohttp session opens at the first request, in the running loop.

    Raises `InvalidInputError` for what is no http or https URL, `InvalidTypeError` for an option
    that `aiohttp.ClientSession` does not know.
    """

    def __init__(
        self,
        server: str,
        *,
        user: str | None = None,
        password: str | None = None,
        cookie: str | None = None,
        gzip_above: int | None = None,
        **kwargs: Any,
    ) -> None:
        self._gzip_above = gzip_above
        url, self.credentials = _split(server, credentials(user, password, cookie))
        self.url = url
        self._options = _session_options(kwargs)
        self._middlewares = tuple(kwargs.get("middlewares") or ())
        self._session: aiohttp.ClientSession | None = None
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
        watch = _Watch() if method in _SENT_AGAIN else None
        options = self._watched_by(watch) if watch else {}
        if headers is None and self._is_to_pack(body):
            body, headers = await _packed(bytes(body))
        try:
            response = await self._open(method, path, body, headers, **options)
            content = await response.read()
        except _FOREIGN as error:
            raise transport_error(error, _facts(method, path)) from error
        if response.status == 415 and headers is _PACKED:
            self._gzip_above = None
            return await self.request(method, path, body=plain)
        if response.status >= 300:
            refusal = _refusal(method, path, response, content)
            if response.status == 400 and method == "HEAD":
                refusal = await self._with_reason(path) or refusal
            raise watch.unclear(refusal) if watch and watch.broke else refusal
        if self.credentials is not None and "Set-Cookie" in response.headers:
            self._renew(self.credentials, response)
        answer = HTTPResponse(response, content)
        if content[:1] not in _JSON_BEGINS and method != "HEAD":
            _refuse_html(method, path, answer)
        return answer

    def stream(
        self,
        method: str,
        path: str,
        *,
        body: Body = None,
        headers: Mapping[str, str] | None = None,
        timeout: Timeout | None = None,
    ) -> Stream:
        """An answer that is read while it comes: `async with remote.stream(…) as stream`."""
        return Stream(self, method, path, body, headers, timeout or self._stream_timeout)

    async def open(
        self,
        method: str,
        path: str,
        body: Body,
        headers: Mapping[str, str] | None,
        timeout: Timeout,
    ) -> aiohttp.ClientResponse:
        """The answer's head. An error status raises; the caller closes the response.

        Who asks for an encoding gets the bytes as they are encoded.
        """
        packed = headers is not None and "Accept-Encoding" in headers
        try:
            response = await self._open(
                method, path, body, headers, timeout=timeout, auto_decompress=not packed
            )
            if response.status < 300:
                return response
            content = await response.read()
        except _FOREIGN as error:
            raise transport_error(error, _facts(method, path)) from error
        raise _refusal(method, path, response, content)

    async def close(self) -> None:
        """Close all connections. Later requests raise `SessionClosedError`."""
        self._closed = True
        if self._session is not None:
            await self._session.close()

    def _open(
        self,
        method: str,
        path: str,
        body: Body,
        headers: Mapping[str, str] | None,
        **options: Any,
    ) -> Awaitable[aiohttp.ClientResponse]:
        """The request of aiohttp, not awaited yet."""
        session = self._session
        if session is None or self._closed or self._loop is not asyncio.get_running_loop():
            session = self._start(method, path)
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

    def _is_to_pack(self, body: Body) -> TypeGuard[bytes | Texts]:
        above = self._gzip_above
        return above is not None and isinstance(body, bytes | Texts) and len(body) > above

    def _watched_by(self, watch: _Watch) -> dict[str, Any]:
        """The option of aiohttp. By itself it would stand for those of the session."""
        return {"middlewares": (*self._middlewares, watch)}

    def _sendable(self, body: bytes | Texts) -> bytes | Texts | _Pieces | io.BytesIO:
        """JSON in the form in which aiohttp sends it best."""
        if self._middlewares:  # one of which may send it again
            whole = bytes(body)
            return whole if len(whole) <= _LARGE else io.BytesIO(whole)
        # aiohttp warns of large bytes, and would write them at once.
        return _Pieces(body) if isinstance(body, bytes) else body

    def _start(self, method: str, path: str) -> aiohttp.ClientSession:
        if self._closed or self._session is not None:
            what = "is closed" if self._closed else "belongs to another event loop"
            facts = _facts(method, path)
            raise SessionClosedError(f"{method} {facts.path}: the session {what}", facts)
        options = dict(self._options)
        own = self.credentials.headers() if self.credentials else {}
        headers = CIMultiDict({"Accept": "application/json", **own})
        headers.update(options.pop("headers"))  # names have no case: none is sent twice
        self._session = aiohttp.ClientSession(headers=headers, **options)
        self._loop = asyncio.get_running_loop()
        return self._session

    def _renew(self, credentials: Credentials, response: aiohttp.ClientResponse) -> None:
        """Keep the cookie that CouchDB pushes to a session that has used some of its time."""
        pushed = response.cookies.get("AuthSession")
        if pushed and pushed.value and self._session and credentials.renew(pushed.value):
            self._session.headers.update(credentials.headers())

    @property
    def has_credentials(self) -> bool:
        """Whether anything that proves who we are is sent."""
        given = self._options.get("cookies") or "Authorization" in self._options["headers"]
        return bool(self.credentials or given)


_Request = tuple[str, str, Body, Mapping[str, str] | None, Timeout]


class Stream:
    """An answer that is read while it comes. An async context manager; leaving it frees the connection.

    `meta` has the members around the rows once they are all read.
    """

    def __init__(self, remote: Remote, *request: *_Request) -> None:
        self.meta: dict[str, Any] = {}
        self._request = request
        self._remote = remote
        self._response: aiohttp.ClientResponse | None = None
        self._rows = RowSplitter()
        self._small_pieces = 0
        self._rest_seconds = _REST_SECONDS
        self._lines = LineSplitter()

    async def __aenter__(self) -> Self:
        self._response = await self._remote.open(*self._request)
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._response is not None:
            self._response.close()

    @property
    def response(self) -> HTTPResponse:
        """Status and headers."""
        return HTTPResponse(self._opened())

    async def chunk(self) -> bytes:
        """The next piece of the content, of any size; empty at the end."""
        try:
            return await self._opened().content.readany()
        except _FOREIGN as error:
            raise transport_error(error, self._facts()) from error

    async def gathered(self) -> bytes:
        """As `chunk`, but of a long body that comes in small pieces it waits for a few of them.

        CouchDB sends each few rows by themselves. To wake up for each costs several times what it
        takes to decode them, so the socket is left alone for a moment and then read in one go.
        """
        chunk = await self.chunk()
        if len(chunk) >= _SMALL_PIECE:
            return chunk
        self._small_pieces += 1
        connection = self._opened().connection
        if (
            self._small_pieces > _PATIENCE
            and connection is not None
            and connection.transport is not None
        ):
            if len(chunk) < _SMALL_PIECE >> 2:
                self._rest_seconds = min(2 * self._rest_seconds, _LONGEST_REST)
            await _rest(connection.transport, self._rest_seconds)
        return chunk

    async def batch(self, decoder: SupportsDecode[list[T]]) -> list[T]:
        """The rows of a list that the next piece of the body completes; empty at the end.

        Raises `TruncatedError` when the body ends before the list does.
        """
        text = None
        try:
            while chunk := await self.gathered():
                text = self._rows.feed(chunk)
                if text is not None:
                    return decoder.decode(text)
            self._rows.close()
        except DECODE_ERRORS as error:
            self._broken(error, error_at_end(text) if text else None)
        except BrokenBodyError as error:
            self._broken(error, error.answer)
        self.meta = self._rows.meta
        if "error" in self.meta:
            self._broken(BrokenBodyError("an error behind the rows"), self.meta)
        return []

    async def lines(self) -> list[bytes]:
        """The lines that the next piece of a continuous feed completes; empty at the end.

        Heartbeats are left out. Raises `TruncatedError` when the feed ends inside of a line.
        """
        while chunk := await self.chunk():
            if lines := self._lines.feed(chunk):
                return lines
        try:
            self._lines.close()
        except BrokenBodyError as error:
            self._broken(error)
        return []

    def decode(self, line: bytes) -> Any:
        """The value of a line. Raises `UnexpectedAnswerError` when it is no JSON."""
        try:
            return decode(line)
        except DECODE_ERRORS as error:
            self._broken(error)

    def refuse(self, row: Any) -> NoReturn:
        """Raise for what is no row: an error that the server has written, or nonsense."""
        answer = row if isinstance(row, dict) and "error" in row else None
        self._broken(BrokenBodyError("a row that CouchDB does not send"), answer)

    def _broken(self, error: Exception, answer: dict[str, Any] | None = None) -> NoReturn:
        facts = self._facts()
        if answer is not None:
            facts = facts._replace(error=str(answer.get("error")), reason=str(answer.get("reason")))
            said = f"{facts.error}: {facts.reason}"
            raise TruncatedError(
                f"{facts.method} {facts.path}: the server broke off: {said}", facts
            )
        response = self.response
        if "json" not in response.headers.get("Content-Type", "json"):
            raise UnexpectedAnswerError(
                f"{facts.method} {facts.path}: {_not_json(response)}", facts
            )
        raise TruncatedError(f"{facts.method} {facts.path}: {error}", facts) from error

    def _facts(self) -> Facts:
        facts = _facts(self._request[0], self._request[1])
        if self._response is None:
            return facts
        return facts._replace(
            status=self._response.status,
            request_id=self._response.headers.get("X-Couch-Request-ID"),
        )

    def _opened(self) -> aiohttp.ClientResponse:
        if self._response is None:
            raise RuntimeError("a stream is read inside of 'async with'")
        return self._response


RemoteServer = Remote  # its name of old


async def _packed(body: bytes) -> tuple[bytes, Mapping[str, str] | None]:
    """A body compressed, with the header that says so, where that makes it smaller."""
    packed = await asyncio.to_thread(zlib.compress, body, 1, zlib.MAX_WBITS | 16)
    return (packed, _PACKED) if len(packed) < _WORTH_IT * len(body) else (body, None)


async def _rest(transport: asyncio.Transport, seconds: float) -> None:
    """Let the kernel gather what comes."""
    transport.pause_reading()
    try:
        await asyncio.sleep(seconds)
    finally:
        transport.resume_reading()


class _Watch:
    """Sees whether a connection broke under a request, which is then sent again."""

    def __init__(self) -> None:
        self.broke = False

    async def __call__(
        self, request: aiohttp.ClientRequest, handler: aiohttp.ClientHandlerType
    ) -> aiohttp.ClientResponse:
        try:
            return await handler(request)
        except aiohttp.ClientConnectorError:
            raise  # nothing was sent
        except Exception:
            self.broke = True
            raise

    def unclear(self, refusal: CouchDBError) -> CouchDBError:
        """What a conflict is then: maybe one with itself. Who takes it for another's writes twice."""
        if not isinstance(refusal, ConflictError):
            return refusal
        facts = Facts(*(getattr(refusal, name) for name in Facts._fields))
        said = (
            "the connection broke, and when it was sent again, it met a conflict, maybe with itself"
        )
        error = TransportError(f"{refusal}; {said}", facts)
        error.__cause__ = refusal
        return error


class _Pieces:
    """A large body in pieces, from its beginning each time that it must be sent."""

    def __init__(self, body: bytes) -> None:
        self._body = body

    async def __aiter__(self) -> AsyncGenerator[bytes, None]:
        for start in range(0, len(self._body), _PIECE):
            yield self._body[start : start + _PIECE]


class SupportsDecode(Protocol[T_co]):
    """A typed decoder of msgspec."""

    def decode(self, buf: bytes, /) -> T_co:
        """The value of a JSON text."""
        ...


def _facts(method: str, path: str) -> Facts:
    return Facts(method, path.partition("?")[0])


def _refusal(
    method: str, path: str, response: aiohttp.ClientResponse, content: bytes
) -> CouchDBError:
    """The error for an answer with an error status."""
    try:
        said = decode(content)
    except DECODE_ERRORS:
        said = None
    words = said if isinstance(said, dict) else {}
    facts = _facts(method, path)._replace(
        status=response.status,
        error=_word(words.get("error")),
        reason=_word(words.get("reason")) or response.reason,
        request_id=response.headers.get("X-Couch-Request-ID"),
    )
    return response_error(facts, response.headers)


def _refuse_html(method: str, path: str, answer: HTTPResponse) -> None:
    """Raise for the page of a proxy."""
    if answer.headers.get("Content-Type", "").startswith("text/html"):
        facts = _facts(method, path)._replace(status=answer.status)
        raise UnexpectedAnswerError(f"{method} {facts.path}: {_not_json(answer)}", facts)


def _word(value: Any) -> str | None:
    return value if value is None or isinstance(value, str) else str(value)


def _split(server: str, given: Credentials | None) -> tuple[str, Credentials | None]:
    """The URL without its credentials and without a slash at its end, and who we are."""
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
