"""Plain requests to the server of a live test, for what the client hides or cannot send."""

from __future__ import annotations

import base64
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import aiohttp
import msgspec
from yarl import URL

if TYPE_CHECKING:
    from types import TracebackType

    from multidict import CIMultiDictProxy

    from aiocouch.testing import CouchDBServer


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


class Asking:
    """`await ask("GET", "/path")` asks as the admin."""

    def __init__(self, server: CouchDBServer) -> None:
        self._server = server
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Asking:
        token = base64.b64encode(f"{self._server.user}:{self._server.password}".encode()).decode()
        self._session = aiohttp.ClientSession(
            headers={"Authorization": f"Basic {token}"}, cookie_jar=aiohttp.DummyCookieJar()
        )
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        assert self._session is not None
        await self._session.close()

    async def __call__(
        self,
        method: str,
        path: str,
        json: Any = None,
        *,
        text: str | bytes | None = None,
        **headers: str,
    ) -> Answer:
        """Send a request; `text` is JSON as it is, `headers` by name with `_` for `-`."""
        assert self._session is not None
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        body = text if json is None else msgspec.json.encode(json)
        if body is not None:
            sent.setdefault("Content-Type", "application/json")
        url = URL(self._server.url + path, encoded=True)
        async with self._session.request(
            method, url, data=body, headers=sent, allow_redirects=False
        ) as response:
            reason = response.reason or ""
            return Answer(response.status, reason, response.headers, await response.read())
