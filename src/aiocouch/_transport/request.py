"""One request on its way through the steps, and what a step is."""

from __future__ import annotations

from collections.abc import AsyncIterable, Awaitable, Callable, Mapping
from enum import Enum
from typing import TYPE_CHECKING, Protocol, TypeAlias

import msgspec

from aiocouch._wire.texts import Texts

if TYPE_CHECKING:
    from aiohttp import ClientMiddlewareType

    from aiocouch._transport.answer import Coming, HTTPResponse
    from aiocouch._transport.limits import Timeout
    from aiocouch._transport.pool import Span
    from aiocouch.exception import CouchDBError

__all__ = [
    "NOTHING",
    "SAFE",
    "Answer",
    "Ask",
    "Body",
    "Repeat",
    "Request",
    "Seen",
    "Settle",
    "Step",
]

NOTHING = object()
"""Stands for JSON that was not given: `None` is JSON as well."""

SAFE = frozenset({"GET", "HEAD"})
"""The methods that change nothing."""

Body: TypeAlias = bytes | Texts | AsyncIterable[bytes] | None
Answer: TypeAlias = "HTTPResponse | Coming"
Ask: TypeAlias = Callable[["Request"], Awaitable["Answer"]]
Settle: TypeAlias = Callable[[Ask], Awaitable["HTTPResponse | None"]]
"""Asks the server what became of a write; the answer that was lost, or None: it was not done."""


class Repeat(Enum):
    """What may be done when no answer came, or one that says "later".

    FREELY: send it again. SETTLED: ask first whether it was done. NEVER: it can be sent once.
    """

    FREELY = 0
    SETTLED = 1
    NEVER = 2


class Request(msgspec.Struct):
    """One request. `path` begins with a slash and is quoted, with its query.

    `span` is None when the whole answer is to be read, else the answer is given as it begins.
    `repeat` is None for what the method says: reads freely, all else never; or what `settle` lets.
    `deadline` is the loop's time at which the call must have ended. With `html` the answer may be a
    page, which else is taken for a proxy's. With `rows` a server in this process may give documents as
    `ReadyRow`, without a text around them. What stands below is filled in by the steps.
    """

    method: str
    path: str
    body: Body = None
    headers: Mapping[str, str] | None = None
    timeout: Timeout | None = None
    span: Span | None = None
    repeat: Repeat | None = None
    settle: Settle | None = None
    deadline: float | None = None
    html: bool = False
    rows: bool = False

    node: str = ""  # its URL, without a slash at its end
    identity: Mapping[str, str] | None = None  # the headers that prove who we are
    watch: ClientMiddlewareType | None = None  # a middleware of aiohttp for this request
    attempt: int = 1
    redirects: int = 0  # how many have led here
    seen: Seen | None = None  # who is told when it is sent again
    is_question: bool = (
        False  # whether a node is well: nobody waits for it, and none logs in for it
    )

    def __repr__(self) -> str:
        # A traceback may show the locals of a step: neither headers nor the body.
        return f"<{type(self).__name__} {self.method} {self.path} attempt={self.attempt}>"

    def may_repeat(self) -> Repeat:
        """Return what may be done when no answer came."""
        if self.repeat is not None:
            return self.repeat
        if self.settle is not None:
            return Repeat.SETTLED
        return Repeat.FREELY if self.method in SAFE else Repeat.NEVER


class Seen(Protocol):
    """Who listens to one call."""

    def repeated(self, error: CouchDBError, seconds: float) -> None:
        """Be told that it failed, and will be sent again in so many seconds."""
        ...


class Step(Protocol):
    """One job on the way of a request: it calls the next step, or sends.

    A step that has nothing to do for a request returns what the next one returns, without a
    coroutine of its own. Errors travel as exceptions of `aiocouch.exception`.
    """

    def __call__(self, request: Request, /) -> Awaitable[Answer]:
        """Return the answer. One with an error status is raised."""
        ...
