"""An answer that is read while it comes."""

from __future__ import annotations

import math
import zlib
from collections.abc import Awaitable, Callable, Iterator
from typing import TYPE_CHECKING, Any, NoReturn, Protocol, Self, TypeVar

import aiohttp
import msgspec

from aiocouch._transport.answer import Coming, HTTPResponse, facts_of, not_json
from aiocouch._transport.body import FOREIGN
from aiocouch._transport.request import Request
from aiocouch._transport.sizes import too_large
from aiocouch._wire.codec import DECODE_ERRORS, decode
from aiocouch._wire.deep import TooDeepError, elements
from aiocouch._wire.inflate import ENCODINGS, Inflater
from aiocouch._wire.rows import (
    BrokenBodyError,
    LineSplitter,
    NoRowsError,
    RowSplitter,
    document_id,
    error_at_end,
    split_lines,
)
from aiocouch.exception import Facts, TruncatedError, UnexpectedAnswerError, transport_error

if TYPE_CHECKING:
    from types import TracebackType

__all__ = ["Stream", "SupportsDecode"]

T = TypeVar("T")
R = TypeVar("R")
T_co = TypeVar("T_co", covariant=True)

_Begin = Callable[[Request], Awaitable[Coming]]

_LINE = msgspec.json.Decoder(list[Any])
_SMALL_PIECE = 1 << 15
_PATIENCE = 8  # small pieces that are taken as they come: short answers must not wait
_REST_SECONDS = 0.002
_LONGEST_REST = 0.016  # for a server that finds its rows slowly


def lost(row: bytes) -> NoReturn:
    """Rescue nothing: see `Stream.batch`."""
    raise TooDeepError("a row is nested deeper than can be decoded")


