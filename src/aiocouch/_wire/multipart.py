"""Multipart bodies, read and written piece by piece.

Pure: no I/O, no event loop. The parser is pushed chunks of any size and gives back events; it holds
at most one header block and one boundary's length of body. The writer builds the framing exactly
as CouchDB writes it (`multipart/related` of a document, `multipart/mixed` of revisions).

A part that is multipart itself is read with a second parser, see `boundary_of`.
"""

from __future__ import annotations

import re
import secrets
from email.message import Message
from enum import Enum
from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

MAX_HEADER_BYTES = 64 * 1024
"""The longest header block of one part that is accepted, in bytes."""

MULTIPART = "multipart/"


_LINE_END = re.compile("\r?\n")


class MultipartError(ValueError):
    """The body is not well-formed multipart, or it ended too early."""


class TooLongError(MultipartError):
    """What was to be read whole is longer than it may be."""


class PartBegin(msgspec.Struct, frozen=True):
    """A part starts; `headers` have lower-case names."""

    headers: Mapping[str, str] = msgspec.field(default_factory=dict)


class PartData(msgspec.Struct, frozen=True):
    """Some bytes of the current part's body, never empty."""

    data: bytes


class PartEnd(msgspec.Struct, frozen=True):
    """The current part is complete."""


PartEvent = PartBegin | PartData | PartEnd


class _State(Enum):
    PREAMBLE = 0
    AFTER_BOUNDARY = 1
    HEADERS = 2
    EMPTY_BODY = 3
    BODY = 4
    DONE = 5


class MultipartParser:
    """An incremental parser: `feed` it chunks, then `close` it.

    Lines may end in CRLF or in a bare LF before the headers' end, as lenient servers do.
    What stands before the first boundary and after the last is skipped.
    """

    def __init__(self, boundary: str) -> None:
        if not boundary:
            raise MultipartError("the boundary is empty")
        self._mark = b"--" + boundary.encode("utf-8", "surrogateescape")
        self._delimiter = b"\r\n" + self._mark
        # The very first boundary needs no line break before it: pretend there was one.
        self._buffer = bytearray(b"\r\n")
        self._state = _State.PREAMBLE
        self._steps = {
            _State.PREAMBLE: self._preamble,
            _State.AFTER_BOUNDARY: self._after_boundary,
            _State.HEADERS: self._headers,
            _State.EMPTY_BODY: self._empty_body,
            _State.BODY: self._body,
            _State.DONE: self._done,
        }

    @property
    def finished(self) -> bool:
        """Whether the closing boundary has been seen."""
        return self._state is _State.DONE

    def feed(self, data: bytes) -> list[PartEvent]:
        """Take the next chunk and return what it completes, in order.

        Raise `MultipartError` when the framing is broken.
        """
        self._buffer += data
        events: list[PartEvent] = []
        while self._steps[self._state](events):
            pass
        return events

    def close(self) -> None:
        """Say that the input ended. Raise `MultipartError` unless the last boundary was read."""
        if not self.finished:
            raise MultipartError("the multipart body ended before its closing boundary")

    def _preamble(self, events: list[PartEvent]) -> bool:
        del events
        found = self._buffer.find(self._delimiter)
        if found < 0:
            self._drop_all_but(len(self._delimiter) - 1)
            return False
        del self._buffer[: found + len(self._delimiter)]
        self._state = _State.AFTER_BOUNDARY
        return True

    def _drop_all_but(self, keep: int) -> None:
        if len(self._buffer) > keep:
            del self._buffer[: len(self._buffer) - keep]

    def _after_boundary(self, events: list[PartEvent]) -> bool:
        del events
        if self._buffer[:2] == b"--":
            self._buffer.clear()
            self._state = _State.DONE
            return False
        end = self._buffer.find(b"\n")
        if end < 0:
            return self._need_more("a boundary line")
        if self._buffer[:end].strip():
            raise MultipartError("there is text after a boundary")
        del self._buffer[: end + 1]
        self._state = _State.HEADERS
        return True

    def _need_more(self, what: str) -> bool:
        if len(self._buffer) > MAX_HEADER_BYTES:
            raise MultipartError(f"{what} is longer than {MAX_HEADER_BYTES} bytes")
        return False

    def _headers(self, events: list[PartEvent]) -> bool:
        found = self._header_end()
        if found is None:
            return self._need_more("a header block")
        end, length = found
        events.append(PartBegin(parse_headers(bytes(self._buffer[:end]))))
        del self._buffer[: end + length]
        self._state = _State.EMPTY_BODY
        return True

    def _header_end(self) -> tuple[int, int] | None:
        for blank in (b"\r\n", b"\n"):
            if self._buffer.startswith(blank):
                return 0, len(blank)
        ends = [
            (at, len(blank))
            for blank in (b"\r\n\r\n", b"\n\n")
            if (at := self._buffer.find(blank)) >= 0
        ]
        return min(ends, default=None)

    def _empty_body(self, events: list[PartEvent]) -> bool:
        """See whether the boundary follows the headers at once: a body without even a CRLF."""
        if self._buffer.startswith(self._mark):
            return self._end_part(events, 0, len(self._mark))
        if self._mark.startswith(bytes(self._buffer)):
            return False
        self._state = _State.BODY
        return True

    def _body(self, events: list[PartEvent]) -> bool:
        found = self._buffer.find(self._delimiter)
        if found >= 0:
            return self._end_part(events, found, len(self._delimiter))
        self._give(events, self._safe_length())
        return False

    def _safe_length(self) -> int:
        """Return how many bytes cannot belong to a delimiter that has only begun."""
        start = max(0, len(self._buffer) - len(self._delimiter) + 1)
        at = self._buffer.find(b"\r", start)
        while at >= 0:
            if self._delimiter.startswith(bytes(self._buffer[at:])):
                return at
            at = self._buffer.find(b"\r", at + 1)
        return len(self._buffer)

    def _give(self, events: list[PartEvent], length: int) -> None:
        if length:
            events.append(PartData(bytes(self._buffer[:length])))
            del self._buffer[:length]

    def _end_part(self, events: list[PartEvent], at: int, length: int) -> bool:
        self._give(events, at)
        del self._buffer[:length]
        events.append(PartEnd())
        self._state = _State.AFTER_BOUNDARY
        return True

    def _done(self, events: list[PartEvent]) -> bool:
        del events
        self._buffer.clear()
        return False


