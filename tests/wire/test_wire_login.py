"""The exact requests of ways to say who we are that ask the server by themselves."""

import asyncio
import logging
from collections.abc import AsyncIterator
from typing import Any

import pytest

from aiocouch import CouchDB, Database, Document, RetryPolicy
from aiocouch.auth import Auth, CookieAuth, LoginAuth, ProxyAuth, RotatingBasicAuth, TokenAuth
from aiocouch.exception import (
    AccountLockedError,
    ForbiddenError,
    InvalidInputError,
    InvalidTypeError,
    TransportError,
    UnauthorizedError,
)
from tests.wire.canned import (
    Answer,
    CannedServer,
    Request,
    error_answer,
    json_answer,
    row,
    rows_answer,
)

SECRET = "s3cr3t-w0rd"
QUICK = RetryPolicy(first_wait=0)
LOCKED = "Account is temporarily locked due to multiple authentication failures"


class House:
    """A server that lets in who has one of its cookies, and gives one for the password."""

    def __init__(self, canned: CannedServer) -> None:
        self.canned = canned
        self.password = SECRET
        self.cookies: set[str] = set()
        self.count = 0
        canned.handler = self.answer

    def answer(self, request: Request) -> Answer:
        sent = request.headers.get("cookie", "").split("; ")
        cookie = "".join(
            one.removeprefix("AuthSession=") for one in sent if one.startswith("AuthSession=")
        )
        if request.line == "POST /_session":
            return self.log_in(request.json())
        if request.line == "GET /_session":
            name = "bond" if cookie in self.cookies else None
            return json_answer({"ok": True, "userCtx": {"name": name, "roles": []}})
        if cookie not in self.cookies:
            return error_answer(401, "unauthorized", "You are not authorized to access this db.")
        document = {"_id": "x", "_rev": "1-a", "ok": True, "id": "x", "rev": "1-a"}
        return json_answer({**document, "couchdb": "Welcome"})

    def log_in(self, form: dict[str, str]) -> Answer:
        if form != {"name": "bond", "password": self.password}:
            cleared = "AuthSession=; Version=1; Max-Age=600; Path=/; HttpOnly"
            return json_answer(
                {"error": "unauthorized", "reason": "Name or password is incorrect."},
                401,
                Set_Cookie=cleared,
            )
        self.count += 1
        self.cookies.add(f"c{self.count}")
        cookie = f"AuthSession=c{self.count}; Version=1; Max-Age=600; Path=/; HttpOnly"
        return json_answer({"ok": True, "name": "bond", "roles": []}, Set_Cookie=cookie)

    @property
    def logins(self) -> int:
        return self.canned.lines.count("POST /_session")


@pytest.fixture
def house(canned: CannedServer) -> House:
    return House(canned)


@pytest.fixture
async def couchdb(house: House) -> AsyncIterator[CouchDB]:
    # By a name, for aiohttp keeps no cookies of addresses.
    url = house.canned.url.replace("127.0.0.1", "localhost")
    async with CouchDB(url, auth=LoginAuth("bond", SECRET)) as session:
        yield session


async def test_the_login_and_then_its_cookie(house: House, couchdb: CouchDB) -> None:
    db = Database(couchdb, "db")
    await db["x"]
    await db["x"]
    login, *reads = house.canned.requests
    assert login.line == "POST /_session"
    assert login.json() == {"name": "bond", "password": SECRET}
    assert login.headers["content-type"] == "application/json"
    assert "authorization" not in login.headers
    assert "cookie" not in login.headers
    assert [read.line for read in reads] == ["GET /db/x"] * 2
    for read in reads:
        assert read.headers["cookie"] == "AuthSession=c1"
        assert "authorization" not in read.headers