class Stream:
    """An answer that is read while it comes. An async context manager; leaving it frees the connection.

    `meta` has the members around the rows once they are all read. `at_beat` is awaited when a heartbeat
    has come.
    """

    def __init__(self, begin: _Begin, request: Request, most: int | None = None) -> None:
        self.meta: dict[str, Any] = {}
        self._begin = begin
        self._request = request
        self._asked = facts_of(request.method, request.path)
        self._body: Coming | None = None
        self._rows = RowSplitter()
        self._too_deep: TooDeepError | None = None
        self._small_pieces = 0
        self._rest_seconds = _REST_SECONDS
        self._lines = LineSplitter()
        self._most = math.inf if most is None else most
        self._inflater: Inflater | None = None
        self._pieces: Iterator[bytes] = iter(())
        self.at_beat: Callable[[], Awaitable[None]] | None = None

    def __aenter__(self) -> Awaitable[Self]:
        return self.opened_for(self)

    async def opened_for(self, reader: R) -> R:
        """Send the request. Return who reads the answer: this stream, or what has it."""
        self._body = await self._begin(self._request)
        encoding = self._body.response.headers.get("Content-Encoding", "identity")
        if encoding != "identity" and not _asks_for_encoding(self._request):
            if encoding not in ENCODINGS:
                await self.close()
                self._wrong(ValueError(f"its encoding is {encoding}"))
            self._inflater = Inflater(encoding)
        return reader

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """End the request, if it has not ended, and free the connection."""
        if self._body is not None:
            await self._body.close()

    def cut(self, why: str) -> None:
        """End the request; whoever waits for its next piece gets `TruncatedError`."""
        if self._body is not None:
            self._body.cut(aiohttp.ClientPayloadError(why))

    @property
    def response(self) -> HTTPResponse:
        """Status and headers."""
        return HTTPResponse(self._opened().response)

    def chunk(self) -> Awaitable[bytes]:
        """Return the next piece of the content, of some hundred kilobytes at most; empty at the end.

        It is decompressed, unless the request had an `Accept-Encoding` of its own.
        """
        return self._sent() if self._inflater is None else self._inflated(self._inflater)

    async def _sent(self) -> bytes:
        try:
            return await self._opened().chunk()
        except (*FOREIGN, OSError) as error:
            raise transport_error(error, self._facts()) from error

    async def _ready_rows(self) -> list[Any]:
        try:
            return await self._opened().rows()
        except (*FOREIGN, OSError) as error:
            raise transport_error(error, self._facts()) from error

    async def _inflated(self, inflater: Inflater) -> bytes:
        try:
            while not (piece := next(self._pieces, b"")):
                packed = await self._sent()
                if not packed:
                    break
                self._pieces = inflater.feed(packed)
        except zlib.error as error:
            self._broken(error)
        if not piece and inflater.is_cut:
            self._broken(BrokenBodyError("the compressed answer ended before it was complete"))
        return piece

    async def gathered(self) -> bytes:
        """Return what `chunk` does, but wait for a few pieces of a long body that comes in small ones.

        CouchDB sends each few rows by themselves. To wake up for each costs several times what it
        takes to decode them, so the socket is left alone for a moment and then read in one go.
        """
        chunk = await self.chunk()
        if len(chunk) >= _SMALL_PIECE:
            return chunk
        self._small_pieces += 1
        if self._small_pieces > _PATIENCE:
            if len(chunk) < _SMALL_PIECE >> 2:
                self._rest_seconds = min(2 * self._rest_seconds, _LONGEST_REST)
            await self._opened().rest(self._rest_seconds)
        return chunk

    async def batch(
        self, decoder: SupportsDecode[list[T]], rescue: Callable[[bytes], T]
    ) -> list[T]:
        """Return the rows of a list that the next piece of the body completes; empty at the end.

        `rescue` gets the text of a row that is nested deeper than the decoder goes, and makes a row
        of it or raises `TooDeepError`. Raise `TruncatedError` when the body ends before the list
        does, `UnexpectedAnswerError` for a row that was not rescued, after the rows before it.
        """
        self._raise_too_deep()
        text, size = b"", 0
        try:
            while True:
                if self._request.rows and (ready := await self._ready_rows()):
                    return ready
                if not (chunk := await self.gathered()):
                    break
                if found := self._rows.feed(chunk):
                    text = found
                    return decoder.decode(text)
                size += len(chunk)
                if size > self._most:
                    self._too_large("a row")
                if self.at_beat is not None and chunk.isspace():
                    await self.at_beat()
            self._rows.close()
        except RecursionError:
            return self._one_by_one(text, decoder, rescue)
        except msgspec.ValidationError as error:
            self._wrong(error, error_at_end(text))
        except DECODE_ERRORS as error:
            self._broken(error, error_at_end(text))
        except NoRowsError as error:
            self._wrong(error)
        except BrokenBodyError as error:
            self._broken(error, error.answer)
        self.meta = self._rows.meta
        if "error" in self.meta:
            self._broken(BrokenBodyError("an error after the rows"), self.meta)
        return []

    async def lines(self) -> list[bytes]:
        """Return the lines that the next piece of a continuous feed completes; empty at the end.

        Heartbeats are left out. Raise `TruncatedError` when the feed ends inside a line.
        """
        return split_lines(await self.line_text())

    async def line_text(self) -> bytes:
        """Return what `lines` does, in one piece: there may be empty lines in it."""
        size = 0
        while chunk := await self.chunk():
            if text := self._lines.text(chunk).strip():
                return text
            size = 0 if chunk.isspace() else size + len(chunk)
            if size > self._most:
                self._too_large("a line")
            if self.at_beat is not None and chunk.isspace():
                await self.at_beat()
        try:
            self._lines.close()
        except BrokenBodyError as error:
            self._broken(error)
        return b""

    def _one_by_one(
        self, text: bytes, decoder: SupportsDecode[list[T]], rescue: Callable[[bytes], T]
    ) -> list[T]:
        """Return the rows of a batch that could not be decoded at once, up to one that is lost."""
        rows: list[T] = []
        for row in elements(text):
            try:
                rows += decoder.decode(b"[%b]" % row)
            except RecursionError:
                try:
                    rows.append(rescue(row))
                except TooDeepError as error:
                    self._too_deep = error
                    break
        if not rows:
            self._raise_too_deep()
        return rows

    def _too_large(self, what: str) -> NoReturn:
        facts = self._facts()
        method, path, status = facts.method or "", facts.path or "", facts.status or 0
        raise too_large(method, path, status, what, int(self._most))

    def _raise_too_deep(self) -> None:
        if self._too_deep is not None:
            facts = self._facts()
            raise UnexpectedAnswerError(f"{facts.method} {facts.path}: {self._too_deep}", facts)

    def decode(self, line: bytes, rescue: Callable[[bytes], Any] = lost) -> Any:
        """Return the value of a line. Raise `UnexpectedAnswerError` when it is not JSON.

        `rescue` is as for `batch`.
        """
        try:
            return decode(line)
        except RecursionError:
            (row,) = self._one_by_one(b"[%b]" % line, _LINE, rescue)
            return row
        except DECODE_ERRORS as error:
            self._broken(error)

    def document_id(self, text: bytes) -> str:
        """Return the `_id` in the JSON of a document. Raise `UnexpectedAnswerError` when there is none."""
        try:
            return document_id(text)
        except ValueError as error:
            self._wrong(error)

    def member(self, name: str) -> Any:
        """Return a member of `meta`. Raise `UnexpectedAnswerError` when there is none."""
        if name not in self.meta:
            self._wrong(BrokenBodyError(f"it has no {name!r}"))
        return self.meta[name]

    def refuse(self, row: Any) -> NoReturn:
        """Raise for what is not a row: an error that the server has written, or nonsense."""
        answer = row if isinstance(row, dict) and "error" in row else None
        self._wrong(BrokenBodyError("a row that CouchDB does not send"), answer)

    def _wrong(self, error: Exception, answer: dict[str, Any] | None = None) -> NoReturn:
        """Raise for JSON that is not what was asked for, unless it is an error of the server."""
        if answer is not None:
            self._broken(error, answer)
        facts = self._facts()
        what = f"the answer is not what was asked for: {error}"
        raise UnexpectedAnswerError(f"{facts.method} {facts.path}: {what}", facts) from error

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
            raise UnexpectedAnswerError(f"{facts.method} {facts.path}: {not_json(response)}", facts)
        raise TruncatedError(f"{facts.method} {facts.path}: {error}", facts) from error

    def _facts(self) -> Facts:
        if self._body is None:
            return self._asked
        response = self._body.response
        return self._asked._replace(
            status=response.status, request_id=response.headers.get("X-Couch-Request-ID")
        )

    def _opened(self) -> Coming:
        if self._body is None:
            raise RuntimeError("a stream is read inside 'async with'")
        return self._body


def _asks_for_encoding(request: Request) -> bool:
    return request.headers is not None and "Accept-Encoding" in request.headers


class SupportsDecode(Protocol[T_co]):
    """A typed decoder of msgspec."""

    def decode(self, buf: bytes, /) -> T_co:
        """Return the value of a JSON text."""
        ...
