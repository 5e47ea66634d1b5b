"""What proves who we are, given at once or by a callback that is asked when it is needed."""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable
from typing import Any, TypeAlias, TypeVar

from aiocouch._wire.secret import SecretPair
from aiocouch.exception import InvalidTypeError

__all__ = ["Source", "checked_pair", "value_of"]

T = TypeVar("T")

Source: TypeAlias = Callable[[], T | Awaitable[T]]
"""A callback, sync or async. A sync one runs in the event loop and must not block it."""


async def value_of(source: Source[T]) -> T:
    """Return what the callback gives, awaited if need be."""
    given: Any = source()
    found: T = await given if inspect.isawaitable(given) else given
    return found


def checked_pair(given: object) -> SecretPair:
    """Return what a callback gave as name and password. Raise `InvalidTypeError` for anything else."""
    if isinstance(given, tuple) and len(given) == 2:
        user, password = given
        if isinstance(user, str) and isinstance(password, str):
            return SecretPair((user, password))
    raise InvalidTypeError("the callback must give a tuple of name and password, both str")
