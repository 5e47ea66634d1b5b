"""A plain HTTP client, for what a client of CouchDB hides or cannot send."""

from __future__ import annotations

import base64
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import aiohttp
import msgspec
from yarl import URL

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import EllipsisType, TracebackType
    from typing import Self

    from multidict import CIMultiDictProxy

    Credentials = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back."""

    status: int
    phrase: str
    headers: CIMultiDictProxy[str]
    body: bytes

    @property
    def json(self) -> Any:
        """The body, decoded."""
        return msgspec.json.decode(self.body)

    @property
    def told(self) -> tuple[int, str, str]:
        """Status, error and reason."""
        return self.status, self.json["error"], self.json["reason"]


class HTTPClient:
    """`await client("GET", "/path")` asks the server at `url` as `user`, unless told otherwise."""

    def __init__(
        self,
        url: str,
        user: Credentials | None,
        middlewares: Sequence[aiohttp.ClientMiddlewareType] = (),
    ) -> None:
        self.url = url
        self.middlewares = middlewares
        self.user = user
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        self._session = aiohttp.ClientSession(
            cookie_jar=aiohttp.DummyCookieJar(), middlewares=self.middlewares
        )
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._session is not None:
            await self._session.close()

    async def __call__(
        self,
        method: str,
        path: str,
        json: Any = None,
        *,
        data: str | bytes | None = None,
        text: str | bytes | None = None,
        auth: Credentials | EllipsisType | None = ...,
        **headers: str,
    ) -> Answer:
        """Send a request.

        `data` is a body as it is, `text` one that says it is JSON; `auth` None: nobody asks;
        `headers` by name with `_` for `-`.
        """
        assert self._session is not None
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        user = self.user if auth is ... else auth
        if user is not None:
            sent.setdefault("Authorization", _basic(*user))
        if json is not None:
            text = msgspec.json.encode(json)
        if text is not None:
            sent.setdefault("Content-Type", "application/json")
            data = text
        url = URL(self.url + path, encoded=True)
        async with self._session.request(
            method, url, data=data, headers=sent, allow_redirects=False
        ) as response:
            body = await response.read()
            return Answer(response.status, response.reason or "", response.headers, body)


def _basic(name: str, password: str) -> str:
    return f"Basic {base64.b64encode(f'{name}:{password}'.encode()).decode()}"
