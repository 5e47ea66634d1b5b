"""Laws of the retry policy: it waits within its limits, ends, and never presses on for long."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiocouch._transport.policy import Budget, RetryPolicy, seconds_asked
from aiocouch.exception import Facts, InvalidInputError, response_error

if TYPE_CHECKING:
    from aiocouch.exception import CouchDBError

draws = st.floats(0, 1, exclude_max=True)
policies = st.builds(
    RetryPolicy,
    tries=st.integers(1, 2000),
    first_wait=st.floats(0, 1e6),
    longest_wait=st.floats(0, 1e6),
    longest_retry_after=st.floats(0, 1e6),
)
dates = st.datetimes(datetime(1990, 1, 1), datetime(2090, 1, 1)).map(  # noqa: DTZ001
    lambda date: date.replace(microsecond=0, tzinfo=UTC)
)


def busy(**headers: str) -> CouchDBError:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return response_error(Facts("GET", "/db", 429), named)


@given(policies, st.integers(1, 3000), draws)
def test_a_wait_is_never_longer_than_the_policy_says(
    policy: RetryPolicy, tries: int, drawn: float
) -> None:
    wait = policy.wait(tries, busy(), draw=lambda: drawn)
    if tries >= policy.tries:
        assert wait is None
    else:
        assert wait is not None
        assert 0 <= wait <= policy.longest_wait
        assert wait <= policy.first_wait * 2.0 ** min(tries - 1, 900)


@given(policies, st.integers(1, 20))
def test_waits_may_grow_but_never_shrink(policy: RetryPolicy, tries: int) -> None:
    one, other = (policy.wait(n, busy(), draw=lambda: 0.5) for n in (tries, tries + 1))
    assert other is None or (one is not None and one <= other)


@given(policies, st.integers(1, 20), draws, st.integers(0, 10**12))
def test_retry_after_is_waited_for_up_to_its_limit(
    policy: RetryPolicy, tries: int, drawn: float, asked: int
) -> None:
    without = policy.wait(tries, busy(), draw=lambda: drawn)
    wait = policy.wait(tries, busy(Retry_After=str(asked)), draw=lambda: drawn)
    if without is None:
        assert wait is None
    else:
        assert wait == min(asked, policy.longest_retry_after) + without


@given(policies, st.integers(1, 20), draws, st.integers(0, 100), st.floats(0, 200))
def test_nobody_waits_for_what_comes_after_the_deadline(
    policy: RetryPolicy, tries: int, drawn: float, asked: int, left: float
) -> None:
    error = busy(Retry_After=str(asked))
    unlimited = policy.wait(tries, error, draw=lambda: drawn)
    wait = policy.wait(tries, error, left, draw=lambda: drawn)
    assert wait == (unlimited if unlimited is not None and unlimited < left else None)


@given(dates, st.integers(0, 10**6))
def test_a_date_is_compared_with_the_clock_of_the_server(date: datetime, seconds: int) -> None:
    until = format_datetime(date + timedelta(seconds=seconds), usegmt=True)
    answered = format_datetime(date, usegmt=True)
    assert seconds_asked({"Retry-After": until, "Date": answered}) == seconds
    assert seconds_asked({"Retry-After": answered, "Date": until}) == 0


@given(st.text())
def test_whatever_else_the_header_says_does_no_harm(text: str) -> None:
    assert 0 <= seconds_asked({"Retry-After": text}) <= math.inf


@given(st.integers(0, 50), st.lists(st.booleans(), max_size=300))
def test_a_budget_is_never_overdrawn_and_never_more_than_full(
    tries: int, steps: list[bool]
) -> None:
    budget, tokens = Budget(tries), float(tries)
    for taking in steps:
        if taking:
            assert budget.take() == (tokens >= 1)
            tokens -= tokens >= 1
        else:
            budget.give()
            tokens = min(tokens + 1, tries)
        assert budget.is_full == (tokens == tries)


@given(st.integers(0, 200), st.integers(0, 2000))
def test_an_outage_is_not_amplified(tries: int, calls: int) -> None:
    budget = Budget(tries)
    sent = sum(1 + sum(budget.take() for _ in range(5)) for _ in range(calls))
    assert sent <= calls + tries


@pytest.mark.parametrize(
    "given",
    [
        {"tries": 0},
        {"tries": "3"},
        {"first_wait": -1},
        {"longest_wait": math.nan},
        {"budget": None},
        {"deadline": -0.1},
        {"longest_retry_after": True},
    ],
)
def test_numbers_without_sense_are_named(given: dict[str, object]) -> None:
    (name,) = given
    with pytest.raises(InvalidInputError, match=name):
        RetryPolicy(**given)  # type: ignore[arg-type]