def parse_headers(block: bytes) -> dict[str, str]:
    """Return the headers of a block as a dict with lower-case names; the last one wins.

    Raise `MultipartError` for a line without a colon.
    """
    headers: dict[str, str] = {}
    name = ""
    # not splitlines(), which takes more for the end of a line, and names of attachments have any text
    for line in _LINE_END.split(block.decode("utf-8", "surrogateescape")) if block else ():
        if line[:1] in " \t" and name:
            headers[name] += " " + line.strip()
            continue
        name, colon, value = line.partition(":")
        if not colon:
            raise MultipartError("a header line has no colon")
        name = name.strip().lower()
        headers[name] = value.strip()
    return headers


def content_type(value: str) -> tuple[str, dict[str, str]]:
    """Split a header value such as `Content-Type` into its text (lower case) and parameters."""
    message = Message()
    message["content-type"] = value.replace("\r", " ").replace("\n", " ")
    parameters = message.get_params(failobj=[], unquote=True)
    if not parameters:
        return "", {}
    return parameters[0][0].strip().lower(), {name.lower(): text for name, text in parameters[1:]}


def boundary_of(value: str | None) -> str | None:
    """Return the boundary that a `Content-Type` names, or None when it is not multipart."""
    if value is None:
        return None
    kind, parameters = content_type(value)
    return parameters.get("boundary") if kind.startswith(MULTIPART) else None


def disposition(value: str | None) -> dict[str, str]:
    """Return the parameters (`name`, `filename`, …) of a `Content-Disposition`."""
    return content_type(value)[1] if value else {}


def new_boundary() -> str:
    """Return a fresh boundary in the form CouchDB uses: 32 hex digits."""
    return secrets.token_hex(16)


def part_head(headers: Iterable[tuple[str, str]]) -> bytes:
    """Return the header lines of a part with the blank line that ends them."""
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers)
    return (lines + "\r\n").encode("utf-8", "surrogateescape")


def opening(boundary: str) -> bytes:
    """Return the first boundary line of a body."""
    return f"--{boundary}\r\n".encode()


def separator(boundary: str) -> bytes:
    """Return what stands between one part's body and the next part's headers."""
    return f"\r\n--{boundary}\r\n".encode()


def closing(boundary: str) -> bytes:
    """Return what ends a multipart body."""
    return f"\r\n--{boundary}--".encode()


def quoted_parameter(text: str) -> str:
    """Return a header parameter in double quotes, safe from line breaks and quotes inside."""
    plain = text.replace("\\", "\\\\").replace('"', '\\"')
    return '"' + plain.replace("\r", " ").replace("\n", " ") + '"'
