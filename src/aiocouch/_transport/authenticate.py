"""A step: who we are."""

from __future__ import annotations

from contextlib import contextmanager
from functools import partial
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from aiocouch._transport.answer import HTTPResponse
from aiocouch._transport.request import Request
from aiocouch._wire.texts import Texts
from aiocouch.auth import Auth
from aiocouch.auth.cookie import session_cookie
from aiocouch.exception import CouchDBError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Iterator, Mapping

    from aiocouch._transport.request import Answer, Body, Step
    from aiocouch.auth import Ask

__all__ = ["Authenticate"]


class Authenticate:
    """Puts on each request the headers that prove who we are.

    They are the same object as long as they do not change. A flow that wants to is asked when a
    request is refused, and told of cookies that are pushed; one request is sent twice at most.
    """

    def __init__(self, next: Step, auth: Auth | None) -> None:
        self._next = next
        self._auth = auth
        # Most ways say the same with each request, and hear of nothing.
        self._listens = auth is not None and _has_own(auth, "refused", "pushed")

    @property
    def identity(self) -> Mapping[str, str] | None:
        """The headers of now, None where there are none at hand."""
        return self._auth.ready() if self._auth is not None else None

    def __call__(self, request: Request) -> Awaitable[Answer]:
        """Return the answer of the next step."""
        auth = self._auth
        if auth is None:
            return self._next(request)
        held = auth.ready()
        if (held is None or self._listens) and not request.is_question:
            return self._flow(auth, request, held)
        request.identity = held
        return self._next(request)

    async def _flow(self, auth: Auth, request: Request, held: Mapping[str, str] | None) -> Answer:
        ask = partial(self._ask, request)
        sent = request.identity = await _headers(auth, held, ask)
        try:
            answer = await self._next(request)
        except CouchDBError as error:
            # Asked in any case: a flow may have to renew something for the next request.
            again = await _refused(auth, error, sent, ask)
            if not (again and _may_be_sent_again(request.body)):
                raise
            answer = None
        if answer is None:  # and the refusal is not the context of what happens now
            sent = request.identity = await _headers(auth, auth.ready(), ask)
            answer = await self._next(request)
        _tell(auth, answer, sent)
        return answer

    async def _ask(
        self,
        request: Request,
        method: str,
        path: str,
        *,
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> HTTPResponse:
        """Return a request of the flow's own, to the node and by the deadline of the one it is for."""
        own = Request(method, path, body, headers, deadline=request.deadline, node=request.node)
        answer: Any = await self._next(own)
        found: HTTPResponse = answer
        return found


async def _headers(auth: Auth, held: Mapping[str, str] | None, ask: Ask) -> Mapping[str, str]:
    with _before_the_request():
        return await auth.headers(ask) if held is None else held


async def _refused(auth: Auth, error: CouchDBError, sent: Mapping[str, str], ask: Ask) -> bool:
    if error.status != HTTPStatus.UNAUTHORIZED:
        return await auth.refused(error, sent, ask)
    with _before_the_request():  # it was refused, and so is undone as well
        return await auth.refused(error, sent, ask)


@contextmanager
def _before_the_request() -> Iterator[None]:
    """Mark what fails in here: the request is undone, and safe to be sent again."""
    try:
        yield
    except CouchDBError as error:
        error.undone = True
        raise


def _tell(auth: Auth, answer: Answer, sent: Mapping[str, str]) -> None:
    """CouchDB pushes a new cookie to a session that has used some of its time."""
    head = answer if isinstance(answer, HTTPResponse) else answer.response
    pushed = session_cookie(head.headers)
    if pushed is not None:
        auth.pushed(pushed.value, pushed.max_age, sent)


def _may_be_sent_again(body: Body) -> bool:
    """Return whether it is there as it was: an iterator may have given all it had."""
    return body is None or isinstance(body, bytes | Texts)


def _has_own(auth: Auth, *methods: str) -> bool:
    return any(getattr(type(auth), name) is not getattr(Auth, name) for name in methods)
