"""A step: to which node a request goes."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Awaitable

    from aiocouch._transport.request import Answer, Request, Step

__all__ = ["Node"]


class Node:
    """Sends every request to the one node there is."""

    def __init__(self, next: Step, url: str) -> None:
        self._next = next
        self._url = url

    def __call__(self, request: Request) -> Awaitable[Answer]:
        """The answer of the next step."""
        request.node = self._url
        return self._next(request)
