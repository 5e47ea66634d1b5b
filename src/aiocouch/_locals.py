"""Constructors that take secrets, and must not show them in a traceback."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any, TypeVar, cast

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["forgets"]

F = TypeVar("F", bound="Callable[..., None]")


def forgets(init: F) -> F:
    """Make a constructor raise its errors without the frames that have its arguments.

    Programs that show or send the locals of a traceback would show passwords.
    """

    @functools.wraps(init)
    def guarded(self: object, *args: Any, **kwargs: Any) -> None:
        failure = None
        try:
            init(self, *args, **kwargs)
        except Exception as error:  # noqa: BLE001 - whatever it is
            failure = _bare(error)
        if failure is not None:
            del args, kwargs
            raise failure

    return cast("F", guarded)


def _bare(error: Exception) -> Exception:
    """Return the error without the frames of itself and of those that led to it."""
    if error.__suppress_context__:
        error.__context__ = None
    for other in (error.__cause__, error.__context__):
        if isinstance(other, Exception):
            _bare(other)
    return error.with_traceback(None)
