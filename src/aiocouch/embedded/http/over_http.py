"""The way in by a socket: what aiohttp has read becomes a request of ours, our answer one of aiohttp."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from aiohttp import HttpVersion11, web

from aiocouch.embedded.http.app import answer
from aiocouch.embedded.http.message import Answer
from aiocouch.embedded.http.phrases import phrase

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Mapping

    from aiocouch.embedded.state import Server

_MOST_UNSENT = 1 << 16


def application(server: Server) -> Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]:
    """Return the handler of all requests to a server that come by a socket."""

    async def handle(request: web.BaseRequest) -> web.StreamResponse:
        if "Expect" in request.headers:
            await _expected(request)
        incoming = _Incoming(request)
        reply = await answer(server, incoming)
        return _whole(reply) if isinstance(reply, Answer) else incoming.response

    return handle


async def _expected(request: web.BaseRequest) -> None:
    if request.headers["Expect"].lower() == "100-continue" and request.version == HttpVersion11:
        with contextlib.suppress(ConnectionError):  # it has hung up: the answer will notice
            await request.writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        # the answer proper has not begun: aiohttp looks at the count to know
        request.writer.output_size = 0


def _whole(reply: Answer) -> web.Response:
    status, headers = reply.status, reply.headers
    kind = _NotModified if status == 304 and "Content-Length" in headers else web.Response
    return kind(body=reply.body, status=status, reason=phrase(status), headers=headers)


class _NotModified(web.Response):
    """304, with the `Content-Length: 0` that aiohttp leaves out and CouchDB sends."""

    async def _write_headers(self) -> None:
        self.headers["Content-Length"] = "0"
        await super()._write_headers()


class _Incoming:
    """A request that aiohttp has read."""

    __slots__ = ("_request", "headers", "method", "raw_path", "response")

    whole = None
    user = None
    write_rows = None
    response: web.StreamResponse

    def __init__(self, request: web.BaseRequest) -> None:
        self._request = request
        self.method = request.method
        self.raw_path = request.raw_path
        self.headers = request.headers

    @property
    def peer(self) -> str:
        return self._request.remote or ""

    @property
    def length(self) -> int | None:
        return self._request.content_length

    @property
    def is_gone(self) -> bool:
        transport = self._request.transport
        return transport is None or transport.is_closing()

    def pieces(self) -> AsyncIterator[bytes]:
        return self._request.content.iter_any()

    async def begin(self, status: int, headers: Mapping[str, str]) -> _Outgoing:
        """Send the head. Without a `Content-Length` among the headers the body is chunked.

        For HTTP/1.0 it then ends with the connection: nothing else tells an old client where.
        """
        response = web.StreamResponse(status=status, reason=phrase(status), headers=headers)
        if "Content-Length" not in headers:
            if self._request.version >= (1, 1):
                response.enable_chunked_encoding()
            else:
                response.force_close()
        await response.prepare(self._request)
        self.response = response
        return _Outgoing(self._request, response)

    def abort(self) -> None:
        transport = self._request.transport
        if transport is not None:
            transport.abort()


class _Outgoing:
    """An answer whose head aiohttp has sent."""

    __slots__ = ("_request", "_response", "status", "write", "write_eof")

    def __init__(self, request: web.BaseRequest, response: web.StreamResponse) -> None:
        self._request = request
        self._response = response
        self.status = response.status
        self.write = response.write
        self.write_eof = response.write_eof

    def push(self, data: bytes) -> bool:
        transport = self._request.transport
        if transport is None or transport.is_closing():
            return False
        if transport.get_write_buffer_size() > _MOST_UNSENT:
            return False
        chunked = self._response.chunked
        transport.write(b"%x\r\n%b\r\n" % (len(data), data) if chunked else data)
        return True