async def test_64_callers_when_the_session_expires(house: House, couchdb: CouchDB) -> None:
    db = Database(couchdb, "db")
    await db["x"]
    house.cookies.clear()
    found = await asyncio.gather(*[db["x"] for _ in range(64)])
    assert [document.id for document in found] == ["x"] * 64
    assert house.logins == 2
    assert house.canned.lines.count("GET /_session") == 1
    assert len(house.canned.lines) <= 1 + 1 + 64 + 2 + 64


async def test_one_login_and_one_replay_and_no_more(canned: CannedServer) -> None:
    cookie = "AuthSession=c; Max-Age=600"
    canned.say_json({"ok": True}, Set_Cookie=cookie)
    canned.say(error_answer(401))
    canned.say_json({"ok": True, "userCtx": {"name": None}})
    canned.say_json({"ok": True}, Set_Cookie=cookie)
    canned.say(error_answer(401, "unauthorized", "no, never"))
    async with CouchDB(canned.url, auth=LoginAuth("bond", SECRET)) as couchdb:
        with pytest.raises(UnauthorizedError, match="no, never"):
            await Database(couchdb, "db")["x"]
    sessions = ["POST /_session", "GET /db/x", "GET /_session", "POST /_session", "GET /db/x"]
    assert canned.lines == sessions


async def test_a_write_is_sent_again_as_it_was(house: House, couchdb: CouchDB) -> None:
    db = Database(couchdb, "db")
    document = Document(db, "x", data={"n": 1})
    await couchdb.info()
    house.cookies.clear()
    await document.save()
    writes = [request for request in house.canned.requests if request.method == "PUT"]
    assert [write.json() for write in writes] == [{"_id": "x", "n": 1}] * 2
    assert document.rev == "1-a"


async def test_a_stream_begins_anew(house: House, couchdb: CouchDB) -> None:
    await couchdb.info()
    house.cookies.clear()
    house.canned.say(error_answer(401), json_answer({"userCtx": {"name": None}}))
    house.canned.say(house.answer, rows_answer(row("a"), row("b")))
    assert [key async for key in Database(couchdb, "db").akeys()] == ["a", "b"]
    assert house.logins == 2


async def test_an_upload_that_can_be_sent_once_fails_and_the_next_does_not(
    house: House, couchdb: CouchDB
) -> None:
    await couchdb.info()
    house.cookies.clear()

    async def pieces() -> AsyncIterator[bytes]:
        yield b"text"

    with pytest.raises(UnauthorizedError):
        await couchdb.remote.request("PUT", "/db/x/a", body=pieces())
    await couchdb.remote.request("PUT", "/db/x/a", body=pieces())
    uploads = [request for request in house.canned.requests if request.method == "PUT"]
    assert [upload.body for upload in uploads] == [b"text"] * 2
    assert house.logins == 2


async def test_a_cookie_that_the_server_pushes_is_sent_from_then_on(
    house: House, couchdb: CouchDB
) -> None:
    await couchdb.info()
    house.canned.say_json({"couchdb": "Welcome"}, Set_Cookie="AuthSession=pushed; Max-Age=600")
    house.cookies.add("pushed")
    await couchdb.info()
    await couchdb.info()
    assert house.canned.requests[-1].headers["cookie"] == "AuthSession=pushed"
    assert house.logins == 1


async def test_a_check_of_a_session_that_is_over_logs_in(house: House, couchdb: CouchDB) -> None:
    """The server refuses nobody here, but takes us for anonymous."""
    await couchdb.check_credentials()
    house.cookies.clear()
    await couchdb.check_credentials()
    assert house.logins == 2
    house.cookies.clear()
    house.password = "another"
    with pytest.raises(UnauthorizedError, match="incorrect"):
        await couchdb.check_credentials()


async def test_other_cookies_are_kept_beside_it(house: House, couchdb: CouchDB) -> None:
    await couchdb.info()
    house.canned.say_json({"couchdb": "Welcome"}, Set_Cookie="balancer=b7; Path=/")
    await couchdb.info()
    await couchdb.info()
    sent = set(house.canned.requests[-1].headers["cookie"].split("; "))
    assert sent == {"AuthSession=c1", "balancer=b7"}


