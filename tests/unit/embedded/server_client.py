"""An embedded server in the test's own loop, and a plain HTTP client for it."""

from __future__ import annotations

import base64
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import aiohttp
import msgspec
from yarl import URL

from aiocouch.embedded.server import EmbeddedCouchDB

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path
    from types import TracebackType

    from multidict import CIMultiDictProxy

ADMIN = ("admin", "admin")
FAST_HASHES = {"chttpd_auth": {"iterations": "2"}}


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back."""

    status: int
    headers: CIMultiDictProxy[str]
    body: bytes

    @property
    def json(self) -> Any:
        """The body, decoded."""
        return msgspec.json.decode(self.body)


class ServerClient:
    """A running server. `await client("GET", "/path")` asks as the admin."""

    def __init__(self, path: Path | None = None, **settings: Mapping[str, str]) -> None:
        self.embedded = EmbeddedCouchDB(path, settings={**FAST_HASHES, **settings})
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> ServerClient:
        await self.embedded.start()
        self._session = aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar())
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._session is not None:
            await self._session.close()
        await self.embedded.stop()

    async def __call__(
        self,
        method: str,
        path: str,
        json: Any = None,
        *,
        data: str | bytes | None = None,
        auth: tuple[str, str] | None = ADMIN,
        **headers: str,
    ) -> Answer:
        """Send a request; `headers` by name with `_` for `-`; `auth` None: nobody asks."""
        assert self._session is not None
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        if auth is not None:
            sent.setdefault("Authorization", _basic(*auth))
        if json is not None:
            sent.setdefault("Content-Type", "application/json")
            data = msgspec.json.encode(json)
        url = URL(self.embedded.url + path, encoded=True)
        async with self._session.request(
            method, url, data=data, headers=sent, allow_redirects=False
        ) as response:
            return Answer(response.status, response.headers, await response.read())


def _basic(name: str, password: str) -> str:
    return f"Basic {base64.b64encode(f'{name}:{password}'.encode()).decode()}"
