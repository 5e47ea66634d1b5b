"""Several nodes: which one is asked, when another one is, and when the first is again."""

from __future__ import annotations

import asyncio
import logging
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Any

import pytest

from aiocouch import (
    CouchDB,
    Database,
    Document,
    InvalidInputError,
    InvalidTypeError,
    NotFoundError,
    RemoteResponseError,
    RetryPolicy,
    TransportError,
)
from aiocouch._transport import circuit
from aiocouch.auth import LoginAuth
from tests.wire.canned import Answer, CannedServer, canned_server, error_answer, json_answer

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

QUICK = RetryPolicy(first_wait=0.001, longest_wait=0.01)
INFO = json_answer({"couchdb": "Welcome", "db_name": "db", "status": "ok"})
HTML = Answer(502, b"<html>Bad Gateway</html>", {"Content-Type": "text/html"})


@pytest.fixture
async def nodes() -> AsyncIterator[list[CannedServer]]:
    """Three nodes that answer everything."""
    async with AsyncExitStack() as stack:
        servers = [await stack.enter_async_context(canned_server()) for _ in range(3)]
        for server in servers:
            server.handler = lambda _: INFO
        yield servers


@pytest.fixture
def no_rest(monkeypatch: pytest.MonkeyPatch) -> None:
    """A node that has failed may be asked again at once."""
    monkeypatch.setattr(circuit, "_FIRST_REST", 0.0)
    monkeypatch.setattr(circuit, "_LONGEST_REST", 0.0)


def urls(nodes: list[CannedServer]) -> list[str]:
    return [node.url for node in nodes]


def counts(nodes: list[CannedServer]) -> list[int]:
    return [len(node.requests) for node in nodes]


def always(answer: Answer) -> Callable[[Any], Answer]:
    return lambda _: answer


async def test_all_requests_go_to_the_first(nodes: list[CannedServer]) -> None:
    async with CouchDB(urls(nodes)) as couchdb:
        for _ in range(5):
            await couchdb.info()
        assert couchdb.remote.url == nodes[0].url
    assert counts(nodes) == [5, 0, 0]


@pytest.mark.parametrize("retry", [QUICK, None])
async def test_a_node_that_is_not_there_is_passed_over(
    nodes: list[CannedServer], unused_tcp_port: int, retry: RetryPolicy | None
) -> None:
    """Whatever the request, for nothing was sent; and the next one does not even try it."""
    gone = f"http://127.0.0.1:{unused_tcp_port}"
    async with CouchDB([gone, *urls(nodes)], retry=retry) as couchdb:
        await couchdb.remote.request("POST", "/db/_something", body=b"{}")
        await couchdb.info()
    assert counts(nodes) == [2, 0, 0]


async def test_when_no_node_is_there(unused_tcp_port_factory: Callable[[], int]) -> None:
    gone = [f"http://127.0.0.1:{unused_tcp_port_factory()}" for _ in range(3)]
    async with CouchDB(gone, retry=RetryPolicy(first_wait=0, tries=3)) as couchdb:
        with pytest.raises(TransportError):
            await couchdb.info()


@pytest.mark.parametrize(
    "failing", [Answer(silent=True), HTML, error_answer(503), Answer(body=b"{", cut=True, length=9)]
)
async def test_what_fails_is_tried_on_another_node(
    nodes: list[CannedServer], failing: Answer
) -> None:
    nodes[0].handler = always(failing)
    async with CouchDB(urls(nodes), retry=QUICK) as couchdb:
        for _ in range(10):
            await couchdb.info()
    # Three failures in a row, of which aiohttp may have sent the request twice.
    assert counts(nodes)[1:] == [10, 0]
    assert counts(nodes)[0] <= 6


async def test_a_write_is_settled_at_another_node(nodes: list[CannedServer]) -> None:
    rev = "1-6a1adde9be9cd8e7d5ef76edc6836391"
    revisions = {"start": 1, "ids": [rev.partition("-")[2]]}
    leaf = {"_id": "a", "_rev": rev, "n": 0, "_revisions": revisions}
    nodes[0].handler = always(Answer(silent=True))
    nodes[1].handler = always(json_answer([{"ok": leaf}]))
    async with CouchDB(urls(nodes), retry=QUICK) as couchdb:
        doc = Document(Database(couchdb, "db"), "a", {"n": 0})
        await doc.save()
    assert doc.rev == rev
    assert [node.requests[0].method for node in nodes[:2]] == ["PUT", "GET"]


@pytest.mark.parametrize("status", [404, 409, 500, 429])
async def test_an_answer_is_no_failure_of_the_node(nodes: list[CannedServer], status: int) -> None:
    nodes[0].handler = always(error_answer(status))
    async with CouchDB(urls(nodes), retry=None) as couchdb:
        for _ in range(5):
            with pytest.raises(Exception, match=str(status)):
                await couchdb.info()
    assert counts(nodes) == [5, 0, 0]


@pytest.mark.usefixtures("no_rest")
async def test_back_to_a_node_that_is_well_again(
    nodes: list[CannedServer], caplog: pytest.LogCaptureFixture
) -> None:
    """It is asked how it is, beside requests that go elsewhere."""
    nodes[0].handler = always(error_answer(503))
    with caplog.at_level(logging.WARNING, "aiocouch"):
        async with asyncio.timeout(30), CouchDB(urls(nodes), retry=QUICK) as couchdb:
            for _ in range(5):
                await couchdb.info()
            nodes[0].requests.clear()
            nodes[0].handler = always(INFO)
            while not any(request.path == "/" for request in nodes[0].requests):
                await couchdb.info()
    assert {request.line for request in nodes[0].requests} == {"GET /_up", "GET /"}
    said = [record.getMessage() for record in caplog.records]
    assert sum(f"{nodes[0].url} has failed" in text for text in said) == 1
    assert said[-1] == f"the node {nodes[0].url} is well again"


