"""Basic, rotating basic, a given cookie, proxy authentication, and what `CouchDB` makes of arguments."""

import asyncio
import hashlib
import hmac
from typing import Any

import pytest

from aiocouch.auth import (
    Auth,
    BasicAuth,
    CookieAuth,
    LoginAuth,
    ProxyAuth,
    RotatingBasicAuth,
    credentials,
)
from aiocouch.exception import InvalidInputError, InvalidTypeError, UnauthorizedError
from tests.unit.client.auth.couch import WRONG, Couch, refusal

couch = Couch()


# -- basic


async def test_the_headers_of_basic_are_made_once() -> None:
    auth = BasicAuth("u", "p")
    assert auth.ready() == {"Authorization": "Basic dTpw"}
    assert auth.ready() is await auth.headers(couch.ask)
    assert not await auth.refused(refusal(), auth.ready(), couch.ask)


def test_basic_is_its_name_and_password() -> None:
    assert BasicAuth("u", "p") == BasicAuth("u", "p") != BasicAuth("u", "q")
    assert len({BasicAuth("u", "p"), BasicAuth("u", "p")}) == 1
    assert repr(BasicAuth("u", "s3cr3t")) == "BasicAuth(user='u')"
    with pytest.raises(InvalidInputError, match="colon"):
        BasicAuth("a:b", "p")


class Store:
    """Where the password stands that changes."""

    def __init__(self) -> None:
        self.password = "one"
        self.asked = 0

    async def __call__(self) -> tuple[str, str]:
        self.asked += 1
        await asyncio.sleep(0)
        return "u", self.password


async def test_a_rotating_password_is_asked_for_once_and_after_a_refusal() -> None:
    store = Store()
    auth = RotatingBasicAuth(store)
    sent, *_ = await asyncio.gather(*[auth.headers(couch.ask) for _ in range(64)])
    assert store.asked == 1
    store.password = "two"
    replays = [auth.refused(refusal(401, WRONG), sent, couch.ask) for _ in range(64)]
    assert await asyncio.gather(*replays) == [True] * 64
    assert store.asked == 2
    assert auth.ready() == BasicAuth("u", "two").ready()


async def test_a_refused_password_is_not_sent_again_until_it_changes() -> None:
    store = Store()
    auth = RotatingBasicAuth(store)
    sent = await auth.headers(couch.ask)
    assert not await auth.refused(refusal(401, WRONG), sent, couch.ask)
    for _ in range(3):
        assert auth.ready() is None
        with pytest.raises(UnauthorizedError, match="incorrect"):
            await auth.headers(couch.ask)
    store.password = "two"
    assert await auth.headers(couch.ask) == BasicAuth("u", "two").ready()
    assert auth.ready() is not None


async def test_no_rights_are_no_wrong_password() -> None:
    auth = RotatingBasicAuth(Store())
    sent = await auth.headers(couch.ask)
    error = refusal(401, "You are not a server admin.")
    assert not await auth.refused(error, sent, couch.ask)
    assert auth.ready() is sent


async def test_a_late_refusal_of_the_old_password_does_not_count_for_the_new() -> None:
    store = Store()
    auth = RotatingBasicAuth(store)
    old = await auth.headers(couch.ask)
    store.password = "two"
    assert await auth.refused(refusal(401, WRONG), old, couch.ask)
    assert await auth.refused(refusal(401, WRONG), old, couch.ask)
    assert auth.ready() is not None


async def test_nothing_of_a_rotating_password_shows() -> None:
    auth = RotatingBasicAuth(lambda: ("u", "s3cr3t"))
    sent = await auth.headers(couch.ask)
    assert "dTp" not in repr(sent) + repr(auth)


# -- cookie


def test_a_pushed_cookie_is_kept() -> None:
    auth = CookieAuth("one")
    auth.pushed("two", 600, auth.ready())
    assert (auth.cookie, auth.ready()) == ("two", {"Cookie": "AuthSession=two"})
    assert repr(auth) == "CookieAuth()"


# -- proxy


@pytest.mark.parametrize("digest", ["sha256", "sha1"])
@pytest.mark.parametrize("secret", ["s3cr3t", b"s3cr3t"])
def test_proxy(digest: Any, secret: str | bytes) -> None:
    auth = ProxyAuth("bönd", ["a", "b c"], secret=secret, digest=digest)
    token = hmac.new(b"s3cr3t", "bönd".encode(), getattr(hashlib, digest)).hexdigest()
    assert auth.ready() == {
        "X-Auth-CouchDB-UserName": "bönd",
        "X-Auth-CouchDB-Roles": "a,b c",
        "X-Auth-CouchDB-Token": token,
    }
    assert token not in repr(auth) + repr(auth.ready())


def test_proxy_without_a_secret_and_with_other_names() -> None:
    auth = ProxyAuth("bond", user_header="X-User", roles_header="X-Roles")
    assert auth.ready() == {"X-User": "bond"}
    auth = ProxyAuth("bond", ["a"], roles_header="X-Roles")
    assert auth.ready() == {"X-Auth-CouchDB-UserName": "bond", "X-Roles": "a"}
    auth = ProxyAuth("bond", secret="s", token_header="X-Token")
    assert "X-Token" in auth.ready()


@pytest.mark.parametrize(
    ("user", "roles"),
    [("", ()), ("a\r\nX: y", ()), (" a", ()), ("a", ("b,c",)), ("a", ("",)), ("a", ("b\n",))],
)
def test_what_proxy_headers_cannot_carry(user: str, roles: tuple[str, ...]) -> None:
    with pytest.raises(InvalidInputError, match=r"user name|role"):
        ProxyAuth(user, roles)


def test_wrong_kinds_for_a_proxy() -> None:
    with pytest.raises(InvalidTypeError, match="roles"):
        ProxyAuth("a", "admin")
    with pytest.raises(InvalidTypeError, match="user name"):
        ProxyAuth(5)  # type: ignore[arg-type]
    with pytest.raises(InvalidInputError, match="md5"):
        ProxyAuth("a", secret="s", digest="md5")  # type: ignore[arg-type]


# -- what the arguments of CouchDB stand for


@pytest.mark.parametrize(
    ("given", "kind"),
    [
        ((None, None, None), type(None)),
        (("u", None, None), BasicAuth),
        (("u", "p", None), BasicAuth),
        ((None, None, "c"), CookieAuth),
        (("u", "p", "c"), CookieAuth),
        (("", "", ""), type(None)),
    ],
)
def test_arguments(given: tuple[Any, ...], kind: type) -> None:
    assert type(credentials(*given)) is kind


def test_auth_is_taken_alone() -> None:
    auth = LoginAuth("u", "p")
    assert credentials(None, None, None, auth) is auth
    for user, password, cookie in (("u", None, None), (None, "p", None), (None, None, "c")):
        with pytest.raises(InvalidInputError, match="two ways"):
            credentials(user, password, cookie, auth)


async def test_a_way_of_ones_own_needs_headers_only() -> None:
    class Own(Auth):
        async def headers(self, ask: Any) -> dict[str, str]:
            return {"X-Key": "k"}

    own = Own()
    assert own.ready() is None
    assert not await own.refused(refusal(), {}, couch.ask)
    own.pushed("c", None, {})
    own.joins("http://a")
    with pytest.raises(TypeError):
        Auth()  # type: ignore[abstract]
