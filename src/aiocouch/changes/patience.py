"""Whether a feed that broke is asked for again, and how soon. Pure."""

from __future__ import annotations

import sys
from dataclasses import dataclass, field

from aiocouch._transport.policy import Failure, RetryPolicy
from aiocouch.exception import (
    CouchDBError,
    InvalidInputError,
    InvalidTypeError,
    SessionClosedError,
    TransportError,
)

__all__ = ["RESTARTS", "Patience", "is_passing"]

RESTARTS = RetryPolicy(tries=sys.maxsize, first_wait=0.1, longest_wait=30.0, deadline=None)
"""A follower goes on for as long as it takes."""

_STRANGE = 10
_OURS = (InvalidInputError, InvalidTypeError, SessionClosedError)


def is_passing(error: CouchDBError, policy: RetryPolicy = RESTARTS) -> bool:
    """Return whether the reason is one that passes, such as a server that is away."""
    return isinstance(error, TransportError) or policy.failure(error) is not Failure.FINAL


@dataclass
class Patience:
    """How often a feed has failed in a row.

    A server that is away is waited for without an end; one that answers with errors of its own (500, or
    what is not an answer of CouchDB) for ten times in a row; one that refuses (400, 401, 403, 404) not at
    all.
    """

    policy: RetryPolicy = RESTARTS
    failures: int = field(default=0, init=False)
    strange: int = field(default=0, init=False)

    def succeed(self) -> None:
        """Note that something has come."""
        self.failures = self.strange = 0

    def wait(self, error: CouchDBError) -> float:
        """Return the seconds to wait. Raise the error when it is not worth it."""
        self.failures += 1
        if not is_passing(error, self.policy):
            self.strange += 1
            refused = isinstance(error, _OURS) or 400 <= (error.status or 0) < 500
            if refused or self.strange > _STRANGE:
                raise error
        seconds = self.policy.wait(self.failures, error)
        if seconds is None:
            raise error
        return seconds
