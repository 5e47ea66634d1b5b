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
_REQUEST_LINE = re.compile(rb"[A-Z]+ [^ \r\n]+ HTTP/1\.[01]\r\n")
# Where a body ends is no matter of taste.
_FRAMING = frozenset({b"content-length", b"transfer-encoding"})


class Listener(web.Server):
    """`web.Server` whose connections take repeated headers; the parameters are the same."""

    def __call__(self) -> web.RequestHandler:
        """Give the protocol of one more connection."""
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
    """aiohttp's parser, which is replaced by a fresh one where it stumbles over repeated headers."""

    def __init__(self, parser: Any, make: Callable[[], Any]) -> None:
        self._parser = parser
        self._make = make
        self.feed_data = self._fed(parser)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._parser, name)

    def _fed(self, parser: Any) -> Callable[[bytes], Any]:
        feed = parser.feed_data

        def feed_data(data: bytes) -> Any:
            try:
                return feed(data)
            except BadHttpMessage:
                merged = with_merged_headers(data)
                if merged is None:
                    raise
            self._parser = self._make()
            self.feed_data = self._fed(self._parser)
            return self.feed_data(merged)

        return feed_data


def with_merged_headers(data: bytes) -> bytes | None:
    """Give a request whose repeated headers are put together; None if `data` is no such request.

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
