"""Bodies cut into their rows while they come.

CouchDB writes one row a line, so that the rows of a chunk are found by its last newline and decoded
in one go. `RowSplitter` takes that road when the body has CouchDB's head, and otherwise (a proxy has
reformatted the body) looks for the end of every row.

What comes out is the text of a JSON array, `[row,row,…]`, ready for a typed decoder.
"""

from __future__ import annotations

import re
from typing import Any

from aiocouch._wire.codec import DECODE_ERRORS, decode

_HEAD = re.compile(rb'\s*(\{(?:"[a-z_]+":[^\[\]{}]*,)?"(?:rows|docs|results)":\[)(?=\s|\]|\{|$)')
_LINE_HEAD = re.compile(rb"\r?\n")
_MAX_HEAD = 1 << 16
_SPACE = b" \t\r\n"
_TOKEN = re.compile(rb'[\[\]{}"]')
_QUOTED = re.compile(rb'\\.|"', re.DOTALL)
_OPEN, _CLOSE, _COMMA = b"{],"
_ROWS_MEMBER = re.compile(rb'"(?:rows|docs|results)"\s*:\s*\[')
_ID = re.compile(rb'\{"_id":"([^"\\]*)"')
_STRING_END = re.compile(rb'(?:[^"\\]|\\.)*"', re.DOTALL)


class BrokenBodyError(ValueError):
    """The body is not a list of rows, or ended before it was complete.

    `answer` is the error object that the server wrote into the body, if it did.
    """

    def __init__(self, message: str, answer: dict[str, Any] | None = None) -> None:
        super().__init__(message)
        self.answer = answer


class NoRowsError(BrokenBodyError):
    """The body is complete, but it is not a list of rows."""


class RowSplitter:
    """Cuts one body. `feed` chunks, `close` at the end; `meta` then has the members around the rows."""

    def __init__(self) -> None:
        self.meta: dict[str, Any] = {}
        self._rest: list[bytes] = []
        self._head: bytes | None = None
        self._tail: list[bytes] | None = None
        self._by_line = True
        self._last_row = False
        self._scanner = _Scanner()

    def feed(self, chunk: bytes) -> bytes | None:
        """Return the rows that the chunk completes, as a JSON array, or None."""
        if self._tail is not None:
            self._tail.append(chunk)
            return None
        if self._head is None:
            return self._begin(chunk)
        return self._lines(chunk) if self._by_line else self._scan(chunk)

    def close(self) -> None:
        """Say that the body has ended. Raise `BrokenBodyError` when it is not complete."""
        rest = b"".join(self._rest)
        if self._tail is None and rest.startswith(b"\n]"):
            self._tail = [rest]
        if self._tail is None or self._head is None:
            raise self._broken()
        tail = b"".join(self._tail)
        try:
            self.meta = decode(self._head + tail)
        except DECODE_ERRORS:
            raise BrokenBodyError("the body ended before it was complete") from None

    def _broken(self) -> BrokenBodyError:
        rest = b"".join(self._rest)
        answer = error_at_end(rest)
        if answer is not None:
            return BrokenBodyError("the server broke off", answer)
        if self._head is None and _is_json(rest):
            return NoRowsError("the answer is not a list of rows")
        return BrokenBodyError("the body is not a list of rows, or ended before it was complete")

    def _begin(self, chunk: bytes) -> bytes | None:
        self._rest.append(chunk)
        text = b"".join(self._rest)
        self._rest = [text]
        match = _HEAD.match(text)
        rest = text[match.end() :] if match else b""
        if match and len(rest) < 2:
            return None
        if match and _LINE_HEAD.match(rest):
            self._head, self._rest = match[1], []
            return self._lines(rest)
        if match or len(text) > _MAX_HEAD or _rows_bracket(text) is not None:
            return self._begin_scan(text)
        return None

    def _begin_scan(self, text: bytes) -> bytes | None:
        start = _rows_bracket(text)
        if start is None:
            raise self._broken()
        self._by_line = False
        self._head, self._rest = text[: start + 1], []
        return self._scan(text[start + 1 :])

    def _lines(self, chunk: bytes) -> bytes | None:
        end = chunk.rfind(b"\n")
        if end < 0:
            self._rest.append(chunk)
            return None
        if rows := self._whole(chunk, end):
            return rows
        text = b"".join((*self._rest, chunk[:end]))
        self._rest = [chunk[end:]]
        # No newline is inside a row, so a line that begins with ] ends the rows.
        stop = text.find(b"\n]") if self._rest[0][1:2] != b"]" else len(text)
        if stop >= 0:
            self._tail = [text[stop:], *self._rest]
            text = text[:stop]
        return self._rows_of(text.strip(_SPACE))

    def _whole(self, chunk: bytes, end: int) -> bytes | None:
        """Return the rows up to a newline, None where they may be the last, or are written in another way.

        The line before the newline is a row, and more will follow; then so are all lines before it. Rows
        are copied once, and nothing is looked for in them: this is most of what a long list costs.
        """
        start = chunk.rfind(b"\n", 0, end) + 1
        stop = end - 1 - chunk.startswith(b"\r", end - 1)
        if self._last_row or not (start and chunk[start] == _OPEN and chunk[stop] == _COMMA):
            return None
        rows = b"".join((b"[", *self._rest, memoryview(chunk)[:stop], b"]"))
        self._rest = [chunk[end:]]
        return rows

    def _rows_of(self, text: bytes) -> bytes | None:
        if not text:
            return None
        if self._last_row and not text.startswith(b","):
            # Behind a row without a comma only the end can follow, or the error that is it.
            self._rest = [text]
            raise self._broken()
        self._last_row = not text.endswith(b",")
        rows = text.strip(b"," + _SPACE)
        return b"[" + rows + b"]" if rows else None

    def _scan(self, chunk: bytes) -> bytes | None:
        rows, tail = self._scanner.feed(chunk)
        if tail is not None:
            self._tail = [tail]
        return b"[" + b",".join(rows) + b"]" if rows else None


