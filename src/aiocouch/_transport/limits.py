"""How long is waited for the server, and how much is taken of it, by default and as the program says."""

from __future__ import annotations

from typing import TypeAlias

import aiohttp

from aiocouch.exception import InvalidInputError, InvalidTypeError

__all__ = [
    "CONNECT",
    "MOST",
    "SILENCE",
    "Timeout",
    "checked_size",
    "checked_timeout",
    "in_all",
    "silence_of",
    "silent_for",
]

Timeout: TypeAlias = aiohttp.ClientTimeout

CONNECT = 30.0
"""Seconds until a connection stands, with its encryption."""

SILENCE = 300.0
"""Seconds without a single byte: before an answer begins, while it comes, and while a body is sent.

A short request whose answer is read whole has as many in all.
"""


MOST = 1 << 30
"""Bytes that a row, a line, or an answer that is read whole may take by default, decompressed."""


def checked_size(given: object) -> int | None:
    """Return the value of `max_size`. Raise `InvalidInputError`."""
    if given is None:
        return None
    if isinstance(given, bool) or not isinstance(given, int) or given < 1:
        raise InvalidInputError(f"max_size={given!r} is not a number of bytes above 0")
    return given


def silent_for(seconds: float | None) -> Timeout:
    """Return how long a stream may be silent, in seconds; None: for ever. It may last as long as it likes."""
    return Timeout(total=None, sock_connect=CONNECT, sock_read=seconds)


_DEFAULT = Timeout(total=SILENCE, sock_connect=CONNECT)


def in_all(limits: Timeout, seconds: float) -> Timeout:
    """Return the limits, and one for the whole request."""
    return Timeout(
        total=seconds,
        connect=limits.connect,
        sock_connect=limits.sock_connect,
        sock_read=limits.sock_read,
        ceil_threshold=limits.ceil_threshold,
    )


def checked_timeout(given: object) -> Timeout:
    """Return the limits of a session. Raise `InvalidTypeError`."""
    if given is None:
        return _DEFAULT
    if not isinstance(given, Timeout):
        raise InvalidTypeError(
            f"the timeout must be an aiohttp.ClientTimeout, not {type(given).__name__}"
        )
    return given


def silence_of(given: Timeout) -> Timeout:
    """Return the limits of a session for what may last: a total becomes how long it may be silent."""
    if given.total is None:
        return given
    return Timeout(
        connect=given.connect,
        sock_connect=given.sock_connect or given.total,
        sock_read=given.sock_read or given.total,
        ceil_threshold=given.ceil_threshold,
    )