# -- passwords that are wrong, that change, and accounts that are locked


async def test_a_wrong_password_is_sent_once(house: House, couchdb: CouchDB) -> None:
    house.password = "another"
    for _ in range(5):
        with pytest.raises(UnauthorizedError, match="Name or password") as caught:
            await couchdb.info()
        assert (caught.value.status, caught.value.path) == (401, "/_session")
    assert house.canned.lines == ["POST /_session"]


async def test_the_empty_cookie_of_a_refusal_is_not_sent(house: House) -> None:
    given = {"password": "wrong"}
    login = LoginAuth(lambda: ("bond", given["password"]))
    url = house.canned.url.replace("127.0.0.1", "localhost")
    async with CouchDB(url, auth=login) as couchdb:
        with pytest.raises(UnauthorizedError):
            await couchdb.info()
        given["password"] = SECRET
        await couchdb.info()
    assert house.canned.requests[-1].headers["cookie"] == "AuthSession=c1"


async def test_64_callers_and_a_password_that_rotates(house: House) -> None:
    async def stored() -> tuple[str, str]:
        await asyncio.sleep(0)
        return "bond", house.password

    async with CouchDB(house.canned.url, auth=LoginAuth(stored)) as couchdb:
        db = Database(couchdb, "db")
        for number in range(1, 4):
            await asyncio.gather(*[db["x"] for _ in range(64)])
            assert house.logins == number
            house.password = f"{SECRET}-{number}"
            house.cookies.clear()


async def test_a_locked_account(canned: CannedServer) -> None:
    canned.say(error_answer(403, "forbidden", LOCKED))
    async with CouchDB(canned.url, auth=LoginAuth("bond", SECRET)) as couchdb:
        for _ in range(5):
            with pytest.raises(AccountLockedError, match="temporarily locked") as caught:
                await couchdb.info()
            assert isinstance(caught.value, ForbiddenError)
            assert isinstance(caught.value, PermissionError)
    assert canned.lines == ["POST /_session"]


async def test_any_request_may_tell_that_the_account_is_locked(canned: CannedServer) -> None:
    canned.say(error_answer(403, "forbidden", LOCKED), error_answer(403, "forbidden", "no"))
    async with CouchDB(canned.url, "bond", SECRET) as couchdb:
        with pytest.raises(AccountLockedError):
            await couchdb.info()
        with pytest.raises(ForbiddenError) as caught:
            await couchdb.info()
        assert not isinstance(caught.value, AccountLockedError)


async def test_a_locked_account_is_told_of_by_head_too(canned: CannedServer) -> None:
    canned.handler = lambda request: error_answer(403, "forbidden", LOCKED)
    async with CouchDB(canned.url, "bond", SECRET) as couchdb:
        with pytest.raises(AccountLockedError, match="temporarily locked"):
            await couchdb["db"]
    assert canned.lines == ["HEAD /db", "GET /db"]


async def test_other_refusals_of_head_stay_what_they_are(canned: CannedServer) -> None:
    canned.handler = lambda request: error_answer(403, "forbidden", "no")
    async with CouchDB(canned.url, "bond", SECRET) as couchdb:
        with pytest.raises(ForbiddenError) as caught:
            await couchdb["db"]
    assert not isinstance(caught.value, AccountLockedError)
    assert caught.value.method == "HEAD"


FAILURES = {"silent": Answer(silent=True), "busy": error_answer(503, "unavailable", "later")}


@pytest.mark.parametrize("kind", FAILURES)
async def test_what_was_not_sent_for_its_login_failed_is_sent_later(
    canned: CannedServer, kind: str
) -> None:
    """Even what may be sent only once."""
    canned.say(FAILURES[kind])
    canned.say_json({"ok": True}, Set_Cookie="AuthSession=c; Max-Age=600")
    canned.say_json({"ok": True})
    async with CouchDB(canned.url, auth=LoginAuth("bond", SECRET), retry=QUICK) as couchdb:
        await couchdb.remote.request("POST", "/_replicate", body=b"{}")
    assert canned.lines == ["POST /_session"] * 2 + ["POST /_replicate"]