def _is_json(text: bytes) -> bool:
    try:
        decode(text)
    except DECODE_ERRORS:
        return False
    return True


def _rows_bracket(text: bytes) -> int | None:
    """Return where the list of rows begins: the array that is a member of the outermost object."""
    depth = place = 0
    while match := _TOKEN.search(text, place):
        place = match.end()
        if match[0] != b'"':
            depth += 1 if match[0] in b"[{" else -1
            continue
        if depth == 1 and (found := _ROWS_MEMBER.match(text, match.start())):
            return found.end() - 1
        string = _STRING_END.match(text, place)
        if string is None:
            return None
        place = string.end()
    return None


class _Scanner:
    """Finds the elements of an array by counting brackets, from any chunking."""

    def __init__(self) -> None:
        self._row = bytearray()
        self._depth = 0
        self._seen = 0  # how far into _row the brackets are counted
        self._quoted = False

    def feed(self, chunk: bytes) -> tuple[list[bytes], bytes | None]:
        """Return the elements that the chunk completes, and what follows the array once it has ended."""
        self._row += chunk
        rows: list[bytes] = []
        start = 0
        while (bracket := self._next_bracket()) is not None:
            if self._depth == 0 and self._row[bracket] == _CLOSE:
                self._take(rows, start, bracket)
                return rows, bytes(self._row[bracket:])
            self._depth += 1 if self._row[bracket] in b"[{" else -1
            if self._depth == 0:
                self._take(rows, start, self._seen)
                start = self._seen
        del self._row[:start]
        self._seen -= start
        return rows, None

    def _next_bracket(self) -> int | None:
        """Return the place of the next bracket outside strings."""
        while match := (_QUOTED if self._quoted else _TOKEN).search(self._row, self._seen):
            self._seen = match.end()
            token = match[0]
            if token == b'"':
                self._quoted = not self._quoted
            elif not self._quoted:
                return match.start()
        # A backslash at the very end hides a character that has not come yet.
        open_escape = self._quoted and self._row.endswith(b"\\", self._seen)
        self._seen = len(self._row) - open_escape
        return None

    def _take(self, rows: list[bytes], start: int, end: int) -> None:
        row = bytes(self._row[start:end]).strip(b"," + _SPACE)
        if row:
            rows.append(row)


def document_id(text: bytes) -> str:
    """Return the `_id` in the JSON of a document. CouchDB writes it first, so that little is read.

    Raise `ValueError` when there is none.
    """
    match = _ID.match(text)
    found = match[1].decode() if match else _decoded_id(text)
    if not isinstance(found, str):
        raise BrokenBodyError("a document without an _id")
    return found


def _decoded_id(text: bytes) -> Any:
    try:
        found = decode(text)
    except RecursionError:
        from aiocouch._wire.deep import members

        return decode(members(text).get("_id", b"null"))
    return found.get("_id") if isinstance(found, dict) else None


def error_at_end(text: bytes) -> dict[str, Any] | None:
    """Return the error object that a server writes after the rows when it cannot go on, if there is one."""
    try:
        answer = decode(text.strip(_SPACE + b"]").rpartition(b"\n")[2])
    except DECODE_ERRORS:
        return None
    return answer if isinstance(answer, dict) and "error" in answer else None


class LineSplitter:
    """Cuts a continuous feed into its lines, of any length. Empty lines are heartbeats."""

    def __init__(self) -> None:
        self._rest: list[bytes] = []

    def feed(self, chunk: bytes) -> list[bytes]:
        """Return the lines that the chunk completes, without the empty ones."""
        return split_lines(self.text(chunk))

    def text(self, chunk: bytes) -> bytes:
        """Return the text of the lines that the chunk completes, without the last newline."""
        end = chunk.rfind(b"\n")
        if end < 0:
            self._rest.append(chunk)
            return b""
        text = b"".join((*self._rest, chunk[:end]))
        self._rest = [chunk[end + 1 :]]
        return text

    def close(self) -> None:
        """Say that the feed has ended. Raise `BrokenBodyError` when a line was left open."""
        if b"".join(self._rest).strip():
            raise BrokenBodyError("the feed ended in the middle of a line")


def split_lines(text: bytes) -> list[bytes]:
    """Return the lines of a text, without the empty ones."""
    return [line for line in text.split(b"\n") if line and not line.isspace()] if text else []
