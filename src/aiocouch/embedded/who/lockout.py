"""Accounts that were tried with too many wrong passwords are closed for a while."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from collections.abc import Callable

    from aiocouch.embedded.node.config import Configuration

_SECTION = "chttpd_auth_lockout"

Attempt = tuple[str, str, str]
"""The client's address, the user's name and the salt, so that a new password starts anew."""


class _Failures(msgspec.Struct):
    since: float
    count: int


class Lockout:
    """Counts wrong passwords: section `chttpd_auth_lockout`, as CouchDB 3.4 and later.

    `clock` gives seconds; tests put their own there.
    """

    def __init__(self, config: Configuration, clock: Callable[[], float] = time.monotonic) -> None:
        self._config = config
        self._clock = clock
        self._failures: dict[Attempt, _Failures] = {}

    def is_locked(self, attempt: Attempt) -> bool:
        """Return whether the account is closed for this client."""
        if self._mode() != "enforce":
            return False
        found = self._failures.get(attempt)
        if found is not None and self._is_over(found):
            del self._failures[attempt]
            return False
        return found is not None and found.count >= self._threshold()

    def count(self, attempt: Attempt) -> None:
        """Note one wrong password."""
        if self._mode() == "off":
            return
        found = self._failures.get(attempt)
        if found is None or self._is_over(found):
            self._make_room()
            found = self._failures[attempt] = _Failures(self._clock(), 0)
        found.count += 1

    def _mode(self) -> str:
        mode = self._config.text(_SECTION, "mode", "enforce")
        return mode if mode in ("enforce", "warn") else "off"

    def _threshold(self) -> int:
        return self._config.integer(_SECTION, "threshold", 5)

    def _is_over(self, failures: _Failures) -> bool:
        lifetime = self._config.integer(_SECTION, "max_lifetime", 300_000)
        return self._clock() - failures.since > lifetime / 1000

    def _make_room(self) -> None:
        while len(self._failures) >= self._config.integer(_SECTION, "max_objects", 10_000):
            del self._failures[next(iter(self._failures))]