async def test_a_refused_request_whose_new_login_failed_is_sent_later(
    canned: CannedServer,
) -> None:
    cookie = "AuthSession=c; Max-Age=600"
    canned.say_json({"ok": True}, Set_Cookie=cookie)
    # aiohttp asks again by itself where a connection that it had kept is closed.
    canned.say(error_answer(401), Answer(silent=True), Answer(silent=True), error_answer(401))
    canned.say_json({"userCtx": {"name": None}})
    canned.say_json({"ok": True}, Set_Cookie=cookie)
    canned.say_json({"ok": True})
    async with CouchDB(canned.url, auth=LoginAuth("bond", SECRET), retry=QUICK) as couchdb:
        await couchdb.remote.request("POST", "/_replicate", body=b"{}")
    login, work, check = "POST /_session", "POST /_replicate", "GET /_session"
    assert canned.lines == [login, work, check, check, work, check, login, work]


async def test_a_login_that_cannot_be_made(canned: CannedServer) -> None:
    canned.handler = lambda request: Answer(silent=True)
    async with CouchDB(canned.url, auth=LoginAuth("bond", SECRET), retry=None) as couchdb:
        with pytest.raises(TransportError) as caught:
            await couchdb.remote.request("PUT", "/db", body=b"{}")
    assert caught.value.undone
    assert caught.value.path == "/_session"
    assert canned.lines == ["POST /_session"]


# -- the other ways


async def test_a_token_that_is_refused_is_replaced_and_sent_once_more(
    canned: CannedServer,
) -> None:
    tokens = iter(["one", "two", "three"])
    canned.say(error_answer(401))
    canned.say_json({"couchdb": "Welcome"})
    canned.say_json({"couchdb": "Welcome"})
    async with CouchDB(canned.url, auth=TokenAuth(lambda: next(tokens))) as couchdb:
        await couchdb.info()
        await couchdb.info()
    sent = [request.headers["authorization"] for request in canned.requests]
    assert sent == ["Bearer one", "Bearer two", "Bearer two"]


async def test_a_fixed_token_is_not_sent_again(canned: CannedServer) -> None:
    canned.say(error_answer(401))
    async with CouchDB(canned.url, auth=TokenAuth("one")) as couchdb:
        with pytest.raises(UnauthorizedError):
            await couchdb.info()


async def test_a_rotating_password_by_basic(canned: CannedServer) -> None:
    pairs = iter([("u", "p"), ("u", "q")])
    canned.say(error_answer(401, "unauthorized", "Name or password is incorrect."))
    canned.say_json({"couchdb": "Welcome"})
    async with CouchDB(canned.url, auth=RotatingBasicAuth(lambda: next(pairs))) as couchdb:
        await couchdb.info()
    sent = [request.headers["authorization"] for request in canned.requests]
    assert sent == ["Basic dTpw", "Basic dTpx"]


async def test_proxy_headers(canned: CannedServer) -> None:
    canned.say_json({"couchdb": "Welcome"})
    async with CouchDB(canned.url, auth=ProxyAuth("bond", ["a", "b"], secret="s")) as couchdb:
        await couchdb.info()
    sent = canned.only().headers
    assert sent["x-auth-couchdb-username"] == "bond"
    assert sent["x-auth-couchdb-roles"] == "a,b"
    assert len(sent["x-auth-couchdb-token"]) == 64


