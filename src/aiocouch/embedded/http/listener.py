"""The listening side of aiohttp, made to take what CouchDB takes: a header that comes twice.

aiohttp refuses a request with two Content-Types, as few other headers. CouchDB puts the values
together, `application/json, application/json`, and goes on.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from aiohttp import web
from aiohttp.http import HttpRequestParser
from aiohttp.http_exceptions import BadHttpMessage

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Listener", "with_merged_headers"]

_BUFFER = 2**16
_LONGEST_HEAD = 2**20
_REQUEST_LINE = re.compile(rb"[A-Z]+ [^ \r\n]+ HTTP/1\.[01]\r\n")
# Where a body ends is not a matter of taste.
_FRAMING = frozenset({b"content-length", b"transfer-encoding"})


class Listener(web.Server):
    """`web.Server` whose connections take repeated headers; the parameters are the same."""

    def __call__(self) -> web.RequestHandler:
        """Return the protocol of one more connection."""
        return _Connection(self, loop=self._loop, **self._kwargs)


class _Connection(web.RequestHandler):
    __slots__ = ()

    def __init__(self, manager: Listener, **options: Any) -> None:
        super().__init__(manager, **options)

        def make() -> HttpRequestParser:
            return HttpRequestParser(
                self,
                options["loop"],
                _BUFFER,
                max_line_size=options["max_line_size"],
                max_field_size=options["max_field_size"],
                payload_exception=web.RequestPayloadError,
                auto_decompress=options["auto_decompress"],
            )

        # aiohttp has renamed it meanwhile: it was `_request_parser` in 3.12.
        name = "_parser" if hasattr(self, "_parser") else "_request_parser"
        setattr(self, name, _Parser(getattr(self, name), make))


class _Parser:
    """aiohttp's parser, which is replaced by a fresh one where it stumbles over repeated headers.

    What has come of a head that is not complete is kept, so that the fresh one gets it whole.
    """

    def __init__(self, parser: Any, make: Callable[[], Any]) -> None:
        self._parser = parser
        self._make = make
        self._head = b""
        self._body: Any = None
        self.feed_data = self._fed(parser)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._parser, name)

    def _fed(self, parser: Any) -> Callable[[bytes], Any]:
        feed = parser.feed_data

        def feed_data(data: bytes) -> Any:
            in_body = self._body is not None and not self._body.is_eof()
            try:
                result = feed(data)
            except BadHttpMessage:
                if not _repeats_headers(self._head + data):
                    raise
                self.feed_data = self._gather
                return self._gather(data)
            if result[0]:
                self._head, self._body = b"", result[0][-1][1]
            elif not in_body:
                self._head += data
            return result

        return feed_data

    def _gather(self, data: bytes) -> Any:
        """Wait for the end of a head with repeated headers, and give it to a fresh parser."""
        self._head += data
        if b"\r\n\r\n" not in self._head and len(self._head) < _LONGEST_HEAD:
            return [], False, b""
        merged = with_merged_headers(self._head)
        if merged is None:
            raise BadHttpMessage("Bad headers")
        self._head, self._body = b"", None
        self._parser = self._make()
        self.feed_data = self._fed(self._parser)
        return self.feed_data(merged)


def _repeats_headers(head: bytes) -> bool:
    """Return whether a head, as far as it has come, has a header twice that can be put together."""
    if _REQUEST_LINE.match(head) is None:
        return False
    lines = head.partition(b"\r\n\r\n")[0].split(b"\r\n")[1:]
    names = [line.partition(b":")[0].lower() for line in lines if b":" in line]
    repeated = {name for name in names if names.count(name) > 1}
    return bool(repeated) and not repeated & _FRAMING


def with_merged_headers(data: bytes) -> bytes | None:
    """Return a request whose repeated headers are put together; None if `data` is not such a request.

    `data` has to begin with the request line and hold the whole head.
    """
    head, end, body = data.partition(b"\r\n\r\n")
    if not end or _REQUEST_LINE.match(data) is None:
        return None
    first, *lines = head.split(b"\r\n")
    merged: dict[bytes, bytes] = {}
    for line in lines:
        name, colon, value = line.partition(b":")
        key = name.lower()
        if not colon or (key in merged and key in _FRAMING):
            return None
        merged[key] = merged[key] + b", " + value.strip(b" \t") if key in merged else line
    if len(merged) == len(lines):
        return None
    return b"\r\n".join([first, *merged.values()]) + end + body
