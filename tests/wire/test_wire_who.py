"""Who we are: basic, cookie, credentials in the URL; and that no secret is ever shown."""

import base64
import io
import logging
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

import aiocouch
from aiocouch import CouchDB, Database, UnauthorizedError
from aiocouch.exception import CouchDBError
from tests.wire.canned import Answer, CannedServer, error_answer, json_answer

SECRET = "s3cr3t-w0rd"


def basic(user: str, password: str) -> str:
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


def who(name: str | None) -> Answer:
    return json_answer({"ok": True, "userCtx": {"name": name, "roles": []}, "info": {}})


def with_credentials(url: str, credentials: str) -> str:
    return url.replace("http://", f"http://{credentials}@")


@pytest.mark.parametrize(
    ("user", "password"),
    [("u", "p"), ("u", "pass:word"), ("ü", "пароль€"), ("a b", "1 2"), ("u", "%41@/?#")],
)
async def test_user_and_password_are_basic_in_utf8(
    canned: CannedServer, user: str, password: str
) -> None:
    canned.say_json({"couchdb": "Welcome"})
    async with CouchDB(canned.url, user=user, password=password) as couchdb:
        await couchdb.info()
    assert canned.only().headers["authorization"] == basic(user, password)


async def test_positional_credentials(canned: CannedServer) -> None:
    canned.say_json({"couchdb": "Welcome"})
    async with CouchDB(canned.url, "u", "p") as couchdb:
        await couchdb.info()
    assert canned.only().headers["authorization"] == basic("u", "p")


async def test_none_given_none_sent(canned: CannedServer, session: CouchDB) -> None:
    canned.say_json({"couchdb": "Welcome"})
    await session.info()
    assert "authorization" not in canned.only().headers
    assert "cookie" not in canned.only().headers


@pytest.mark.parametrize(
    ("text", "user", "password"),
    [("u:p", "u", "p"), ("u%40x:p%3A%2F%25", "u@x", "p:/%"), ("%C3%BC:%D0%B9", "ü", "й")],
)
async def test_credentials_in_the_url(
    canned: CannedServer, text: str, user: str, password: str
) -> None:
    canned.say_json({"couchdb": "Welcome"})
    async with CouchDB(with_credentials(canned.url, text)) as couchdb:
        await couchdb.info()
    assert canned.only().headers["authorization"] == basic(user, password)
    assert canned.only().target == "/"


async def test_credentials_in_the_url_beat_the_arguments(canned: CannedServer) -> None:
    canned.say_json({"couchdb": "Welcome"})
    async with CouchDB(with_credentials(canned.url, "u:p"), user="x", password="y") as couchdb:
        await couchdb.info()
    assert canned.only().headers["authorization"] == basic("u", "p")


async def test_cookie_is_sent_as_the_session_cookie(canned: CannedServer) -> None:
    canned.handler = lambda request: json_answer({"couchdb": "Welcome"})
    async with CouchDB(canned.url, cookie="Y29va2ll:123") as couchdb:
        await couchdb.info()
        await couchdb.info()
    for request in canned.requests:
        assert request.headers["cookie"] == "AuthSession=Y29va2ll:123"
        assert "authorization" not in request.headers


async def test_cookie_that_the_server_renews_is_used(canned: CannedServer) -> None:
    canned.say_json(
        {"couchdb": "Welcome"}, Set_Cookie="AuthSession=new; Version=1; Path=/; HttpOnly"
    )
    canned.say_json({"couchdb": "Welcome"})
    async with CouchDB(canned.url, cookie="old") as couchdb:
        await couchdb.info()
        await couchdb.info()
    assert canned.requests[1].headers["cookie"] == "AuthSession=new"


# -- check_credentials


async def test_check_accepts_the_user_that_was_given(canned: CannedServer) -> None:
    canned.say(who("u"))
    async with CouchDB(canned.url, user="u", password="p") as couchdb:
        await couchdb.check_credentials()


@pytest.mark.parametrize("given", [{"user": "u", "password": "p"}, {"cookie": "expired"}])
async def test_check_refuses_credentials_that_did_not_take(
    canned: CannedServer, given: dict[str, Any]
) -> None:
    canned.say(who(None))
    async with CouchDB(canned.url, **given) as couchdb:
        with pytest.raises(aiocouch.UnauthorizedError):
            await couchdb.check_credentials()


async def test_check_refuses_url_credentials_that_did_not_take(canned: CannedServer) -> None:
    canned.say(who(None))
    async with CouchDB(with_credentials(canned.url, "u:p")) as couchdb:
        with pytest.raises(aiocouch.UnauthorizedError):
            await couchdb.check_credentials()


async def test_check_without_credentials_has_nothing_to_refuse(
    canned: CannedServer, session: CouchDB
) -> None:
    canned.say(who(None))
    await session.check_credentials()


@pytest.mark.parametrize("status", [400, 401, 403])
async def test_check_reports_what_the_server_says(canned: CannedServer, status: int) -> None:
    canned.say(error_answer(status, "unauthorized", "Name or password is incorrect."))
    async with CouchDB(canned.url, user="u", password="p") as couchdb:
        with pytest.raises(CouchDBError, match="Name or password"):
            await couchdb.check_credentials()


async def test_a_header_of_ones_own_is_a_credential(canned: CannedServer) -> None:
    canned.say_json({"couchdb": "Welcome"})
    async with CouchDB(canned.url, headers={"Authorization": "Bearer abc"}) as couchdb:
        await couchdb.info()
    assert canned.only().headers["authorization"] == "Bearer abc"


# -- nothing is shown


