"""The login: when it is made, when it is renewed, and when it is left alone."""

import asyncio
import logging

import pytest

from aiocouch.auth import LoginAuth
from aiocouch.exception import (
    AccountLockedError,
    InvalidInputError,
    InvalidTypeError,
    TransportError,
    UnauthorizedError,
    UnexpectedAnswerError,
)
from tests.unit.client.auth.couch import Clock, Couch, refusal, send


@pytest.fixture
def couch() -> Couch:
    return Couch()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def login(clock: Clock) -> LoginAuth:
    return LoginAuth("bond", "first", clock=clock)


async def test_it_logs_in_at_the_first_request_only(login: LoginAuth, couch: Couch) -> None:
    assert login.ready() is None
    assert [await send(login, couch) for _ in range(3)] == ["c1"] * 3
    assert couch.lines == ["POST /_session"]


async def test_many_at_once_make_one_login(login: LoginAuth, couch: Couch) -> None:
    assert await asyncio.gather(*[send(login, couch) for _ in range(64)]) == ["c1"] * 64
    assert couch.lines == ["POST /_session"]


async def test_many_whose_session_the_server_ended_make_one_login(
    login: LoginAuth, couch: Couch
) -> None:
    await send(login, couch)
    couch.valid.clear()
    assert await asyncio.gather(*[send(login, couch) for _ in range(64)]) == ["c2"] * 64
    assert couch.lines == ["POST /_session", "GET /_session", "POST /_session"]


async def test_a_late_refusal_of_the_old_cookie_makes_no_other_login(
    login: LoginAuth, couch: Couch
) -> None:
    await send(login, couch)
    couch.valid.clear()
    meanwhile = asyncio.Event()
    late = asyncio.create_task(send(login, couch, meanwhile))
    await asyncio.sleep(0)
    assert await send(login, couch) == "c2"
    asked = len(couch.lines)
    meanwhile.set()
    assert await late == "c2"
    assert couch.tried == ["first", "first"]
    assert len(couch.lines) == asked, "what was refused is known to be old"


async def test_it_renews_before_the_end_by_one_while_the_others_go_on(
    login: LoginAuth, couch: Couch, clock: Clock
) -> None:
    await send(login, couch)
    clock.now += 539
    assert await send(login, couch) == "c1"
    clock.now += 2
    couch.gate = asyncio.Event()
    first = asyncio.create_task(send(login, couch))
    await asyncio.sleep(0)
    assert await asyncio.gather(*[send(login, couch) for _ in range(64)]) == ["c1"] * 64
    couch.gate.set()
    assert await first == "c2"
    assert couch.lines == ["POST /_session"] * 2


async def test_after_the_end_all_wait_for_one_login(
    login: LoginAuth, couch: Couch, clock: Clock
) -> None:
    await send(login, couch)
    clock.now += 600
    couch.valid.clear()
    assert await asyncio.gather(*[send(login, couch) for _ in range(64)]) == ["c2"] * 64
    assert couch.lines == ["POST /_session"] * 2


