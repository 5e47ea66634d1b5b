"""The proxy passes requests on unchanged, and breaks those that a rule names."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import RawTestServer

from aiocouch.testing import CouchDBServer, Faults, SeenRequest

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

LONG = b"0123456789" * 100_000


class Upstream:
    """A server that says what it was asked, and remembers it."""

    def __init__(self) -> None:
        self.bodies: list[bytes] = []
        self.heads: list[tuple[str, str]] = []
        self.gone = asyncio.Event()

    async def answer(self, request: web.BaseRequest) -> web.StreamResponse:
        self.heads.append((request.method, request.raw_path))
        if "Expect" in request.headers and request.transport is not None:
            request.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        self.bodies.append(await request.read())
        if request.path == "/endless":
            return await self._endless(request)
        if request.path == "/chunked":
            return await self._chunked(request)
        if request.path == "/login":
            response = web.Response(body=b"in")
            response.set_cookie("AuthSession", f"ticket{len(self.heads)}")
            return response
        return web.Response(body=request.headers.get("Cookie", "").encode() or LONG)

    async def _chunked(self, request: web.BaseRequest) -> web.StreamResponse:
        response = web.StreamResponse()
        response.enable_chunked_encoding()
        await response.prepare(request)
        for start in range(0, len(LONG), 300_000):
            await response.write(LONG[start : start + 300_000])
        return response

    async def _endless(self, request: web.BaseRequest) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        await response.write(b"begin")
        try:
            await asyncio.Event().wait()
        finally:
            self.gone.set()
        return response


@pytest.fixture
def upstream() -> Upstream:
    return Upstream()


@pytest.fixture
async def faults(upstream: Upstream) -> AsyncIterator[Faults]:
    async with (
        RawTestServer(upstream.answer, handler_cancellation=True) as server,
        Faults(str(server.make_url("/"))) as faults,
    ):
        yield faults


@pytest.fixture
async def client() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar()) as session:
        yield session


@pytest.mark.parametrize("path", ["/", "/chunked"])
async def test_passes_requests_on(
    faults: Faults, client: aiohttp.ClientSession, upstream: Upstream, path: str
) -> None:
    for _ in range(3):
        async with client.post(faults.url + path, data=LONG) as answer:
            assert await answer.read() == LONG
    assert upstream.bodies == [LONG] * 3
    assert [(r.method, r.path) for r in faults.requests] == [("POST", path)] * 3


async def test_passes_on_chunks_and_expectations(
    faults: Faults, client: aiohttp.ClientSession, upstream: Upstream
) -> None:
    async def body() -> AsyncIterator[bytes]:
        yield b"one "
        yield b"two"

    async with client.put(faults.url, data=body(), expect100=True) as answer:
        assert answer.status == 200
    assert upstream.bodies == [b"one two"]


async def test_leaves_the_path_as_it_is(
    faults: Faults, client: aiohttp.ClientSession, upstream: Upstream
) -> None:
    from yarl import URL

    async with client.head(URL(f"{faults.url}/a%2Fb/%2E%2E?x=%22", encoded=True)) as answer:
        assert await answer.read() == b""
    assert upstream.heads == [("HEAD", "/a%2Fb/%2E%2E?x=%22")]
    assert faults.requests[0].query == "x=%22"


@pytest.mark.parametrize("status", [429, 500, 503, 418])
async def test_answers_in_place_of_the_server(
    faults: Faults, client: aiohttp.ClientSession, upstream: Upstream, status: int
) -> None:
    rule = faults.answer(status, method="POST", headers={"Retry-After": "7"})
    async with client.post(faults.url, data=b"x") as answer:
        assert answer.status == status
        assert answer.headers["Retry-After"] == "7"
        assert set(await answer.json()) == {"error", "reason"}
    assert rule.hits == 1
    assert upstream.heads == []
    async with client.post(faults.url, data=b"x") as answer:
        assert answer.status == 200


async def test_answers_with_the_body_that_was_asked_for(
    faults: Faults, client: aiohttp.ClientSession
) -> None:
    faults.answer(200, body=["mine"])
    async with client.get(faults.url) as answer:
        assert await answer.json() == ["mine"]


async def test_answers_a_request_that_waits_for_leave(
    faults: Faults, client: aiohttp.ClientSession, upstream: Upstream
) -> None:
    faults.answer(503)
    async with client.put(faults.url, data=LONG, expect100=True) as answer:
        assert answer.status == 503
    assert upstream.bodies == []


async def test_rules_choose_by_method_path_and_count(
    faults: Faults, client: aiohttp.ClientSession
) -> None:
    faults.answer(503, method="PUT", path="*/_bulk_docs", times=2, after=1)
    statuses = []
    for method, path in [
        ("PUT", "/db/_bulk_docs"),  # goes through, by after=1
        ("GET", "/db/_bulk_docs"),
        ("PUT", "/db/_bulk_docs/x"),
        ("PUT", "/db/_bulk_docs?query"),
        ("PUT", "/other/_bulk_docs"),
        ("PUT", "/db/_bulk_docs"),
    ]:
        async with client.request(method, faults.url + path) as answer:
            statuses.append(answer.status)
    assert statuses == [200, 200, 200, 503, 503, 200]


async def test_a_rule_without_end_lasts_until_it_is_cleared(
    faults: Faults, client: aiohttp.ClientSession
) -> None:
    faults.answer(500, times=None)
    for _ in range(3):
        async with client.get(faults.url) as answer:
            assert answer.status == 500
    faults.clear()
    async with client.get(faults.url) as answer:
        assert answer.status == 200


async def test_resets(faults: Faults, client: aiohttp.ClientSession, upstream: Upstream) -> None:
    faults.reset()
    with pytest.raises(aiohttp.ClientOSError, match="reset"):
        await client.post(faults.url, data=b"x")
    assert upstream.heads == []


async def test_loses_the_answer_of_what_was_done(
    faults: Faults, client: aiohttp.ClientSession, upstream: Upstream
) -> None:
    faults.lose()
    with pytest.raises(aiohttp.ClientOSError, match="reset"):
        await client.post(faults.url, data=b"x")
    assert upstream.bodies == [b"x"]


@pytest.mark.parametrize("path", ["/", "/chunked"])
async def test_cuts_a_body(faults: Faults, client: aiohttp.ClientSession, path: str) -> None:
    faults.cut(1000)
    received = b""

    async def read() -> None:
        nonlocal received
        async with client.get(faults.url + path) as answer:
            async for piece in answer.content.iter_any():
                received += piece

    with pytest.raises(aiohttp.ClientPayloadError):
        await read()
    assert 0 < len(received) <= 1000
    assert LONG.startswith(received)


async def test_delays(faults: Faults, client: aiohttp.ClientSession) -> None:
    faults.delay(60)
    with pytest.raises(TimeoutError):
        await client.get(faults.url, timeout=aiohttp.ClientTimeout(0.1))
    async with client.get(faults.url) as answer:
        assert answer.status == 200


async def test_refuses_connections(faults: Faults, client: aiohttp.ClientSession) -> None:
    async with client.get(faults.url) as answer:
        await answer.read()
    url = faults.url
    async with faults.refusing():
        with pytest.raises(aiohttp.ClientConnectorError):
            await client.get(url)
    async with client.get(url) as answer:
        assert answer.status == 200


async def test_old_cookies_expire_and_new_ones_count(
    faults: Faults, client: aiohttp.ClientSession
) -> None:
    async def login() -> dict[str, str]:
        async with client.get(f"{faults.url}/login") as answer:
            return {"AuthSession": answer.cookies["AuthSession"].value, "other": "kept"}

    async def arrives(cookies: dict[str, str]) -> str:
        async with client.get(faults.url, cookies=cookies) as answer:
            return await answer.text()

    old = await login()
    assert "AuthSession" in await arrives(old)
    faults.expire_cookies()
    assert await arrives(old) == "other=kept"
    assert "AuthSession" in await arrives(await login())


async def test_cookies_expire_at_a_request(faults: Faults, client: aiohttp.ClientSession) -> None:
    cookies = {"AuthSession": "ticket"}
    faults.expire_cookies(path="/second", after=1)
    arrived = []
    for path in ("/first", "/second", "/second", "/first"):
        async with client.get(faults.url + path, cookies=cookies) as answer:
            arrived.append(await answer.read() == b"AuthSession=ticket")
    assert arrived == [True, True, False, False]


async def test_a_program_that_leaves_a_feed_is_not_kept_alive(
    faults: Faults, client: aiohttp.ClientSession, upstream: Upstream
) -> None:
    async with client.get(f"{faults.url}/endless") as answer:
        assert await answer.content.readany() == b"begin"
        answer.close()
    await asyncio.wait_for(upstream.gone.wait(), 10)


async def test_a_server_that_is_not_there_hangs_up(client: aiohttp.ClientSession) -> None:
    async with Faults(CouchDBServer("http://127.0.0.1:9")) as faults:
        with pytest.raises(aiohttp.ServerDisconnectedError):
            await client.get(faults.url)


def test_the_url_keeps_a_path_prefix() -> None:
    faults = Faults("http://u:p@127.0.0.1:5984/prefix/")
    assert faults.url == "http://127.0.0.1:0/prefix"
    assert faults.server.user == "u"
    assert "p'" not in repr(faults.server)


async def test_answers_in_html_as_a_gateway(
    faults: Faults, client: aiohttp.ClientSession, upstream: Upstream
) -> None:
    faults.html()
    async with client.get(faults.url) as answer:
        assert (answer.status, answer.content_type) == (502, "text/html")
        assert "Bad Gateway" in await answer.text()
    assert upstream.heads == []


async def test_stalls_before_the_server_sees_a_request(
    faults: Faults, client: aiohttp.ClientSession, upstream: Upstream
) -> None:
    faults.stall()
    with pytest.raises(TimeoutError):
        await client.post(faults.url, data=LONG, timeout=aiohttp.ClientTimeout(0.1))
    assert upstream.heads == []


@pytest.mark.parametrize("path", ["/", "/chunked"])
async def test_stalls_in_the_middle_of_an_answer(
    faults: Faults, client: aiohttp.ClientSession, path: str
) -> None:
    faults.stall(1000)
    async with client.get(faults.url + path) as answer:
        received = await answer.content.readany()
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(answer.content.readexactly(1000), 0.1)
    assert LONG.startswith(received)


async def test_stalled_connections_end_with_the_proxy(
    upstream: Upstream, client: aiohttp.ClientSession
) -> None:
    async with RawTestServer(upstream.answer) as server:
        async with Faults(str(server.make_url("/"))) as faults:
            came = asyncio.Event()

            def note(_: SeenRequest) -> bool:
                came.set()
                return True

            faults.stall(when=note)
            waiting = asyncio.create_task(client.post(faults.url))
            await came.wait()
        with pytest.raises(aiohttp.ServerDisconnectedError):
            await waiting


async def cut_at(faults: Faults, client: aiohttp.ClientSession, count: int | range) -> int:
    """Let an answer be cut, its head included; give how many bytes of its body came."""
    faults.cut(count, head=True)
    received = 0
    try:
        async with client.post(faults.url) as answer:  # a GET is sent again by aiohttp
            async for piece in answer.content.iter_any():
                received += len(piece)
    except aiohttp.ClientError:
        return received
    return -1


async def test_cuts_in_the_head(faults: Faults, client: aiohttp.ClientSession) -> None:
    assert [await cut_at(faults, client, count) for count in (0, 5, 40)] == [0, 0, 0]


async def test_cuts_at_places_of_its_own(faults: Faults, client: aiohttp.ClientSession) -> None:
    places = [await cut_at(faults, client, range(10_000)) for _ in range(5)]
    assert len(set(places)) == 5
    assert all(0 <= place < 10_000 for place in places)


async def test_is_down_for_a_while(faults: Faults, client: aiohttp.ClientSession) -> None:
    faults.down(0.1)
    with pytest.raises(aiohttp.ClientOSError):
        await client.post(faults.url)
    refused = 0
    while True:
        try:
            async with client.post(faults.url) as answer:
                assert answer.status == 200
                break
        except aiohttp.ClientError:
            refused += 1
    assert refused


async def test_a_proxy_that_is_down_can_be_closed(client: aiohttp.ClientSession) -> None:
    async with Faults(CouchDBServer("http://127.0.0.1:9")) as faults:
        faults.down(1000)
        with pytest.raises(aiohttp.ClientOSError):
            await client.post(faults.url)
    with pytest.raises(aiohttp.ClientConnectorError):
        await client.post(faults.url)


async def broken_ones(client: aiohttp.ClientSession, faults: Faults, paths: list[str]) -> set[str]:
    broken = set()
    for path in paths:
        async with client.get(faults.url + path) as answer:
            if answer.status == 503:
                broken.add(path)
    return broken


async def test_chance_is_drawn_for_each_request_whatever_the_order(
    faults: Faults, client: aiohttp.ClientSession, upstream: Upstream
) -> None:
    paths = [f"/{number}" for number in range(200)]
    rule = faults.answer(503, chance=0.3, times=None)
    broken = await broken_ones(client, faults, paths)
    assert rule.hits == len(broken)
    assert 30 < len(broken) < 90
    assert await broken_ones(client, faults, paths) != broken  # the second time is another one
    async with RawTestServer(upstream.answer) as server:
        for seed, same in ((0, True), (1, False)):
            async with Faults(str(server.make_url("/")), seed=seed) as again:
                again.answer(503, chance=0.3, times=None)
                assert (await broken_ones(client, again, paths[::-1]) == broken) is same


async def test_a_rule_can_look_at_the_query(faults: Faults, client: aiohttp.ClientSession) -> None:
    faults.answer(503, times=None, when=lambda request: "feed" in request.query)
    assert await broken_ones(client, faults, ["/", "/?feed=x", "/feed"]) == {"/?feed=x"}


async def test_counts_what_each_kind_has_broken(
    faults: Faults, client: aiohttp.ClientSession
) -> None:
    faults.answer(503, times=2)
    faults.answer(503, path="/other")
    faults.reset(path="/never")
    await broken_ones(client, faults, ["/"] * 3)
    faults.clear()
    assert faults.broken == {"answer": 2, "reset": 0}
