"""The first step: what was asked, and how it ended, in the log."""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING

from aiocouch._transport.answer import HTTPResponse, facts_of
from aiocouch.exception import CouchDBError

if TYPE_CHECKING:
    from collections.abc import Awaitable

    from aiocouch._transport.request import Answer, Request, Step

__all__ = ["LOGGER", "Trace"]

LOGGER = logging.getLogger("aiocouch")


class Trace:
    """Logs each request at DEBUG: where it went, without its query, and how it ended."""

    def __init__(self, next: Step) -> None:
        self._next = next

    def __call__(self, request: Request) -> Awaitable[Answer]:
        """The answer of the next step."""
        if LOGGER.isEnabledFor(logging.DEBUG):
            return self._traced(request)
        return self._next(request)

    async def _traced(self, request: Request) -> Answer:
        start = time.monotonic()
        try:
            answer = await self._next(request)
        except BaseException as error:
            _log(request, start, _failure(error))
            raise
        _log(request, start, _success(answer))
        return answer


def _log(request: Request, start: float, outcome: str) -> None:
    asked = facts_of(request.method, request.path)
    seconds = time.monotonic() - start
    text = "%s %s: %s, %.3f seconds, attempt %d"
    LOGGER.debug(text, asked.method, asked.path, outcome, seconds, request.attempt)


def _success(answer: Answer) -> str:
    if isinstance(answer, HTTPResponse):
        head, size = answer, f"{len(answer.body)} bytes"
    else:
        head, size = HTTPResponse(answer.response), "a stream"
    return f"{head.status}, {size}, request {head.headers.get('X-Couch-Request-ID')}"


def _failure(error: BaseException) -> str:
    kind = type(error).__name__
    if isinstance(error, CouchDBError):
        return f"{kind}, {error.status or 'no status'}, request {error.request_id}"
    return kind
