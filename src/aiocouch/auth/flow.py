"""What every way to say who we are has in common: a flow that may ask the server by itself."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping

    from aiocouch._wire.headers import Headers
    from aiocouch.exception import CouchDBError

__all__ = ["Answer", "Ask", "Auth"]


class Answer(Protocol):
    """An answer of the server, whole: `HTTPResponse`."""

    status: int
    body: bytes

    @property
    def headers(self) -> Headers:
        """The headers, a dict whose names have no case."""
        ...

    def json(self) -> Any:
        """Return the body, decoded. Raise `UnexpectedAnswerError` when it is not JSON."""
        ...


class Ask(Protocol):
    """Sends a request of the flow's own to the server that is about to be asked, without credentials.

    `path` begins with a slash and is quoted. An error status raises its `CouchDBError`.
    """

    async def __call__(
        self,
        method: str,
        path: str,
        *,
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        """Return the whole answer."""
        ...


class Auth(ABC):
    """A way to say who we are: `CouchDB(url, auth=…)`. Subclasses of your own are welcome.

    Only `headers` must be there. One object is for one session; what it keeps, such as a cookie, is
    for the server of that session.
    """

    @abstractmethod
    async def headers(self, ask: Ask) -> Mapping[str, str]:
        """Return the headers of the next request, which win over those of the session.

        Raise to send nothing: the request fails with that error.
        """

    def ready(self) -> Mapping[str, str] | None:
        """Return the same headers where they are at hand, which saves a coroutine, else None."""
        return None

    async def refused(self, error: CouchDBError, sent: Mapping[str, str], ask: Ask) -> bool:
        """Return whether to send a request once more that was refused, by 401 for instance.

        `sent` is what `ready` or `headers` gave for it, the very object. Its second refusal is final.
        """
        return False

    def pushed(self, cookie: str, max_age: float | None, sent: Mapping[str, str]) -> None:  # noqa: B027
        """Take the `AuthSession` cookie that came with an answer, and the seconds that it is good for."""

    def joins(self, *servers: str) -> None:  # noqa: B027
        """Be told the URLs of the session's servers, without credentials, when it is made."""
