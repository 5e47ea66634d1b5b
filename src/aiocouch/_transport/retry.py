"""A step: what is sent again, after what was done is known."""

from __future__ import annotations

import asyncio
import math
import time
from functools import partial
from typing import TYPE_CHECKING

import aiohttp

from aiocouch._transport.answer import facts_of
from aiocouch._transport.log import LOGGER
from aiocouch._transport.policy import Budget, Failure
from aiocouch._transport.request import Repeat
from aiocouch._transport.sendable import LARGE
from aiocouch._transport.watch import SENT_AGAIN, sent_once
from aiocouch._wire.texts import Texts
from aiocouch.exception import (
    CouchDBError,
    SessionClosedError,
    UnexpectedAnswerError,
    transport_error,
)

if TYPE_CHECKING:
    from collections.abc import Awaitable

    from aiocouch._transport.answer import HTTPResponse
    from aiocouch._transport.policy import RetryPolicy
    from aiocouch._transport.request import Answer, Request, Settle, Step

__all__ = ["Retry"]

_QUESTIONS = 3
_NEVER_BEGAN = (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError)


class Retry:
    """Sends requests again that failed for a reason which may pass, as the policy says.

    A write of which nobody knows whether it was done is settled before. `limit` is how many seconds a
    request takes at most anyway, None if for ever.
    """

    def __init__(self, next: Step, policy: RetryPolicy | None, limit: float | None) -> None:
        self._next = next
        self._policy = policy
        self._budget = Budget(policy.budget if policy else 0)
        self._pauses = _Pauses()
        deadline = policy.deadline if policy else None
        self._deadline = math.inf if deadline is None else deadline
        self._is_short = self._deadline < (math.inf if limit is None else limit)

    def __call__(self, request: Request) -> Awaitable[Answer]:
        """Return the answer of the next step, of this try or a later one."""
        if request.method in SENT_AGAIN:
            request.watch = sent_once
        if self._policy is None and request.deadline is None:
            return self._next(request)
        return self._try(request)

    async def _try(self, request: Request) -> Answer:
        start = time.monotonic()
        try:
            if self._is_short or request.deadline is not None:
                answer = await self._within(request, self._deadline_of(request, start))
            else:
                answer = await self._next(request)
        except CouchDBError as error:
            if self._policy is None:
                raise
            failure = self._policy.failure(error)
            if failure is Failure.FINAL:
                raise
            tries = _Tries(self._next, self._policy, self._budget, self._pauses, request)
            return await tries.after(error, failure, self._deadline_of(request, start))
        if not self._budget.is_full:
            self._budget.give()
        return answer

    def _deadline_of(self, request: Request, start: float) -> float:
        """Return the time of the loop at which the call ends."""
        if request.deadline is not None:
            return request.deadline
        passed = time.monotonic() - start
        return asyncio.get_running_loop().time() + self._deadline - passed

    async def _within(self, request: Request, deadline: float) -> Answer:
        if not _has_an_end(request):
            return await self._next(request)
        try:
            async with asyncio.timeout_at(deadline):
                return await self._next(request)
        except TimeoutError as error:
            if isinstance(error, CouchDBError):
                raise
            late = TimeoutError("the deadline of the call has passed")
            raise transport_error(late, facts_of(request.method, request.path)) from error

    def close(self) -> None:
        """Try nothing again. What waits ends with the error that it has met."""
        self._pauses.close()


class _Pauses:
    """The times between two tries."""

    def __init__(self) -> None:
        self.are_over = False
        self._waiting: set[asyncio.Future[None]] = set()

    async def wait(self, seconds: float) -> None:
        loop = asyncio.get_running_loop()
        waiting: asyncio.Future[None] = loop.create_future()
        self._waiting.add(waiting)
        timer = loop.call_later(seconds, _end, waiting)
        try:
            await waiting
        finally:
            timer.cancel()
            self._waiting.discard(waiting)

    def close(self) -> None:
        self.are_over = True
        for waiting in self._waiting:
            _end(waiting)


def _end(waiting: asyncio.Future[None]) -> None:
    if not waiting.done():
        waiting.set_result(None)


