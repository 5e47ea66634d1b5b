"""A server's side of authentication, in memory: what the flows ask, and what they are told."""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from multidict import CIMultiDict

from aiocouch._wire.headers import Headers
from aiocouch.exception import CouchDBError, Facts, response_error

if TYPE_CHECKING:
    from collections.abc import Mapping

    from aiocouch.auth import Auth

WRONG = "Name or password is incorrect."
LOCKED = "Account is temporarily locked due to multiple authentication failures"


class Clock:
    """Seconds that pass when told."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@dataclass
class Told:
    """An answer."""

    status: int
    value: Any
    set_cookie: str | None = None
    body: bytes = b""

    @property
    def headers(self) -> Headers:
        found = {} if self.set_cookie is None else {"Set-Cookie": self.set_cookie}
        return Headers(CIMultiDict(found))

    def json(self) -> Any:
        return self.value


@dataclass
class Couch:
    """Knows one user. `lines` are the requests of the flows; `gate`, if set, holds each of them."""

    password: str = "first"
    max_age: int | None = 600
    lines: list[str] = field(default_factory=list)
    tried: list[str] = field(default_factory=list)
    valid: set[str] = field(default_factory=set)
    failures: int = 0
    error: CouchDBError | None = None
    gate: asyncio.Event | None = None
    brings_cookie: bool = True
    count: int = 0

    async def ask(
        self,
        method: str,
        path: str,
        *,
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Told:
        self.lines.append(f"{method} {path}")
        await asyncio.sleep(0)
        if self.gate is not None:
            await self.gate.wait()
        if self.error is not None:
            raise self.error
        if method == "GET":
            known = (headers or {}).get("Cookie", "").removeprefix("AuthSession=") in self.valid
            return Told(200, {"userCtx": {"name": "bond" if known else None}})
        return self.log_in(json.loads(body or b"{}"))

    def log_in(self, form: dict[str, str]) -> Told:
        self.tried.append(form["password"])
        if self.failures >= 5:
            raise response_error(Facts("POST", "/_session", 403, "forbidden", LOCKED))
        if form["password"] != self.password:
            self.failures += 1
            raise response_error(Facts("POST", "/_session", 401, "unauthorized", WRONG))
        self.count += 1
        self.valid.add(f"c{self.count}")
        age = "" if self.max_age is None else f"; Max-Age={self.max_age}"
        cookie = f"AuthSession=c{self.count}; Version=1{age}; Path=/; HttpOnly"
        return Told(200, {"ok": True}, cookie if self.brings_cookie else None)

    def rotate(self, password: str) -> None:
        """Another password: the cookies of the old one hold no more."""
        self.password = password
        self.valid.clear()
        self.failures = 0


def refusal(
    status: int = 401, reason: str = "You are not authorized to access this db."
) -> CouchDBError:
    """What a request that is not let in is answered."""
    return response_error(Facts("GET", "/db", status, "unauthorized", reason))


async def send(auth: Auth, couch: Couch, meanwhile: asyncio.Event | None = None) -> str:
    """One request by the rules of the chain; gives the cookie that was taken. Refusals raise."""
    held = auth.ready()
    sent = await auth.headers(couch.ask) if held is None else held
    if meanwhile is not None:
        await meanwhile.wait()
    cookie = sent["Cookie"].removeprefix("AuthSession=")
    if cookie in couch.valid:
        return cookie
    if not await auth.refused(refusal(), sent, couch.ask):
        raise refusal()
    held = auth.ready()
    sent = await auth.headers(couch.ask) if held is None else held
    cookie = sent["Cookie"].removeprefix("AuthSession=")
    if cookie not in couch.valid:
        raise refusal()
    return cookie