async def test_an_early_renewal_that_fails_leaves_the_old_one(
    login: LoginAuth, couch: Couch, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    await send(login, couch)
    clock.now += 550
    couch.error = TransportError("no way")
    with caplog.at_level(logging.WARNING, "aiocouch"):
        assert [await send(login, couch) for _ in range(5)] == ["c1"] * 5
    assert couch.lines == ["POST /_session"] * 2, "not again with each request"
    assert "TransportError" in caplog.text
    clock.now += 26
    couch.error = None
    assert await send(login, couch) == "c2"


async def test_a_cookie_that_tells_no_age_holds_ten_minutes(
    login: LoginAuth, couch: Couch, clock: Clock
) -> None:
    couch.max_age = None
    await send(login, couch)
    clock.now += 599
    assert login.ready() is None
    clock.now -= 100
    assert login.ready() is not None


async def test_the_time_counts_from_the_request(couch: Couch, clock: Clock) -> None:
    login = LoginAuth("bond", "first", clock=clock)
    couch.gate, couch.max_age = asyncio.Event(), 100
    task = asyncio.create_task(send(login, couch))
    await asyncio.sleep(0)
    clock.now += 95
    couch.gate.set()
    await task
    assert login.ready() is None, "90 of the 100 seconds were over when it came"


async def test_a_pushed_cookie_is_taken_over(login: LoginAuth, couch: Couch, clock: Clock) -> None:
    await send(login, couch)
    sent = login.ready()
    assert sent is not None
    clock.now += 500
    login.pushed("c9", 600, sent)
    assert login.ready() == {"Cookie": "AuthSession=c9"}
    clock.now += 500
    assert login.ready() == {"Cookie": "AuthSession=c9"}


async def test_a_cookie_that_was_pushed_for_an_old_one_is_not(
    login: LoginAuth, couch: Couch
) -> None:
    await send(login, couch)
    old = login.ready()
    assert old is not None
    couch.valid.clear()
    await send(login, couch)
    login.pushed("c9", 600, old)
    assert login.ready() == {"Cookie": "AuthSession=c2"}


# -- what is no matter of the session


async def test_no_rights_are_no_end_of_the_session(login: LoginAuth, couch: Couch) -> None:
    await send(login, couch)
    sent = login.ready()
    assert sent is not None
    error = refusal(reason="You are not a server admin.")
    calls = [login.refused(error, sent, couch.ask) for _ in range(64)]
    assert await asyncio.gather(*calls) == [False] * 64
    assert couch.lines == ["POST /_session", "GET /_session"]


@pytest.mark.parametrize("status", [400, 403, 404, 409, 500])
async def test_only_a_401_is_a_refusal(login: LoginAuth, couch: Couch, status: int) -> None:
    await send(login, couch)
    sent = login.ready()
    assert sent is not None
    assert not await login.refused(refusal(status), sent, couch.ask)
    assert couch.lines == ["POST /_session"]


# -- passwords that are wrong, and that change


async def test_a_refused_password_is_not_tried_again(login: LoginAuth, couch: Couch) -> None:
    couch.password = "another"
    results = await asyncio.gather(*[send(login, couch) for _ in range(64)], return_exceptions=True)
    assert {type(result) for result in results} == {UnauthorizedError}
    for _ in range(10):
        with pytest.raises(UnauthorizedError, match="said before"):
            await send(login, couch)
    assert couch.tried == ["first"]
    login.forget()
    couch.password = "first"
    assert await send(login, couch) == "c1"


async def test_a_refused_password_is_tried_again_after_a_time_if_asked(
    couch: Couch, clock: Clock
) -> None:
    login = LoginAuth("bond", "first", again_after=120, clock=clock)
    couch.password = "another"
    for _ in range(3):
        with pytest.raises(UnauthorizedError):
            await send(login, couch)
    clock.now += 120
    couch.password = "first"
    assert await send(login, couch) == "c1"
    assert couch.tried == ["first", "first"]


@pytest.mark.parametrize("kind", ["sync", "async"])
async def test_a_password_that_rotates(couch: Couch, clock: Clock, kind: str) -> None:
    store = {"password": "first"}

    def sync_source() -> tuple[str, str]:
        return "bond", store["password"]

    async def async_source() -> tuple[str, str]:
        await asyncio.sleep(0)
        return sync_source()

    login = LoginAuth(sync_source if kind == "sync" else async_source, clock=clock)
    for number, password in enumerate(["second", "third", "fourth"], 2):
        await send(login, couch)
        store["password"] = password
        couch.rotate(password)
        found = await asyncio.gather(*[send(login, couch) for _ in range(64)])
        assert found == [f"c{number}"] * 64
    assert couch.tried == ["first", "second", "third", "fourth"]


async def test_a_password_that_changes_while_the_old_one_is_refused(
    couch: Couch, clock: Clock
) -> None:
    given = iter(["first", "second"])
    login = LoginAuth(lambda: ("bond", next(given)), clock=clock)
    couch.password = "second"
    assert await send(login, couch) == "c1"
    assert couch.tried == ["first", "second"]


async def test_a_late_password_store_locks_nobody_out(couch: Couch, clock: Clock) -> None:
    store = {"password": "first"}
    login = LoginAuth(lambda: ("bond", store["password"]), clock=clock)
    await send(login, couch)
    couch.rotate("second")
    for _ in range(20):
        with pytest.raises(UnauthorizedError):
            await send(login, couch)
    store["password"] = "second"
    assert await send(login, couch) == "c2"
    assert couch.tried == ["first", "first", "second"]


async def test_a_locked_account_is_asked_for_every_thirty_seconds(
    login: LoginAuth, couch: Couch, clock: Clock
) -> None:
    couch.failures = 5
    for _ in range(10):
        with pytest.raises(AccountLockedError, match="temporarily locked"):
            await send(login, couch)
    assert len(couch.tried) == 1
    clock.now += 30
    couch.failures = 0
    assert await send(login, couch) == "c1"


async def test_a_server_that_is_away_is_asked_once_for_all(login: LoginAuth, couch: Couch) -> None:
    couch.error = TransportError("away")
    results = await asyncio.gather(*[send(login, couch) for _ in range(64)], return_exceptions=True)
    assert {str(result) for result in results} == {"away"}
    assert len(couch.lines) == 1
    couch.error = None
    assert await send(login, couch) == "c1"


async def test_a_login_without_a_cookie_is_no_login(login: LoginAuth, couch: Couch) -> None:
    couch.brings_cookie = False
    with pytest.raises(UnexpectedAnswerError, match="cookie"):
        await send(login, couch)


# -- what is refused before anything is sent, and what shows


@pytest.mark.parametrize(
    "given", ["bond", ("bond",), ("bond", None), ("a", "b", "c"), b"bond", None]
)
async def test_a_callback_must_give_name_and_password(
    couch: Couch, clock: Clock, given: object
) -> None:
    login = LoginAuth(lambda: given, clock=clock)  # type: ignore[arg-type, return-value]
    with pytest.raises(InvalidTypeError, match="name and password"):
        await send(login, couch)
    assert couch.lines == []


def test_a_login_needs_a_password() -> None:
    with pytest.raises(InvalidTypeError, match="password"):
        LoginAuth("bond")  # type: ignore[call-overload]
    with pytest.raises(InvalidTypeError, match="password"):
        LoginAuth(lambda: ("bond", "first"), "second")  # type: ignore[call-overload]


def test_it_belongs_to_the_servers_of_one_session() -> None:
    login = LoginAuth("bond", "first")
    login.joins("http://a", "http://b")
    login.joins("http://a", "http://b")
    with pytest.raises(InvalidInputError, match="http://c"):
        login.joins("http://c")


async def test_nothing_shows(login: LoginAuth, couch: Couch) -> None:
    await send(login, couch)
    shown = repr(login) + repr(login.current) + repr(login.ready())
    assert "first" not in shown
    assert "c1" not in shown
    assert repr(login) == "<LoginAuth bond>"
    assert repr(LoginAuth(lambda: ("bond", "first"))) == "<LoginAuth>"