async def test_a_way_of_ones_own(canned: CannedServer) -> None:
    class Ticket(Auth):
        async def headers(self, ask: Any) -> dict[str, str]:
            answer = await ask("POST", "/_ticket", body=b"{}")
            return {"X-Ticket": answer.json()["ticket"]}

    for ticket in ("one", "two"):
        canned.say_json({"ticket": ticket})
        canned.say_json({"couchdb": "Welcome"})
    async with CouchDB(canned.url, auth=Ticket()) as couchdb:
        await couchdb.info()
        await couchdb.info()
    asked, first, _, second = canned.requests
    assert asked.line == "POST /_ticket"
    assert "x-ticket" not in asked.headers
    assert (first.headers["x-ticket"], second.headers["x-ticket"]) == ("one", "two")


async def test_headers_of_the_session_win(canned: CannedServer) -> None:
    canned.say_json({"couchdb": "Welcome"})
    headers = {"authorization": "Bearer mine"}
    async with CouchDB(canned.url, auth=TokenAuth("yours"), headers=headers) as couchdb:
        await couchdb.info()
    assert canned.only().headers["authorization"] == "Bearer mine"


@pytest.mark.parametrize("given", [{"user": "u"}, {"cookie": "c"}, {"user": "u", "password": "p"}])
def test_two_ways_are_one_too_many(given: dict[str, Any]) -> None:
    with pytest.raises(InvalidInputError, match="two ways"):
        CouchDB("http://localhost", auth=LoginAuth("u", "p"), **given)


def test_the_url_is_a_way_too() -> None:
    with pytest.raises(InvalidInputError, match="two ways"):
        CouchDB("http://u:p@localhost", auth=LoginAuth("u", "p"))


def test_what_is_no_way() -> None:
    with pytest.raises(InvalidTypeError, match=r"aiocouch\.auth\.Auth"):
        CouchDB("http://localhost", auth=("u", "p"))  # type: ignore[call-overload]


def test_a_login_is_for_one_server() -> None:
    login = LoginAuth("u", "p")
    CouchDB("http://one", auth=login)
    with pytest.raises(InvalidInputError, match="http://one"):
        CouchDB("http://two", auth=login)


# -- nothing is shown


@pytest.mark.parametrize("kind", ["refused", "locked", "silent", "html", "odd", "cut"])
async def test_no_error_of_a_login_shows_a_secret(
    canned: CannedServer, caplog: pytest.LogCaptureFixture, kind: str
) -> None:
    import traceback

    caplog.set_level(logging.DEBUG)
    canned.handler = lambda request: {
        "refused": error_answer(401),
        "locked": error_answer(403, "forbidden", LOCKED),
        "silent": Answer(silent=True),
        "html": Answer(200, b"<html>", {"Content-Type": "text/html"}),
        "odd": json_answer({}),
        "cut": Answer(raw=f"HTTP/1.1 200 OK\r\nSet-Cookie: AuthSession={SECRET}\r\n".encode()),
    }[kind]
    async with CouchDB(canned.url, auth=LoginAuth("bond", SECRET), retry=QUICK) as couchdb:
        with pytest.raises(Exception) as caught:  # noqa: PT011 - of each kind another
            await couchdb.info()
        shown = "".join(
            traceback.TracebackException.from_exception(caught.value, capture_locals=True).format()
        )
        assert "_flow" in shown, "the frames of ours are there, with their locals"
        # The locals of aiohttp are not ours to hide, nor those of this test.
        ours = shown.split("aiohttp/client.py")[0].replace(f"SECRET = '{SECRET}'", "")
        assert SECRET not in ours
        assert SECRET not in caplog.text + repr(couchdb.remote.credentials)


async def test_a_given_cookie_does_not_come_from_the_jar(canned: CannedServer) -> None:
    canned.say_json({"couchdb": "Welcome"}, Set_Cookie="AuthSession=; Max-Age=600; Path=/")
    canned.say_json({"couchdb": "Welcome"})
    url = canned.url.replace("127.0.0.1", "localhost")
    async with CouchDB(url, auth=CookieAuth("mine")) as couchdb:
        await couchdb.info()
        await couchdb.info()
    assert canned.requests[1].headers["cookie"] == "AuthSession=mine"
