"""A step: who we are."""

from __future__ import annotations

from http.cookies import CookieError, SimpleCookie
from typing import TYPE_CHECKING

from aiocouch._transport.answer import HTTPResponse
from aiocouch.auth import CookieAuth

if TYPE_CHECKING:
    from collections.abc import Awaitable, Mapping

    from aiocouch._transport.request import Answer, Request, Step
    from aiocouch.auth import Credentials

__all__ = ["Authenticate"]


class Authenticate:
    """Puts on each request the headers that prove who we are, and keeps a cookie that is pushed.

    `identity` is the same object as long as the headers are the same.
    """

    def __init__(self, next: Step, credentials: Credentials | None) -> None:
        self._next = next
        self._credentials = credentials
        self._renews = isinstance(credentials, CookieAuth)
        self.identity: Mapping[str, str] | None = credentials.headers() if credentials else None

    def __call__(self, request: Request) -> Awaitable[Answer]:
        """The answer of the next step."""
        request.identity = self.identity
        return self._renewed(request) if self._renews else self._next(request)

    async def _renewed(self, request: Request) -> Answer:
        """CouchDB pushes a new cookie to a session that has used some of its time."""
        answer = await self._next(request)
        pushed = _cookie(answer, "AuthSession")
        if pushed and self._credentials is not None and self._credentials.renew(pushed):
            self.identity = self._credentials.headers()
        return answer


def _cookie(answer: Answer, name: str) -> str | None:
    """The value of a cookie that the answer sets."""
    head = answer if isinstance(answer, HTTPResponse) else HTTPResponse(answer.response)
    if "Set-Cookie" not in head.headers:
        return None
    cookies: SimpleCookie = SimpleCookie()
    for text in head.headers.getall("Set-Cookie"):
        try:
            cookies.load(text)
        except CookieError:
            continue
    return cookies[name].value if name in cookies else None
