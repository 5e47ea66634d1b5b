"""Tokens: when a callback is asked for one, and what of them is read."""

import asyncio
import base64
import json
from collections.abc import Callable

import pytest

from aiocouch.auth import TokenAuth
from aiocouch.auth.token import expiry
from aiocouch.exception import InvalidInputError, InvalidTypeError
from tests.unit.client.auth.couch import Clock, Couch, refusal

couch = Couch()


def part(value: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")


def jwt(claims: object) -> str:
    return f"{part({'alg': 'HS256', 'typ': 'JWT'})}.{part(claims)}.c2lnbmF0dXJl"


class Giver:
    """A callback, and how often it was asked."""

    def __init__(self, *tokens: str) -> None:
        self.tokens = list(tokens)
        self.asked = 0

    async def __call__(self) -> str:
        self.asked += 1
        await asyncio.sleep(0)
        return self.tokens.pop(0) if len(self.tokens) > 1 else self.tokens[0]


async def test_a_fixed_token_is_a_bearer() -> None:
    auth = TokenAuth("abc.def")
    assert await auth.headers(couch.ask) == {"Authorization": "Bearer abc.def"}
    assert auth.ready() == {"Authorization": "Bearer abc.def"}


async def test_the_scheme_can_be_another() -> None:
    auth = TokenAuth(lambda: "abc", scheme="Token")
    assert await auth.headers(couch.ask) == {"Authorization": "Token abc"}


async def test_a_callback_is_asked_once_for_all() -> None:
    giver = Giver("one", "two")
    auth = TokenAuth(giver)
    found = await asyncio.gather(*[auth.headers(couch.ask) for _ in range(64)])
    assert {headers["Authorization"] for headers in found} == {"Bearer one"}
    assert giver.asked == 1


async def test_exp_is_respected() -> None:
    clock = Clock()
    giver = Giver(jwt({"sub": "bond", "exp": 1100}), jwt({"sub": "bond", "exp": 1200}))
    auth = TokenAuth(giver, clock=clock)
    first = await auth.headers(couch.ask)
    clock.now = 1089
    assert auth.ready() is first
    clock.now = 1091
    assert auth.ready() is None, "a tenth of its time is left"
    first_again, *others = await asyncio.gather(*[auth.headers(couch.ask) for _ in range(64)])
    assert first_again is not first
    assert all(headers is first for headers in others)
    assert giver.asked == 2


async def test_a_token_that_has_ended_is_asked_for_with_each_request() -> None:
    giver = Giver(jwt({"exp": 999}))
    auth = TokenAuth(giver, clock=Clock())
    await auth.headers(couch.ask)
    await auth.headers(couch.ask)
    assert giver.asked == 2


@pytest.mark.parametrize(
    ("status", "reason"),
    [(401, "exp not in future"), (401, "Unauthorized"), (400, "Bad HMAC"), (400, "Bad signature")],
)
async def test_a_refused_token_is_replaced_once_for_all(status: int, reason: str) -> None:
    giver = Giver("one", "two")
    auth = TokenAuth(giver)
    sent = await auth.headers(couch.ask)
    error = refusal(status, reason)
    assert (
        await asyncio.gather(*[auth.refused(error, sent, couch.ask) for _ in range(64)])
        == [True] * 64
    )
    assert auth.ready() == {"Authorization": "Bearer two"}
    assert giver.asked == 2


@pytest.mark.parametrize(
    "make",
    [lambda: TokenAuth("one"), lambda: TokenAuth(Giver("one")), lambda: TokenAuth(lambda: "one")],
)
async def test_a_token_that_stays_is_not_sent_again(make: Callable[[], TokenAuth]) -> None:
    auth = make()
    sent = await auth.headers(couch.ask)
    assert not await auth.refused(refusal(), sent, couch.ask)
    assert auth.ready() is sent


@pytest.mark.parametrize(
    ("status", "reason"),
    [(400, "invalid UTF-8 JSON"), (403, "no"), (404, "missing"), (500, "oops")],
)
async def test_other_errors_are_no_matter_of_the_token(status: int, reason: str) -> None:
    giver = Giver("one", "two")
    auth = TokenAuth(giver)
    sent = await auth.headers(couch.ask)
    assert not await auth.refused(refusal(status, reason), sent, couch.ask)
    assert giver.asked == 1


async def test_an_early_renewal_that_fails_leaves_the_old_token(
    caplog: pytest.LogCaptureFixture,
) -> None:
    clock = Clock()
    token = jwt({"exp": 1100})

    def give() -> str:
        if clock.now > 1000:
            raise LookupError("the vault is closed: s3cr3t")
        return token

    auth = TokenAuth(give, clock=clock)
    first = await auth.headers(couch.ask)
    clock.now = 1095
    assert await auth.headers(couch.ask) is first
    assert "LookupError" in caplog.text
    assert "s3cr3t" not in caplog.text
    clock.now = 1100
    with pytest.raises(LookupError):
        await auth.headers(couch.ask)


@pytest.mark.parametrize("token", ["", "a b", "a\r\nX: y", "ä", "a\0"])
async def test_what_no_header_carries_is_refused(token: str) -> None:
    with pytest.raises(InvalidInputError, match="token") as caught:
        TokenAuth(token)
    assert len(token) < 2 or token not in str(caught.value)
    with pytest.raises(InvalidInputError, match="token"):
        await TokenAuth(lambda: token).headers(couch.ask)


@pytest.mark.parametrize("token", [None, 5, b"abc"])
async def test_what_is_no_text_is_refused(token: object) -> None:
    with pytest.raises(InvalidTypeError, match="token"):
        TokenAuth(token)  # type: ignore[arg-type]
    with pytest.raises(InvalidTypeError, match="token"):
        await TokenAuth(lambda: token).headers(couch.ask)  # type: ignore[arg-type, return-value]


@pytest.mark.parametrize(
    ("token", "ends"),
    [
        (jwt({"exp": 5}), 5.0),
        (jwt({"exp": 5.5}), 5.5),
        (jwt({}), None),
        (jwt({"exp": "5"}), None),
        (jwt({"exp": True}), None),
        (jwt([1]), None),
        ("opaque", None),
        ("a.b.c", None),
        ("a..c", None),
        ("a.äöü.c", None),
        (f"a.{part(1)}x.c", None),
    ],
)
def test_expiry(token: str, ends: float | None) -> None:
    assert expiry(token) == ends


async def test_nothing_shows() -> None:
    auth = TokenAuth(lambda: "s3cr3t")
    sent = await auth.headers(couch.ask)
    assert "s3cr3t" not in repr(auth) + repr(sent) + repr(auth.current)
