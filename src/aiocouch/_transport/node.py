"""A step: to which node a request goes."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from aiocouch._transport.circuit import Nodes
from aiocouch._transport.limits import Timeout
from aiocouch._transport.log import LOGGER
from aiocouch._transport.policy import DEFAULT, Failure
from aiocouch._transport.request import Request
from aiocouch.exception import CouchDBError, TransportError, UnauthorizedError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Sequence

    from aiocouch._transport.policy import RetryPolicy
    from aiocouch._transport.request import Answer, Step

__all__ = ["Node", "SeveralNodes", "node_step"]

_LATER = 429  # the node is well, but wants to be left alone
_PATIENCE = Timeout(total=5)


def node_step(next: Step, urls: Sequence[str], policy: RetryPolicy | None) -> Node | SeveralNodes:
    """Return the step for one node, which costs nothing, or for several."""
    return Node(next, urls[0]) if len(urls) == 1 else SeveralNodes(next, urls, policy or DEFAULT)


class Node:
    """Sends every request to the one node there is."""

    def __init__(self, next: Step, url: str) -> None:
        self._next = next
        self._url = url

    def __call__(self, request: Request) -> Awaitable[Answer]:
        """Return the answer of the next step."""
        request.node = self._url
        return self._next(request)

    async def close(self) -> None:
        """Do nothing: there is nothing to close."""


class SeveralNodes:
    """Sends requests to the first node that is well.

    One that cannot be reached is passed over within the same try. A node that has failed is asked by
    `GET /_up` from time to time, beside requests that go elsewhere, until it is well.
    """

    def __init__(self, next: Step, urls: Sequence[str], policy: RetryPolicy) -> None:
        self._next = next
        self._nodes = Nodes(urls)
        self._count = len(urls)
        self._policy = policy
        self._questions: set[asyncio.Task[None]] = set()

    async def __call__(self, request: Request) -> Answer:
        """Return the answer of the next step."""
        left = self._count
        avoided = request.node if request.attempt > 1 else None
        while True:
            left -= 1
            self._ask_those_that_have_rested()
            request.node = self._nodes.choose(_now(), avoided)
            try:
                answer = await self._next(request)
            except CouchDBError as error:
                if not self._is_passed_over(request, error) or not left:
                    raise
                avoided = request.node
            else:
                self._worked(request.node)
                return answer

    def _is_passed_over(self, request: Request, error: CouchDBError) -> bool:
        """Take note of a failure. Whether another node may be asked at once: nothing was sent."""
        failure = self._policy.failure(error)
        if failure is Failure.FINAL or error.status == _LATER:
            if error.status is not None:
                self._worked(request.node)
            return False
        is_unreachable = failure is Failure.UNDONE and isinstance(error, TransportError)
        if self._nodes.failed(request.node, _now(), unreachable=is_unreachable):
            LOGGER.warning("the node %s has failed, and is left alone: %s", request.node, error)
        return is_unreachable

    def _worked(self, url: str) -> None:
        if self._nodes.worked(url):
            LOGGER.warning("the node %s is well again", url)

    def _ask_those_that_have_rested(self) -> None:
        for url in self._nodes.to_ask(_now()):
            question = asyncio.get_running_loop().create_task(self._ask(url))
            self._questions.add(question)
            question.add_done_callback(self._questions.discard)

    async def _ask(self, url: str) -> None:
        request = Request("GET", "/_up", timeout=_PATIENCE, node=url, is_question=True)
        try:
            await self._next(request)
        except UnauthorizedError:
            self._worked(url)  # it answers, but wants to know who asks
        except CouchDBError:
            self._nodes.failed(url, _now(), unreachable=True)
        else:
            self._worked(url)
        finally:
            self._nodes.asked(url)

    async def close(self) -> None:
        """Ask no more."""
        for question in list(self._questions):
            question.cancel()
        await asyncio.gather(*self._questions, return_exceptions=True)


def _now() -> float:
    return asyncio.get_running_loop().time()
