"""The authentication handlers, the accounts behind them and the lockout."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest

from aiocouch.embedded.errors import CouchError
from aiocouch.embedded.identity import ANONYMOUS, User
from aiocouch.embedded.node.config import Configuration
from aiocouch.embedded.who.auth import Admission, Authenticator, Request, basic_credentials
from aiocouch.embedded.who.cookies import find_cookie
from aiocouch.embedded.who.lockout import Lockout
from aiocouch.embedded.who.passwords import HashSettings, hash_document
from aiocouch.embedded.who.totp import is_right_token

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

FAST = HashSettings("pbkdf2", "sha256", 3, "")
NOW = 1_795_508_000


def _user(name: str, **more: Any) -> dict[str, Any]:
    body = {"_id": f"org.couchdb.user:{name}", "_rev": "1-a", "name": name, "type": "user"}
    return hash_document({**body, "roles": ["team"], "password": "pw", **more}, FAST)


class House:
    """An authenticator with two users, and a clock that stands still until it is moved."""

    def __init__(self) -> None:
        self.config = Configuration(None, {"admins": {"root": "toor"}})
        self.config.put("chttpd_auth", "iterations", "3")
        self.users: dict[str, dict[str, Any]] = {"mia": _user("mia")}
        self.now = float(NOW)
        self.renewed: list[dict[str, Any]] = []
        self.renewal = asyncio.Event()
        self.counted: Counter[str] = Counter()
        self.auth = Authenticator(
            self.config,
            self.users.get,
            self._renew,
            clock=lambda: self.now,
            count=lambda name: self.counted.update([name]),
            patience=0,
        )

    async def _renew(self, body: dict[str, Any]) -> None:
        self.renewed.append(body)
        self.renewal.set()

    async def admit(
        self, headers: Mapping[str, str], method: str = "GET", path: str = "db"
    ) -> Admission:
        return await self.auth.admit(Request(method, path.split("/"), headers, "10.0.0.1"))

    async def user(self, headers: Mapping[str, str]) -> User:
        return (await self.admit(headers)).user

    async def status(
        self, headers: Mapping[str, str], method: str = "GET", path: str = "db"
    ) -> int:
        with pytest.raises(CouchError) as caught:
            await self.admit(headers, method, path)
        return caught.value.status

    async def cookie(self, name: str, password: str) -> dict[str, str]:
        account = await self.auth.log_in(name, password, "", "10.0.0.1")
        assert account is not None
        value = find_cookie(self.auth.new_cookie(account, secure=False))
        return {"Cookie": f"AuthSession={value}"}


@pytest.fixture
async def house() -> AsyncIterator[House]:
    house = House()
    yield house
    await house.auth.close()


def basic(name: str, password: str) -> dict[str, str]:
    """Give the header of a Basic log-in."""
    text = base64.b64encode(f"{name}:{password}".encode()).decode()
    return {"Authorization": f"Basic {text}"}


async def test_basic(house: House) -> None:
    assert await house.user({}) is ANONYMOUS
    assert await house.user(basic("root", "toor")) == User("root", ("_admin",), "default")
    assert await house.user(basic("mia", "pw")) == User("mia", ("team",), "default")
    for wrong in (basic("root", "x"), basic("mia", "x"), basic("nobody", "pw")):
        assert await house.status(wrong) == 401


async def test_an_admin_with_a_user_document_has_the_roles_of_both(house: House) -> None:
    house.users["root"] = _user("root")
    assert (await house.user(basic("root", "toor"))).roles == ("_admin", "team")
    assert await house.status(basic("root", "pw")) == 401


@pytest.mark.parametrize(
    ("header", "given"),
    [
        (None, None),
        ("Bearer abc", None),
        ("Basic bm9jb2xvbg==", None),
        ("Basic ", None),
        ("Basic " + base64.b64encode(b"_:_").decode(), None),
        ("Basic " + base64.b64encode(b"a:b:c").decode(), ("a", "b:c")),
        ("Basic " + base64.b64encode("ü:ß".encode()).decode(), ("ü", "ß")),
    ],
)
def test_basic_headers(header: str | None, given: tuple[str, str] | None) -> None:
    assert basic_credentials(header) == given


@pytest.mark.parametrize(
    ("encoded", "status"),
    [
        ("!!!notbase64", 500),
        ("YWRtaW46YWRtaW4", 400),
        ("YTpiOmNk", None),
        ("YTpiOmNk=", 400),
        ("YTpiOmM", 400),
        ("\xff", 400),
    ],
)
def test_broken_base64_is_answered_as_couchdb_does(encoded: str, status: int | None) -> None:
    if status is None:
        assert basic_credentials(f"Basic {encoded}") == ("a", "b:cd")
        return
    with pytest.raises(CouchError) as caught:
        basic_credentials(f"Basic {encoded}")
    assert caught.value.status == status


async def test_requests_that_come_together_share_one_hash(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    hashes = 0
    run = house.auth.hasher.run

    async def counted(*args: Any) -> Any:
        nonlocal hashes
        hashes += 1
        return await run(*args)

    monkeypatch.setattr(house.auth.hasher, "run", counted)
    await asyncio.gather(*(house.user(basic("mia", "pw")) for _ in range(20)))
    await house.user(basic("mia", "pw"))
    assert await house.status(basic("mia", "no")) == 401
    assert hashes == 1


async def test_five_wrong_passwords_close_the_account(house: House) -> None:
    for _ in range(5):
        assert await house.status(basic("mia", "no")) == 401
    assert await house.status(basic("mia", "no")) == 403
    assert await house.status(basic("mia", "pw")) == 403
    assert (await house.user(basic("root", "toor"))).is_server_admin


async def test_an_unknown_user_is_never_locked(house: House) -> None:
    for _ in range(7):
        assert await house.status(basic("nobody", "no")) == 401


async def test_the_lockout_may_be_switched_off(house: House) -> None:
    house.config.put("chttpd_auth_lockout", "mode", "off")
    for _ in range(7):
        assert await house.status(basic("mia", "no")) == 401
    assert (await house.user(basic("mia", "pw"))).name == "mia"


def test_a_lock_ends() -> None:
    now = 0.0
    lockout = Lockout(Configuration(), clock=lambda: now)
    attempt = ("10.0.0.1", "mia", "salt")
    for _ in range(5):
        assert not lockout.is_locked(attempt)
        lockout.count(attempt)
    assert lockout.is_locked(attempt)
    assert not lockout.is_locked(("10.0.0.2", "mia", "salt"))
    now = 301.0
    assert not lockout.is_locked(attempt)
    lockout.count(attempt)
    assert not lockout.is_locked(attempt)


def test_the_lockout_remembers_a_bounded_number() -> None:
    config = Configuration()
    config.put("chttpd_auth_lockout", "max_objects", "2")
    config.put("chttpd_auth_lockout", "threshold", "1")
    lockout = Lockout(config)
    for name in ("a", "b", "c"):
        lockout.count(("p", name, ""))
    assert [lockout.is_locked(("p", name, "")) for name in ("a", "b", "c")] == [False, True, True]


async def test_a_cookie_logs_in_until_it_is_too_old(house: House) -> None:
    cookie = await house.cookie("mia", "pw")
    admission = await house.admit(cookie)
    assert admission == Admission(User("mia", ("team",), "cookie"), None)
    house.now += 61
    assert (await house.admit(cookie)).renewed_cookie is not None
    house.now += 600
    assert await house.user(cookie) is ANONYMOUS


async def test_a_renewed_cookie_is_as_good(house: House) -> None:
    cookie = await house.cookie("root", "toor")
    house.now += 500
    renewed = find_cookie((await house.admit(cookie)).renewed_cookie)
    house.now += 500
    assert (await house.user({"Cookie": f"AuthSession={renewed}"})).is_server_admin


async def test_a_new_password_ends_the_sessions(house: House) -> None:
    cookie = await house.cookie("mia", "pw")
    house.users["mia"] = _user("mia", password="new")
    assert await house.user(cookie) is ANONYMOUS
    del house.users["mia"]
    assert await house.user(cookie) is ANONYMOUS


async def test_an_earlier_secret_holds_for_the_timeout(house: House) -> None:
    cookie = await house.cookie("mia", "pw")
    house.config.put("chttpd_auth", "secret", "second")
    house.config.put("chttpd_auth", "secret", "third")
    assert (await house.user(cookie)).name == "mia"
    house.now += 400
    renewed = find_cookie((await house.admit(cookie)).renewed_cookie)
    house.config.put("chttpd_auth", "timeout", "3600")
    house.now += 201
    assert await house.user(cookie) is ANONYMOUS
    assert (await house.user({"Cookie": f"AuthSession={renewed}"})).name == "mia"


async def test_without_a_secret_no_cookie_holds(house: House) -> None:
    house.config.put("couch_httpd_auth", "secret", "old name")
    cookie = await house.cookie("mia", "pw")
    assert (await house.user(cookie)).name == "mia"
    house.config.delete("couch_httpd_auth", "secret")
    assert await house.user(cookie) is ANONYMOUS
    assert house.config.get("chttpd_auth", "secret") is None


async def test_a_malformed_cookie_is_a_bad_request(house: House) -> None:
    assert await house.status({"Cookie": "AuthSession=####"}) == 400


async def test_log_in_refuses(house: House) -> None:
    assert await house.auth.log_in("mia", "no", "", "p") is None
    assert await house.auth.log_in("nobody", "no", "", "p") is None


async def test_proxy(house: House) -> None:
    headers = {"X-Auth-CouchDB-UserName": "pia", "X-Auth-CouchDB-Roles": "a, b, "}
    assert await house.user(headers) is ANONYMOUS
    house.config.put("chttpd", "authentication_handlers", "{x, proxy_authentication_handler}")
    assert await house.user(headers) == User("pia", ("a", "b"), "proxy")
    odd = {"X-Auth-CouchDB-UserName": "m\udcfc", "X-Auth-CouchDB-Roles": ""}
    assert await house.user(odd) == User("m\ufffd", ("",), "proxy")
    house.config.put("chttpd_auth", "proxy_use_secret", "true")
    house.config.put("chttpd_auth", "secret", "s")
    assert await house.status(headers) == 500
    for digest in (hashlib.sha256, hashlib.sha1):
        token = hmac.new(b"s", b"pia", digest).hexdigest()
        for written in (token, token.upper()):
            admitted = await house.user({**headers, "X-Auth-CouchDB-Token": written})
            assert admitted.name == "pia"
    for wrong in ("", "00" * 32):
        assert await house.user({**headers, "X-Auth-CouchDB-Token": wrong}) is ANONYMOUS
    for broken in ("no hex", "abc"):
        assert await house.status({**headers, "X-Auth-CouchDB-Token": broken}) == 500


async def test_tokens_need_their_handler(house: House) -> None:
    headers = {"Authorization": "Bearer abc"}
    assert await house.user(headers) is ANONYMOUS
    house.config.put(
        "chttpd",
        "authentication_handlers",
        "{chttpd_auth, jwt_authentication_handler}, {chttpd_auth, default_authentication_handler}",
    )
    assert house.auth.handler_names == ("jwt", "default")
    assert await house.status(headers) == 400


async def test_a_valid_user_may_be_required(house: House) -> None:
    house.config.put("chttpd", "require_valid_user", "true")
    assert await house.status({}) == 401
    assert await house.status({}, path="_up") == 401
    assert (await house.admit({}, "POST", "_session")).user is ANONYMOUS
    house.config.put("chttpd", "require_valid_user_except_for_up", "true")
    assert (await house.admit({}, path="_up")).user is ANONYMOUS
    assert await house.status({}) == 401


async def test_a_document_with_conflicts_logs_nobody_in(house: House) -> None:
    house.users["mia"]["_conflicts"] = ["1-b"]
    assert await house.status(basic("mia", "pw")) == 401
    house.config.put("chttpd_auth", "allow_conflicted_user_docs", "true")
    assert (await house.user(basic("mia", "pw"))).name == "mia"


async def test_an_outdated_hash_is_renewed(house: House) -> None:
    await house.user(basic("mia", "pw"))
    assert house.renewed == []
    house.config.put("chttpd_auth", "iterations", "4")
    await house.user(basic("mia", "pw"))
    # who saves the document at once, is not overtaken
    assert house.renewed == []
    await house.renewal.wait()
    (body,) = house.renewed
    assert body["preserve_salt"] is True
    assert body["password"] == "pw"


async def test_simple_hashes_are_left_alone_where_new_ones_are_simple(house: House) -> None:
    house.config.put("chttpd_auth", "password_scheme", "simple")
    house.users["pia"] = hash_document(
        {**house.users["mia"], "name": "pia", "password": "pw"}, HashSettings("simple", "", 1, "")
    )
    await house.user(basic("pia", "pw"))
    await house.user(basic("mia", "pw"))
    await house.renewal.wait()
    assert [body["name"] for body in house.renewed] == ["mia"]


async def test_hashes_are_counted(house: House) -> None:
    slow, fast = "couchdb.password_hashing_slow", "couchdb.password_hashing_fast"
    assert await house.status(basic("mia", "no")) == 401
    assert house.counted == {slow: 1}
    await house.user(basic("mia", "pw"))
    assert house.counted == {slow: 2, fast: 1}
    await house.user(basic("mia", "pw"))
    assert house.counted == {slow: 2, fast: 2}


async def test_iterations_out_of_bounds_are_refused(house: House) -> None:
    house.config.put("chttpd_auth", "min_iterations", "10")
    assert await house.status(basic("mia", "pw")) == 403


async def test_plain_admins_are_hashed_for_those_who_look(house: House) -> None:
    cookie = await house.cookie("root", "toor")
    await house.auth.accounts.hash_admins()
    text = house.config.text("admins", "root")
    assert text.startswith("-pbkdf2:sha256-")
    assert "toor" not in text
    assert (await house.user(basic("root", "toor"))).is_server_admin
    assert (await house.user(cookie)).is_server_admin


async def test_a_new_admin(house: House) -> None:
    old = await house.auth.accounts.set_admin("ann", "pw", persist=True)
    assert old == ""
    assert (await house.user(basic("ann", "pw"))).is_server_admin
    assert await house.status(basic("ann", "no")) == 401


# RFC 6238, appendix B: the key is the ASCII text 12345678901234567890.
RFC_KEY = base64.b32encode(b"12345678901234567890").decode()


@pytest.mark.parametrize(("now", "token"), [(59, "94287082"), (1111111109, "07081804")])
def test_one_time_passwords(now: int, token: str) -> None:
    settings = {"key": RFC_KEY, "length": 8}
    assert is_right_token(settings, token, now)
    assert is_right_token(settings, token, now + 30)
    assert not is_right_token(settings, token, now + 120)
    assert not is_right_token({"key": 5}, token, now)
    assert not is_right_token({"key": "1"}, token, now)


async def test_an_account_with_one_time_passwords(house: House) -> None:
    house.users["mia"]["totp"] = {"key": RFC_KEY, "length": 8}
    house.now = 59.0
    assert await house.status(basic("mia", "pw")) == 401
    assert await house.auth.log_in("mia", "pw", "94287082", "p") is not None
    with pytest.raises(CouchError):
        await house.auth.log_in("mia", "pw", "00000000", "p")