class _Tries:
    """The tries of one request after the first one."""

    def __init__(
        self, next: Step, policy: RetryPolicy, budget: Budget, pauses: _Pauses, request: Request
    ) -> None:
        self._next = next
        self._policy = policy
        self._budget = budget
        self._pauses = pauses
        self._request = request
        self._unclear: CouchDBError | None = None

    async def after(self, error: CouchDBError, failure: Failure, deadline: float) -> Answer:
        """Return the answer of a later try.

        Raise what the call comes to, which for a write is not always the last failure: if one leaves
        open whether it was done, then it is that.
        """
        loop = asyncio.get_running_loop()
        end = deadline if math.isfinite(deadline) and _has_an_end(self._request) else None
        while (wait := self._wait(error, failure, deadline - loop.time())) is not None:
            _tell(self._request, error, wait)
            self._request.attempt += 1
            try:
                async with asyncio.timeout_at(end):
                    await self._pauses.wait(wait)
                    answer = await self._again()
            except SessionClosedError:
                break
            except CouchDBError as later:
                error, failure = later, self._policy.failure(later)
            except TimeoutError:
                break  # the deadline
            else:
                self._budget.give()
                return answer
        try:
            raise self._outcome(error)
        finally:
            del error  # or it would hold its own traceback

    def _wait(self, error: CouchDBError, failure: Failure, left: float) -> float | None:
        if failure is Failure.UNCLEAR and self._unclear is None:
            self._unclear = error
        if self._pauses.are_over or not _may_repeat(self._request, failure, error):
            return None
        wait = self._policy.wait(self._request.attempt, error, left)
        return wait if wait is not None and self._budget.take() else None

    def _outcome(self, error: CouchDBError) -> CouchDBError:
        """Return what is raised at the end."""
        outcome = error
        if self._unclear is not None and self._request.may_repeat() is not Repeat.FREELY:
            outcome = self._unclear
        if self._request.attempt > 1:
            outcome.add_note(f"{self._request.attempt} tries, the last of which: {error}")
        return outcome

    async def _again(self) -> Answer:
        request = self._request
        if self._pauses.are_over:
            raise SessionClosedError("the session was closed between two tries")
        if self._unclear is None or request.settle is None:
            return await self._next(request)
        settled = partial(self._settled, request.settle)
        answer = await settled()
        if answer is not None:
            return answer
        try:
            return await self._next(request)
        except CouchDBError as error:
            if self._policy.failure(error) is not Failure.FINAL:
                raise
            # The first try may have arrived late, and be what this one has met.
            answer = await settled()
            if answer is None:
                self._unclear = None
                raise
            return answer

    async def _settled(self, settle: Settle) -> HTTPResponse | None:
        """Ask what was done. A question without an answer does not count as a try: it comes again."""
        for asked in range(1, _QUESTIONS):
            try:
                answer = await self._question(settle)
            except CouchDBError as error:
                wait = self._policy.wait(asked, error)
                is_final = self._policy.failure(error) is Failure.FINAL
                if is_final or wait is None or not self._budget.take():
                    raise
                await self._pauses.wait(wait)
            else:
                self._budget.give()
                return answer
        return await self._question(settle)

    async def _question(self, settle: Settle) -> HTTPResponse | None:
        try:
            return await settle(self._next)
        except (AttributeError, LookupError, TypeError, ValueError) as error:
            if isinstance(error, CouchDBError):
                raise
            facts = facts_of(self._request.method, self._request.path)
            what = "the answer to what became of it is not CouchDB's"
            raise UnexpectedAnswerError(f"{facts.method} {facts.path}: {what}", facts) from error


def _may_repeat(request: Request, failure: Failure, error: CouchDBError) -> bool:
    repeat = request.may_repeat()
    if failure is Failure.UNCLEAR:
        return repeat is Repeat.FREELY or (repeat is Repeat.SETTLED and request.settle is not None)
    if failure is Failure.FINAL:
        return False
    if repeat is not Repeat.NEVER or isinstance(error, _NEVER_BEGAN):
        return True
    return request.body is None or isinstance(request.body, bytes | Texts)


def _has_an_end(request: Request) -> bool:
    """Return whether a deadline ends it: not what may be long, which has limits of its own."""
    body = request.body
    is_short = body is None or (isinstance(body, bytes | Texts) and len(body) <= LARGE)
    return request.span is None and is_short


def _tell(request: Request, error: CouchDBError, wait: float) -> None:
    text = "%s; it is tried again in %.2f seconds (try %d)"
    LOGGER.warning(text, error, wait, request.attempt + 1)
    if request.seen is not None:
        request.seen.repeated(error, wait)
