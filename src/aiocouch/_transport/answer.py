"""The head of an answer, the whole of a short one, and what an error status means."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from aiocouch._wire.codec import DECODE_ERRORS, decode
from aiocouch._wire.headers import Headers
from aiocouch.exception import CouchDBError, Facts, UnexpectedAnswerError, response_error

if TYPE_CHECKING:
    import aiohttp

__all__ = ["HTTPResponse", "facts_of", "not_json", "refusal", "refuse_html"]


class HTTPResponse:
    """An answer of the server.

    `status` is the HTTP status, usually 200, 201 or 202 (accepted, but not yet by a quorum).
    `body` is the content, empty for a stream.
    """

    __slots__ = ("_answered", "_headers", "body", "status")

    def __init__(self, resp: aiohttp.ClientResponse, body: bytes = b"") -> None:
        self.status = resp.status
        self._answered = resp.headers
        self._headers: Headers | None = None
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

    def json(self) -> Any:
        """The body, decoded. Raises `UnexpectedAnswerError` when it is no JSON."""
        try:
            return decode(self.body)
        except RecursionError as error:
            what = "the answer is nested deeper than can be decoded"
            raise UnexpectedAnswerError(what, Facts(status=self.status)) from error
        except DECODE_ERRORS as error:
            raise UnexpectedAnswerError(not_json(self), Facts(status=self.status)) from error

    def __repr__(self) -> str:
        return f"<HTTPResponse {self.status}>"


def not_json(response: HTTPResponse) -> str:
    content_type = response.headers.get("Content-Type", "no content type")
    return f"the answer is no JSON but {content_type}: is this a CouchDB?"


def facts_of(method: str, path: str) -> Facts:
    return Facts(method, path.partition("?")[0])


def refusal(
    method: str, path: str, response: aiohttp.ClientResponse, content: bytes
) -> CouchDBError:
    """The error for an answer with an error status."""
    try:
        said = decode(content)
    except DECODE_ERRORS:
        said = None
    words = said if isinstance(said, dict) else {}
    facts = facts_of(method, path)._replace(
        status=response.status,
        error=_word(words.get("error")),
        reason=_word(words.get("reason")) or response.reason,
        request_id=response.headers.get("X-Couch-Request-ID"),
    )
    return response_error(facts, response.headers)


def refuse_html(method: str, path: str, answer: HTTPResponse) -> None:
    """Raise for the page of a proxy."""
    if answer.headers.get("Content-Type", "").startswith("text/html"):
        facts = facts_of(method, path)._replace(status=answer.status)
        raise UnexpectedAnswerError(f"{method} {facts.path}: {not_json(answer)}", facts)


def _word(value: Any) -> str | None:
    return value if value is None or isinstance(value, str) else str(value)
