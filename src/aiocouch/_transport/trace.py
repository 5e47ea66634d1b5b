"""The first step: what was asked, and how it ended, for the log and for hooks."""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING

from aiocouch._transport.answer import HTTPResponse, facts_of
from aiocouch._transport.log import LOGGER, Log
from aiocouch.exception import CouchDBError
from aiocouch.hooks import Call, Hooks

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from aiocouch._transport.request import Answer, Request, Step

__all__ = ["Trace"]

_LOG = Log()


class Trace:
    """Tells hooks of each call, and the log where it listens at DEBUG. `server` is the URL to begin with."""

    def __init__(self, next: Step, server: str = "", hooks: Sequence[Hooks] = ()) -> None:
        self._next = next
        self._server = server
        self._hooks = tuple(hooks)

    def __call__(self, request: Request) -> Awaitable[Answer]:
        """Return the answer of the next step."""
        hooks = self._hooks
        if LOGGER.isEnabledFor(logging.DEBUG):
            hooks = (*hooks, _LOG)
        return self._traced(request, hooks) if hooks else self._next(request)

    async def _traced(self, request: Request, hooks: tuple[Hooks, ...]) -> Answer:
        asked = facts_of(request.method, request.path)
        call = Call(request.method, asked.path or "", self._server, request.span is not None)
        seen = request.seen = _Seen(call, hooks)
        seen.tell(lambda hook: hook.started(call))
        start = time.monotonic()
        try:
            answer = await self._next(request)
        except BaseException as error:
            _note(call, request, start)
            _note_error(call, error)
            failure = error
            seen.tell(lambda hook: hook.failed(call, failure))
            raise
        _note(call, request, start)
        _note_answer(call, answer)
        seen.tell(lambda hook: hook.ended(call))
        return answer


class _Seen:
    """A call, and who is told of it."""

    __slots__ = ("_call", "_hooks")

    def __init__(self, call: Call, hooks: tuple[Hooks, ...]) -> None:
        self._call = call
        self._hooks = hooks

    def repeated(self, error: CouchDBError, seconds: float) -> None:
        """Tell that a request failed that will be sent again in so many seconds."""
        self._call.attempts += 1
        self.tell(lambda hook: hook.repeated(self._call, error, seconds))

    def tell(self, what: Callable[[Hooks], None]) -> None:
        """Call one method of all hooks. What one raises disturbs neither the others nor the request."""
        for hook in self._hooks:
            try:
                what(hook)
            except Exception:  # noqa: BLE001 - of whatever class its owner likes
                LOGGER.exception("a hook failed: %s", type(hook).__name__)


def _note(call: Call, request: Request, start: float) -> None:
    call.seconds = time.monotonic() - start
    call.server = request.node or call.server
    call.attempts = max(call.attempts, request.attempt)


def _note_answer(call: Call, answer: Answer) -> None:
    if isinstance(answer, HTTPResponse):
        call.size = len(answer.body)
    head = answer if isinstance(answer, HTTPResponse) else answer.response
    call.status, call.request_id = head.status, head.headers.get("X-Couch-Request-ID")


def _note_error(call: Call, error: BaseException) -> None:
    if isinstance(error, CouchDBError):
        call.status, call.request_id = error.status, error.request_id
