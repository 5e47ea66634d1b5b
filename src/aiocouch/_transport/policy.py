"""What is tried again, how often, and how soon. Pure: no clock and no network here."""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from enum import Enum
from random import Random
from typing import TYPE_CHECKING

import aiohttp

from aiocouch.exception import (
    InvalidInputError,
    InvalidTypeError,
    RemoteResponseError,
    TransportError,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from aiocouch.exception import CouchDBError

__all__ = ["DEFAULT", "Budget", "Failure", "RetryPolicy", "checked_policy", "seconds_asked"]

# Its own: programs that have seeded the common one alike would all come back at once.
_RANDOM = Random()  # noqa: S311

_LATER = 429
_PASSING = frozenset({502, 503, 504})
_REFUND = 1.0
# What a CouchDB answers with status 500 while one of its nodes goes down or comes up,
_NODE_IS_AWAY = ("No DB shards could be opened", "nodedown", "rexi_DOWN", "noconnection")
# and when what a node began has ended without an answer.
_NODE_FAILED = ("error", "internal_server_error")
# What it answers with status 503 as long as it has no search service; one that is away has other words.
_NO_SEARCH = frozenset(
    {
        ("service unavailable", "Search is not available"),
        ("required index service unavailable", "text"),
        ("required index service unavailable", "nouveau"),
    }
)


class Failure(Enum):
    """What a failed try tells: may it come right, and may the server have done what was asked?"""

    FINAL = "another try would fail in the same way"
    UNDONE = "the server has done nothing: it was not reached, or it said so (429)"
    UNCLEAR = "no answer, or one that does not tell whether it was done (502, 503, 504)"


@dataclass(frozen=True, kw_only=True)
class RetryPolicy:
    """How often a session sends a request again that failed for a reason which may pass.

    Such reasons are: no connection, a connection that breaks or stays silent, and the statuses 429, 502,
    503 and 504, but not the 503 of a server without a search service. Only what does no harm is sent again:
    see the page about reliability.

    `tries` is how often one request is sent at most, the first time included. Between them it waits for
    a random time between 0 and `first_wait` seconds, then twice that, and so on up to `longest_wait`. A
    `Retry-After` of the server is waited for in addition, but no longer than `longest_retry_after`
    seconds. After `deadline` seconds (None: no limit of its own) a call ends, whatever is tried then; a
    call that would have to wait for longer than that fails at once. A stream has it until it begins.

    `budget` is how many tries in a row a whole session may add while nothing succeeds, so that many
    callers do not press a server that is down: each takes one, each success gives one back.

    Policies of your own are made by other numbers, or by a subclass with a `failure` of its own. Raises
    `InvalidInputError` for numbers that make no sense.
    """

    tries: int = 6
    first_wait: float = 0.1
    longest_wait: float = 5.0
    longest_retry_after: float = 60.0
    deadline: float | None = 300.0
    budget: int = 100

    def __post_init__(self) -> None:
        least = {"tries": 1, "first_wait": 0, "longest_wait": 0, "longest_retry_after": 0}
        for name, value in {**least, "budget": 0, "deadline": 0}.items():
            _check(name, getattr(self, name), value)

    def failure(self, error: CouchDBError) -> Failure:
        """Return what the failure of a try tells. A subclass may know more of its servers."""
        failure = _failure(error)
        return Failure.UNDONE if failure is Failure.UNCLEAR and error.undone else failure

    def wait(
        self,
        tries: int,
        error: CouchDBError,
        left: float = math.inf,
        draw: Callable[[], float] = _RANDOM.random,
    ) -> float | None:
        """Return the seconds to wait after so many tries; None: give up. `left` are those to the deadline."""
        if tries >= self.tries:
            return None
        # 2.0 ** 1024 would be too large
        most = min(self.longest_wait, self.first_wait * 2.0 ** min(tries - 1, 64))
        asked = min(_asked_by(error), self.longest_retry_after)
        seconds = asked + most * draw()
        return seconds if seconds < left else None


def checked_policy(given: object) -> RetryPolicy | None:
    """Return the policy. Raise `InvalidTypeError` for anything else."""
    if given is None or isinstance(given, RetryPolicy):
        return given
    raise InvalidTypeError(f"retry must be a RetryPolicy or None, not {type(given).__name__}")


class Budget:
    """How many more tries a session may make, as a bucket of tokens."""

    def __init__(self, tries: int) -> None:
        self._most = float(tries)
        self._tokens = self._most
        self.is_full = True

    def take(self) -> bool:
        """Take one, if there is one."""
        if self._tokens < 1:
            return False
        self._tokens -= 1
        self.is_full = False
        return True

    def give(self) -> None:
        """Note that a request was answered. Need not be called while it `is_full`."""
        self._tokens = min(self._tokens + _REFUND, self._most)
        self.is_full = self._tokens == self._most


def seconds_asked(headers: Mapping[str, str], now: datetime | None = None) -> float:
    """Return the seconds that a `Retry-After` asks for, as a number or as a date; 0 where there is none.

    A date is compared with the server's own `Date`, whose clock may differ from ours.
    """
    text = headers.get("Retry-After", "").strip()
    if text.isascii() and text.isdigit():
        return float(text) if len(text) < 10 else math.inf
    until = _date(text)
    if until is None:
        return 0.0
    since = _date(headers.get("Date", "")) or now or datetime.now(UTC)
    return max((until - since).total_seconds(), 0.0)


def _date(text: str) -> datetime | None:
    try:
        date = parsedate_to_datetime(text)
    except (TypeError, ValueError, OverflowError):
        return None
    return date if date.tzinfo else date.replace(tzinfo=UTC)


def _asked_by(error: CouchDBError) -> float:
    if not isinstance(error, RemoteResponseError) or error.headers is None:
        return 0.0
    return seconds_asked(error.headers)


def _failure(error: CouchDBError) -> Failure:
    if isinstance(error, TransportError):
        return _failure_of_transport(error)
    if error.status == _LATER:
        return Failure.UNDONE
    if error.status in _PASSING and (error.error, error.reason) in _NO_SEARCH:
        return Failure.FINAL
    if error.status in _PASSING or _is_of_a_node(error):
        return Failure.UNCLEAR
    return Failure.FINAL


def _failure_of_transport(error: TransportError) -> Failure:
    if isinstance(error, aiohttp.ClientSSLError):
        return Failure.FINAL  # a certificate does not get better
    if isinstance(error, aiohttp.ClientConnectorError | aiohttp.ConnectionTimeoutError):
        return Failure.UNDONE
    # What we say ourselves, such as that all connections are taken, is not a failure of the network.
    if isinstance(error, aiohttp.ClientError | TimeoutError | OSError):
        return Failure.UNCLEAR
    return Failure.FINAL


def _is_of_a_node(error: CouchDBError) -> bool:
    if error.status != 500:
        return False
    said = f"{error.error} {error.reason}"
    is_away = any(words in said for words in _NODE_IS_AWAY)
    return is_away or (error.error, error.reason) == _NODE_FAILED


def _check(name: str, value: float | None, least: float) -> None:
    if value is None and name == "deadline":
        return
    if not isinstance(value, int | float) or isinstance(value, bool) or not value >= least:
        raise InvalidInputError(f"RetryPolicy: {name} must be at least {least}, not {value!r}")


DEFAULT = RetryPolicy()
"""The policy of a session that is given none."""
