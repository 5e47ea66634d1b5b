"""Ways to say who we are, on servers that are set up for each of them.

They need settings of their own, so they run on the embedded server, by its socket and by calls inside this
process, and on an installed CouchDB only.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import json
import time
import uuid
from typing import TYPE_CHECKING, Any, Literal

import pytest

from aiocouch import CouchDB, Database, Document
from aiocouch.auth import (
    BasicAuth,
    CookieAuth,
    LoginAuth,
    ProxyAuth,
    RotatingBasicAuth,
    TokenAuth,
)
from aiocouch.embedded import EmbeddedCouchDB
from aiocouch.exception import (
    AccountLockedError,
    BadRequestError,
    CouchDBError,
    ForbiddenError,
    UnauthorizedError,
)
from aiocouch.testing import BackgroundCouchDB, CouchDBServer
from tests.support.accounts import until_known
from tests.support.inside import ServerInside
from tests.support.installed import installed_couchdb, is_installed

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from aiocouch.auth import Auth

_HANDLERS = ", ".join(
    f"{{chttpd_auth, {name}_authentication_handler}}"
    for name in ("cookie", "proxy", "jwt", "default")
)
NO_ROLES: tuple[Any, ...] = (None, True, 5, {})
ODD_ROLES: tuple[Any, ...] = ([1], [[]], ["a", None])
SECRET, KEY = "the secret of the server", b"the key of the tokens, 32 bytes or more"
SETTINGS = {
    "chttpd": {"authentication_handlers": _HANDLERS},
    "chttpd_auth": {"secret": SECRET, "timeout": "2", "proxy_use_secret": "true"},
    "jwt_keys": {"hmac:_default": base64.b64encode(KEY).decode()},
    "chttpd_auth_lockout": {"mode": "enforce", "threshold": "5"},
}


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "server" in metafunc.fixturenames:
        installed = is_installed() and metafunc.config.getoption("--servers") != "embedded"
        names = ["embedded", "inside", *(["installed"] if installed else [])]
        metafunc.parametrize("server", names, indirect=True)


@pytest.fixture
def server(request: pytest.FixtureRequest) -> CouchDBServer:
    """A server of this module's own."""
    found: CouchDBServer = request.getfixturevalue(f"{request.param}_with_ways")
    return found


@pytest.fixture(scope="module")
def embedded_with_ways() -> Iterator[CouchDBServer]:
    with BackgroundCouchDB(settings=SETTINGS) as found:
        yield found


@pytest.fixture(scope="module")
def installed_with_ways() -> Iterator[CouchDBServer]:
    with installed_couchdb(SETTINGS) as found:
        yield found


@pytest.fixture
async def inside_with_ways() -> AsyncIterator[CouchDBServer]:
    """In the event loop of the test, which it shares with those who ask it."""
    async with EmbeddedCouchDB(settings=SETTINGS) as found:
        yield ServerInside(found)


def session(server: CouchDBServer, *credentials: str, **options: Any) -> CouchDB:
    """Return a session of somebody, or else of nobody, by whatever way there is to the server."""
    if not isinstance(server, ServerInside):
        return CouchDB(server.url, *credentials, **options)
    if not credentials and "auth" not in options:
        credentials = ("_", "_")  # who says nothing would be the admin
    return server.connect(**dict(zip(("user", "password"), credentials, strict=False)), **options)


class Person:
    """An ordinary user, and a database that only this one may enter."""

    def __init__(self, admin: CouchDB, url: str) -> None:
        self.name, self.password = f"user-{uuid.uuid4().hex}", "pä:ss wörd"
        self.admin, self.url = admin, url
        self.changing = asyncio.Lock()
        self.db = Database(admin, f"test-{uuid.uuid4().hex}")

    async def appear(self) -> None:
        users = await self.admin.create("_users", exists_ok=True)
        self.document = Document(users, f"org.couchdb.user:{self.name}")
        await self.change_password(self.password)
        await self.admin.create(self.db.id)
        security = await self.db.security()
        security.add_member(self.name)
        await security.save()
        await (await self.db.create("x", data={"n": 1})).save()

    async def change_password(self, password: str) -> None:
        async with self.changing:
            self.document.update(name=self.name, password=password, roles=[], type="user")
            await self.document.save()
            await self.document.fetch(discard_changes=True)
            self.password = password
            await until_known(self.url, *self.pair())

    async def disappear(self) -> None:
        await self.document.delete()
        await self.db.delete()

    async def read(self, couchdb: CouchDB) -> int:
        """One request that only this user may make."""
        number: int = (await Database(couchdb, self.db.id)["x"])["n"]
        return number

    def pair(self) -> tuple[str, str]:
        return self.name, self.password

    async def stored(self) -> tuple[str, str]:
        """The same from a store that changes together with the server."""
        async with self.changing:
            return self.pair()