def everything_about(error: BaseException | None) -> str:
    """All that a log would show of an error: texts and reprs of the whole chain, and traceback."""
    import traceback

    shown = []
    while error is not None:
        shown += [str(error), repr(error), *map(repr, error.args), repr(vars(error))]
        shown.append("".join(traceback.format_exception(error)))
        error = error.__cause__ or error.__context__
    return "\n".join(shown)


ANSWERS = {
    "error": error_answer(401, "unauthorized", "no"),
    "server": error_answer(500, "oops", "no"),
    "html": Answer(200, b"<html>", {"Content-Type": "text/html"}),
    "silent": Answer(silent=True),
    "cut": Answer(pieces=[b"{"], cut=True),
    "garbage": Answer(raw=b"this is no HTTP\r\n\r\n"),
    "loop": Answer(302, headers={"Location": "/"}),
}


@pytest.mark.parametrize("kind", ANSWERS)
@pytest.mark.parametrize("how", ["url", "arguments", "cookie"])
async def test_no_error_shows_a_secret(
    canned: CannedServer, caplog: pytest.LogCaptureFixture, kind: str, how: str
) -> None:
    caplog.set_level(logging.DEBUG)
    canned.handler = lambda request: ANSWERS[kind]
    async with make_session(canned.url, how) as couchdb:
        db = Database(couchdb, "db")
        errors = [await error_of(call) for call in (couchdb.info, lambda: couchdb["db"], db.info)]
    assert errors[0] is not None
    assert_hidden("".join(everything_about(error) for error in errors))
    assert_hidden(caplog.text)


async def error_of(call: Callable[[], Awaitable[Any]]) -> CouchDBError | None:
    try:
        await call()
    except CouchDBError as error:
        return error
    return None


def make_session(url: str, how: str) -> CouchDB:
    if how == "url":
        return CouchDB(with_credentials(url, f"user:{SECRET}"))
    if how == "cookie":
        return CouchDB(url, cookie=SECRET)
    return CouchDB(url, user="user", password=SECRET)


def assert_hidden(text: str) -> None:
    # The tests' own source lines may stand in a traceback; the value must not.
    for shape in (SECRET, base64.b64encode(f"user:{SECRET}".encode()).decode()):
        assert shape not in text


@pytest.mark.parametrize("how", ["url", "arguments", "cookie"])
async def test_no_repr_shows_a_secret(canned: CannedServer, how: str) -> None:
    canned.say_json({"_id": "x", "_rev": "1-a"})
    async with make_session(canned.url, how) as couchdb:
        db = Database(couchdb, "db")
        doc = await db["x"]
        things: list[Any] = [couchdb, db, doc, doc.attachment("a"), db.view("d", "v"), db.all_docs]
        for thing in things:
            assert_hidden(repr(thing) + str(thing))
        assert_hidden(repr(vars(couchdb)) if hasattr(couchdb, "__dict__") else "")


@pytest.mark.parametrize("how", ["url", "arguments", "cookie"])
async def test_refused_connection_shows_no_secret(how: str) -> None:
    async with make_session("http://127.0.0.1:1", how) as couchdb:
        with pytest.raises(CouchDBError) as caught:
            await couchdb.info()
        assert_hidden(everything_about(caught.value))


@pytest.mark.parametrize(
    "url",
    ["", "localhost", "localhost:5984", "ftp://localhost", "http://", "http:///db", "://x", "/x"],
)
def test_wrong_url_is_refused_at_once(url: str) -> None:
    with pytest.raises(ValueError, match=r"(?i)url|server"):
        CouchDB(url)


def test_wrong_url_shows_no_secret() -> None:
    with pytest.raises(ValueError, match=r"(?i)url|server") as caught:
        CouchDB(f"ftp://user:{SECRET}@host")
    assert_hidden(everything_about(caught.value))


@pytest.mark.parametrize("url", [None, 5984, b"http://localhost", io.StringIO()])
def test_url_of_a_wrong_type_is_refused_at_once(url: Any) -> None:
    with pytest.raises((TypeError, ValueError)):
        CouchDB(url)


# -- where the server is


@pytest.mark.parametrize(
    ("suffix", "path"),
    [
        ("", "/db/x"),
        ("/", "/db/x"),
        ("/couch", "/couch/db/x"),
        ("/couch/", "/couch/db/x"),
        ("/a/b%2Fc", "/a/b%2Fc/db/x"),
    ],
)
async def test_prefix_and_trailing_slash(canned: CannedServer, suffix: str, path: str) -> None:
    canned.handler = lambda request: json_answer({"_id": "x", "_rev": "1-a", "couchdb": 1})
    async with CouchDB(canned.url + suffix) as couchdb:
        await Database(couchdb, "db")["x"]
        await couchdb.info()
    assert canned.requests[0].target == path
    assert canned.requests[1].target == path.removesuffix("db/x")


@pytest.mark.parametrize(
    "headers",
    [
        {"x-auth-couchdb-username": "me", "X-Auth-CouchDB-Token": "wrong"},
        {"Cookie": "AuthSession=expired"},
        {"authorization": "Bearer wrong"},
    ],
)
async def test_headers_that_tell_who_we_are_are_checked(
    canned: CannedServer, headers: dict[str, str]
) -> None:
    canned.say_json({"userCtx": {"name": None, "roles": []}})
    async with CouchDB(canned.url, headers=headers) as couchdb:
        with pytest.raises(UnauthorizedError, match="anonymous"):
            await couchdb.check_credentials()


async def test_other_headers_are_no_credentials(canned: CannedServer) -> None:
    canned.say_json({"userCtx": {"name": None, "roles": []}})
    async with CouchDB(canned.url, headers={"Cookie": "balancer=1", "X-Own": "1"}) as couchdb:
        await couchdb.check_credentials()
