"""The head of an answer, the whole of a short one, and what an error status means."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any, Protocol, TypeVar, overload

import msgspec

from aiocouch._transport.redirect import leads
from aiocouch._wire.codec import DECODE_ERRORS, decode
from aiocouch._wire.headers import Headers
from aiocouch.exception import CouchDBError, Facts, UnexpectedAnswerError, response_error

if TYPE_CHECKING:
    from collections.abc import Container, Iterable

    import aiohttp
    from multidict import MultiMapping
    from yarl import URL

    from aiocouch._transport.request import Request

__all__ = [
    "WITH_REASON",
    "Answered",
    "Coming",
    "HTTPResponse",
    "Head",
    "check_members",
    "facts_of",
    "not_json",
    "refusal",
    "unexpected",
    "whole_answer",
]

WITH_REASON = frozenset({400, 403})
"""The statuses whose reason may make another error of it, which a HEAD does not bring."""

T = TypeVar("T")
_JSON_BEGINS = (b"{", b"[")
_decoder = cache(msgspec.json.Decoder)


class Head(Protocol):
    """What an answer begins with."""

    @property
    def status(self) -> int:
        """The HTTP status."""
        ...

    @property
    def headers(self) -> MultiMapping[str]:
        """The headers."""
        ...


class Answered(Head, Protocol):
    """The head of an answer that may be a refusal, or lead elsewhere."""

    @property
    def reason(self) -> str | None:
        """What goes with the status."""
        ...

    @property
    def url(self) -> URL:
        """The URL of the request."""
        ...


class Coming(Protocol):
    """The bytes after the head of an answer, read while they come. `close` it."""

    @property
    def response(self) -> Head | aiohttp.ClientResponse:
        """The head."""
        ...

    async def chunk(self) -> bytes:
        """Return the next bytes, of any number; empty at the end. Raise one of `FOREIGN`, or `OSError`."""
        ...

    async def rows(self) -> list[Any]:
        """Return the rows that stand before the next bytes, where rows come as they are; else nothing."""
        ...

    async def rest(self, seconds: float) -> None:
        """Let some bytes gather."""
        ...

    def cut(self, error: Exception) -> None:
        """End the request where it is, and raise the error after what has been read."""
        ...

    async def close(self) -> None:
        """End the request."""
        ...


class HTTPResponse:
    """An answer of the server.

    `status` is the HTTP status, usually 200, 201 or 202 (accepted, but not yet by a quorum).
    `body` is the content, empty for a stream.
    """

    __slots__ = ("_answered", "_headers", "_method", "_path", "body", "status")

    def __init__(
        self,
        resp: Head | aiohttp.ClientResponse,
        body: bytes = b"",
        method: str = "",
        path: str = "",
    ) -> None:
        self.status = resp.status
        self._answered = resp.headers
        self._headers: Headers | None = None
        self._method = method
        self._path = path
        self.body = body

    @property
    def headers(self) -> Headers:
        """The headers, a dict whose names have no case."""
        if self._headers is None:  # most are never looked at
            self._headers = Headers(self._answered)
        return self._headers

    @property
    def etag(self) -> str | None:
        """The `ETag` without its quotes: the revision, where the answer is about a document."""
        etag = self._answered.get("ETag")
        return None if etag is None else etag.removeprefix("W/").strip('"')

    @overload
    def json(self) -> Any: ...
    @overload
    def json(self, into: type[T]) -> T: ...
    def json(self, into: Any = None) -> Any:
        """Return the body, decoded, as a value of the type `into` or whatever it is.

        Raise `UnexpectedAnswerError` when it is not JSON, or not of that type.
        """
        try:
            return decode(self.body) if into is None else _decoder(into).decode(self.body)
        except RecursionError as error:
            raise self._unexpected("the answer is nested deeper than can be decoded") from error
        except msgspec.ValidationError as error:
            raise self._unexpected(f"the answer is not what was asked for: {error}") from error
        except DECODE_ERRORS as error:
            raise self._unexpected(not_json(self)) from error

    def _unexpected(self, what: str) -> UnexpectedAnswerError:
        return unexpected(self._method, self._path, self.status, what)

    def __repr__(self) -> str:
        return f"<HTTPResponse {self.status}>"


def not_json(response: HTTPResponse) -> str:
    content_type = response.headers.get("Content-Type", "no content type")
    return f"the answer is not JSON but {content_type}: is this a CouchDB?"


def facts_of(method: str, path: str) -> Facts:
    return Facts(method, path.partition("?")[0])


def refusal(
    method: str, path: str, response: Answered | aiohttp.ClientResponse, content: bytes
) -> CouchDBError:
    """Return the error for an answer with an error status."""
    try:
        said = decode(content)
    except DECODE_ERRORS:
        said = None
    words = said if isinstance(said, dict) else {}
    facts = facts_of(method, path)._replace(
        status=response.status,
        error=_word(words.get("error")),
        reason=_word(words.get("reason")) or leads(response) or response.reason,
        request_id=response.headers.get("X-Couch-Request-ID"),
    )
    return response_error(facts, response.headers)


def check_members(
    method: str, path: str, answer: HTTPResponse, found: Container[str], members: Iterable[str]
) -> None:
    """Raise `UnexpectedAnswerError` for an object without one of the members."""
    for name in members:
        if name not in found:
            what = f"the answer is not what was asked for: it has no {name!r}"
            raise unexpected(method, path, answer.status, what)


def unexpected(method: str, path: str, status: int, what: str) -> UnexpectedAnswerError:
    """Return the error for an answer that CouchDB does not give to what was asked."""
    facts = facts_of(method, path)._replace(status=status)
    return UnexpectedAnswerError(f"{method} {facts.path}: {what}".removeprefix(" : "), facts)


def whole_answer(
    request: Request, head: Head | aiohttp.ClientResponse, content: bytes
) -> HTTPResponse:
    """Return an answer that was read whole. Raise for the page of a proxy, unless one is asked for."""
    answer = HTTPResponse(head, content, request.method, request.path)
    if content[:1] not in _JSON_BEGINS and request.method != "HEAD" and not request.html:
        _refuse_html(request, answer)
    return answer


def _refuse_html(request: Request, answer: HTTPResponse) -> None:
    if answer.headers.get("Content-Type", "").startswith("text/html"):
        raise unexpected(request.method, request.path, answer.status, not_json(answer))


def _word(value: Any) -> str | None:
    return value if value is None or isinstance(value, str) else str(value)