@pytest.mark.usefixtures("no_rest")
async def test_a_node_in_maintenance_is_not_well(nodes: list[CannedServer]) -> None:
    nodes[0].handler = lambda request: error_answer(404 if request.path == "/_up" else 503)
    async with CouchDB(urls(nodes), retry=QUICK) as couchdb:
        for _ in range(20):
            await couchdb.info()
    assert len([request for request in nodes[0].requests if request.path != "/_up"]) <= 3
    assert any(request.path == "/_up" for request in nodes[0].requests)


@pytest.mark.usefixtures("no_rest")
async def test_closing_ends_the_question(nodes: list[CannedServer]) -> None:
    gate = asyncio.Event()

    async def never() -> AsyncIterator[bytes]:
        yield b"{"
        await gate.wait()

    nodes[0].handler = lambda request: (
        Answer(pieces=never())  # type: ignore[arg-type]
        if request.path == "/_up"
        else error_answer(503)
    )
    async with asyncio.timeout(30):
        async with CouchDB(urls(nodes), retry=QUICK) as couchdb:
            while not any(request.path == "/_up" for request in nodes[0].requests):
                await couchdb.info()
    gate.set()


async def test_credentials_stand_for_all_nodes(nodes: list[CannedServer]) -> None:
    """Those of one URL are sent to the others as well; they show nowhere."""
    nodes[0].handler = always(Answer(silent=True))
    with_password = nodes[0].url.replace("//", "//admin:secret@")
    async with CouchDB([with_password, nodes[1].url], retry=QUICK) as couchdb:
        await couchdb.info()
        assert "secret" not in repr(couchdb)
    sent = {node.requests[0].headers["authorization"] for node in nodes[:2]}
    assert sent == {"Basic YWRtaW46c2VjcmV0"}


async def test_a_login_holds_at_all_nodes(nodes: list[CannedServer]) -> None:
    def answer(request: Any) -> Answer:
        if request.path == "/_session":
            cookie = "AuthSession=abc; Version=1; Path=/; HttpOnly"
            return json_answer({"ok": True, "name": "u", "roles": []}, Set_Cookie=cookie)
        return INFO

    for node in nodes:
        node.handler = answer
    async with CouchDB(urls(nodes), auth=LoginAuth("u", "p"), retry=QUICK) as couchdb:
        await couchdb.info()
        nodes[0].handler = always(error_answer(503))
        await couchdb.info()
    assert [request.path for request in nodes[1].requests] == ["/"]
    assert nodes[1].requests[0].headers["cookie"] == "AuthSession=abc"


SESSION = json_answer({"ok": True}, Set_Cookie="AuthSession=abc; Max-Age=600")


async def test_a_node_that_goes_in_a_login_is_passed_over(nodes: list[CannedServer]) -> None:
    """Whatever was to be sent: it was not."""
    nodes[0].handler = always(Answer(silent=True))
    nodes[1].handler = lambda request: SESSION if request.path == "/_session" else INFO
    async with CouchDB(urls(nodes), auth=LoginAuth("u", "p"), retry=None) as couchdb:
        await couchdb.remote.request("POST", "/db/_something", body=b"{}")
    assert [request.line for request in nodes[0].requests] == ["POST /_session"]
    assert [request.line for request in nodes[1].requests] == [
        "POST /_session",
        "POST /db/_something",
    ]


@pytest.mark.usefixtures("no_rest")
async def test_the_question_makes_no_login(nodes: list[CannedServer]) -> None:
    """A node that wants to know who asks it is well."""
    login = LoginAuth("u", "p")
    nodes[0].handler = always(Answer(silent=True))
    nodes[1].handler = lambda request: SESSION if request.path == "/_session" else INFO
    async with asyncio.timeout(30), CouchDB(urls(nodes), auth=login, retry=QUICK) as couchdb:
        await couchdb.info()
        nodes[0].requests.clear()
        nodes[0].handler = lambda request: error_answer(401) if request.path == "/_up" else INFO
        while not any(request.path == "/" for request in nodes[0].requests):
            await couchdb.info()
    assert {request.line for request in nodes[0].requests} == {"GET /_up", "GET /"}
    assert [request.line for request in nodes[1].requests].count("POST /_session") == 1


async def test_one_url_twice_is_one_node(nodes: list[CannedServer]) -> None:
    url = nodes[0].url
    nodes[0].handler = always(error_answer(503))
    async with CouchDB([url, f"{url}/"], retry=None) as couchdb:
        with pytest.raises(RemoteResponseError):
            await couchdb.info()
    assert counts(nodes) == [1, 0, 0]


@pytest.mark.parametrize(
    ("given", "error"),
    [
        ([], InvalidInputError),
        (["http://a", "ftp://b"], InvalidInputError),
        (["http://u:p@a", "http://v:p@b"], InvalidInputError),
        (["http://a", None], InvalidTypeError),
        ({"http://a"}, InvalidTypeError),
        (7, InvalidTypeError),
    ],
)
def test_what_is_no_list_of_servers(given: Any, error: type[Exception]) -> None:
    with pytest.raises(error):
        CouchDB(given)


async def test_missing_is_missing_at_the_next_node_too(nodes: list[CannedServer]) -> None:
    nodes[0].handler = always(HTML)
    nodes[1].handler = always(error_answer(404, "not_found", "missing"))
    async with CouchDB(urls(nodes), retry=QUICK) as couchdb:
        with pytest.raises(NotFoundError):
            await Database(couchdb, "db").get("a")
    assert counts(nodes)[2] == 0