@pytest.fixture
async def person(server: CouchDBServer) -> AsyncIterator[Person]:
    """A user with a database."""
    async with server.connect() as admin:
        found = Person(admin, server.url)
        await found.appear()
        yield found
        await found.disappear()


async def who(couchdb: CouchDB) -> tuple[str | None, list[str]]:
    """Who the server takes us for, and with which roles."""
    context = (await couchdb.remote.request("GET", "/_session")).json()["userCtx"]
    return context["name"], context["roles"]


def part(value: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")


def jwt(name: str, seconds: float, key: bytes = KEY, roles: tuple[str, ...] = ()) -> str:
    """A token for a user, good for so many seconds from now."""
    return signed({"sub": name, "exp": int(time.time() + seconds), "_couchdb.roles": roles}, key)


def signed(claims: object, key: bytes = KEY) -> str:
    text = f"{part({'alg': 'HS256', 'typ': 'JWT'})}.{part(claims)}"
    signature = hmac.digest(key, text.encode(), hashlib.sha256)
    return f"{text}.{base64.urlsafe_b64encode(signature).decode().rstrip('=')}"


# -- login


async def test_login(server: CouchDBServer, person: Person) -> None:
    async with session(server, auth=LoginAuth(*person.pair())) as couchdb:
        await couchdb.check_credentials()
        assert await who(couchdb) == (person.name, [])
        assert await person.read(couchdb) == 1


async def test_a_session_of_the_admin(server: CouchDBServer) -> None:
    async with session(server, auth=LoginAuth(server.user, server.password)) as couchdb:
        assert await couchdb.keys()
        assert await who(couchdb) == ("admin", ["_admin"])


async def is_over(server: CouchDBServer, cookie: str) -> None:
    """Wait until the server takes a cookie no more."""
    async with session(server) as asking:
        headers = {"Cookie": f"AuthSession={cookie}"}
        while True:
            answer = await asking.remote.request("GET", "/_session", headers=headers)
            if answer.json()["userCtx"]["name"] is None:
                return


async def test_many_callers_when_the_session_expires(server: CouchDBServer, person: Person) -> None:
    frozen = LoginAuth(*person.pair(), clock=lambda: 0.0)  # which does not know that time passes
    async with session(server, auth=frozen) as couchdb:
        await person.read(couchdb)
        held = frozen.ready()
        assert held is not None
        await is_over(server, held["Cookie"].removeprefix("AuthSession="))
        assert await asyncio.gather(*[person.read(couchdb) for _ in range(64)]) == [1] * 64
        assert frozen.ready() is not held


async def test_many_callers_when_the_password_rotates(
    server: CouchDBServer, person: Person
) -> None:
    async with session(server, auth=LoginAuth(person.stored)) as couchdb:
        await person.read(couchdb)
        for password in ("one", "two", "three"):
            reads = [asyncio.create_task(person.read(couchdb)) for _ in range(32)]
            await person.change_password(password)
            reads += [asyncio.create_task(person.read(couchdb)) for _ in range(32)]
            assert await asyncio.gather(*reads) == [1] * 64
    async with session(server, *person.pair()) as couchdb:
        assert await person.read(couchdb) == 1, "nobody was locked out"


async def test_no_rights_are_no_reason_to_log_in(server: CouchDBServer, person: Person) -> None:
    login = LoginAuth(*person.pair())
    async with session(server, auth=login) as couchdb:
        await person.read(couchdb)
        held = login.ready()
        with pytest.raises(UnauthorizedError, match="not a server admin"):
            await couchdb.keys()
        assert login.ready() is held


async def test_a_feed_by_login(server: CouchDBServer, person: Person) -> None:
    async with session(server, auth=LoginAuth(*person.pair())) as couchdb:
        assert [event.id async for event in Database(couchdb, person.db.id).changes()] == ["x"]


async def test_attachments_by_login(server: CouchDBServer, person: Person) -> None:
    login = LoginAuth(*person.pair())
    async with session(server, auth=login) as couchdb:
        document = await Database(couchdb, person.db.id).create("y")
        await document.save()
        login.forget()
        attachment = document.attachment("a.txt")
        await attachment.save(b"text", "text/plain")
        login.forget()
        assert await attachment.fetch() == b"text"


# -- wrong passwords


async def test_a_wrong_password_is_tried_once(server: CouchDBServer, person: Person) -> None:
    async with session(server, auth=LoginAuth(person.name, "wrong")) as couchdb:
        for _ in range(20):
            with pytest.raises(UnauthorizedError, match="incorrect"):
                await person.read(couchdb)
    async with session(server, *person.pair()) as couchdb:
        assert await person.read(couchdb) == 1, "the account is not locked"


async def error_of(couchdb: CouchDB, person: Person) -> CouchDBError | None:
    try:
        await person.read(couchdb)
    except CouchDBError as error:
        return error
    return None


async def test_a_locked_account(server: CouchDBServer, person: Person) -> None:
    async with session(server, person.name, "wrong") as stranger:
        errors = [await error_of(stranger, person) for _ in range(6)]
    assert [type(error) for error in errors] == [UnauthorizedError] * 5 + [AccountLockedError]
    assert isinstance(errors[-1], ForbiddenError)
    assert errors[-1].status == 403
    assert errors[-1].error == "forbidden"
    ways: list[Auth] = [LoginAuth(*person.pair()), BasicAuth(*person.pair())]
    for auth in ways:
        async with session(server, auth=auth) as couchdb:
            assert isinstance(await error_of(couchdb, person), AccountLockedError)
    await person.change_password("another")
    ways = [LoginAuth(*person.pair()), BasicAuth(*person.pair())]
    for auth in ways:
        async with session(server, auth=auth) as couchdb:
            assert await person.read(couchdb) == 1, "a new password is not locked"


async def test_a_rotating_password_for_each_request(server: CouchDBServer, person: Person) -> None:
    async with session(server, auth=RotatingBasicAuth(person.stored)) as couchdb:
        assert await person.read(couchdb) == 1
        await person.change_password("another")
        assert await person.read(couchdb) == 1


# -- tokens


async def test_token(server: CouchDBServer, person: Person) -> None:
    token = jwt(person.name, 60, roles=("a", "b"))
    async with session(server, auth=TokenAuth(token)) as couchdb:
        await couchdb.check_credentials()
        assert await who(couchdb) == (person.name, ["a", "b"])
        assert await person.read(couchdb) == 1


@pytest.mark.parametrize("wrong", ["expired", "forged", "malformed"])
async def test_a_token_that_does_not_hold_is_replaced(
    server: CouchDBServer, person: Person, wrong: str
) -> None:
    first = {
        "expired": jwt(person.name, -60),
        "forged": jwt(person.name, 60, b"another key of the tokens, also 32 bytes"),
        "malformed": "a.b.c",
    }[wrong]
    tokens = iter([first])
    asked = []

    async def give() -> str:
        asked.append(wrong)
        return next(tokens, jwt(person.name, 60))

    # The clock stands at zero, so that the flow takes none for expired.
    async with session(server, auth=TokenAuth(give, clock=lambda: 0.0)) as couchdb:
        assert await asyncio.gather(*[person.read(couchdb) for _ in range(16)]) == [1] * 16
    assert len(asked) == 2
    async with session(server, auth=TokenAuth(first)) as couchdb:
        kind = UnauthorizedError if wrong == "expired" else BadRequestError
        with pytest.raises(kind):
            await person.read(couchdb)
        with pytest.raises(UnauthorizedError):
            await couchdb.check_credentials()


@pytest.mark.parametrize("exp", [None, True, [], {}, "", "soon"])
async def test_what_is_no_number_never_ends(server: CouchDBServer, exp: object) -> None:
    async with session(server, auth=TokenAuth(signed({"sub": "bond", "exp": exp}))) as couchdb:
        assert await who(couchdb) == ("bond", [])


@pytest.mark.parametrize(
    ("claims", "status", "error", "reason"),
    [
        ({"sub": "bond"}, 400, "bad_request", "Missing exp claim"),
        ({"sub": "bond", "exp": 1}, 401, "unauthorized", "exp not in future"),
        ({"exp": 2**40}, 401, "unauthorized", "Token missing sub claim."),
        ([1], 400, "bad_request", "Not an object"),
        *(({"_couchdb.roles": odd}, 500, "unknown_error", "badarg") for odd in NO_ROLES),
        *(({"_couchdb.roles": odd}, 400, "bad_request", "Malformed token") for odd in ODD_ROLES),
    ],
)
async def test_tokens_that_are_refused(
    server: CouchDBServer, claims: Any, status: int, error: str, reason: str
) -> None:
    if "_couchdb.roles" in claims:
        claims = {"sub": "bond", "exp": 2**40, **claims}
    async with session(server, auth=TokenAuth(signed(claims)), retry=None) as couchdb:
        with pytest.raises(CouchDBError) as caught:
            await couchdb.info()
    found = caught.value
    assert (found.status, found.error, found.reason) == (status, error, reason)


# -- proxy


@pytest.mark.parametrize("digest", ["sha256", "sha1"])
async def test_proxy(
    server: CouchDBServer, person: Person, digest: Literal["sha256", "sha1"]
) -> None:
    auth = ProxyAuth(person.name, ["a", "b c"], secret=SECRET, digest=digest)
    async with session(server, auth=auth) as couchdb:
        await couchdb.check_credentials()
        assert await who(couchdb) == (person.name, ["a", "b c"])
        assert await person.read(couchdb) == 1
    async with session(server, auth=ProxyAuth(person.name, secret=SECRET)) as couchdb:
        assert await who(couchdb) == (person.name, [])


@pytest.mark.parametrize("name", ["ü ñ €", "a:b", "a,b"])
async def test_proxy_takes_any_name(server: CouchDBServer, name: str) -> None:
    async with session(server, auth=ProxyAuth(name, ["rölé"], secret=SECRET)) as couchdb:
        assert await who(couchdb) == (name, ["rölé"])


async def test_proxy_with_a_wrong_secret(server: CouchDBServer, person: Person) -> None:
    async with session(server, auth=ProxyAuth(person.name, secret="another")) as couchdb:
        with pytest.raises(UnauthorizedError):
            await person.read(couchdb)


@pytest.mark.parametrize("token", [None, "zz", "abc"])
async def test_proxy_whose_token_is_no_hex(server: CouchDBServer, token: str | None) -> None:
    """CouchDB trips over it."""
    headers = {} if token is None else {"X-Auth-CouchDB-Token": token}
    async with session(server, auth=ProxyAuth("bond"), headers=headers) as couchdb:
        with pytest.raises(CouchDBError, match="badarg") as caught:
            await couchdb.info()
        assert (caught.value.status, caught.value.error) == (500, "unknown_error")


# -- forms that are none


@pytest.mark.parametrize(
    ("body", "error", "reason"),
    [
        (b"[]", "badmatch", ""),
        (b"5", "badmatch", "5"),
        (b'"abc"', "badmatch", "abc"),
        (b'["a",98]', "badmatch", "ab"),
        (b'[{"a":1}]', "badmatch", '[{[{<<"a">>,1}]}]'),
        (b"true", "badmatch", "true"),
        (b"null", "unknown_error", "badmatch"),
        (b'{"name":5}', "unknown_error", "badarg"),
    ],
)
async def test_a_form_that_is_none(
    server: CouchDBServer, body: bytes, error: str, reason: str
) -> None:
    async with session(server, retry=None) as couchdb:
        with pytest.raises(CouchDBError) as caught:
            await couchdb.remote.request("POST", "/_session", body=body)
    found = caught.value
    # An empty reason of an answer stands for its phrase.
    assert (found.status, found.error) == (500, error)
    assert found.reason == (reason or "Internal Server Error")


# -- a cookie that is given


async def test_a_given_cookie_is_renewed_by_the_server(
    server: CouchDBServer, person: Person
) -> None:
    login = LoginAuth(*person.pair())
    async with session(server, auth=login) as couchdb:
        await person.read(couchdb)
    held = login.ready()
    assert held is not None
    auth = CookieAuth(held["Cookie"].removeprefix("AuthSession="))
    first = auth.cookie
    async with session(server, auth=auth) as couchdb:
        while auth.cookie == first:
            assert await person.read(couchdb) == 1
        await is_over(server, first)
        assert await person.read(couchdb) == 1
