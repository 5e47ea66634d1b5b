"""Old names that go on working, each with a DeprecationWarning that tells the public way."""

from __future__ import annotations

import functools
import importlib
import warnings
from inspect import getattr_static
from typing import TYPE_CHECKING, Any, TypeVar, cast

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Mapping

F = TypeVar("F", bound="Callable[..., Coroutine[Any, Any, Any]]")


def warn(old: str, public: str, level: int = 3) -> None:
    """Warn whoever called the caller of this."""
    message = f"{old} is a private name of aiocouch 4; use {public}"
    warnings.warn(message, DeprecationWarning, stacklevel=level)


class Renamed:
    """An attribute under an old name: `_database = Renamed("database")`."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._old = ""

    def __set_name__(self, owner: type, old: str) -> None:
        self._old = f"{owner.__name__}.{old}"

    def __get__(self, owner: object, kind: type | None = None) -> Any:
        if owner is None:
            return self
        warn(self._old, self._name)
        return getattr(owner, self._name)

    def __set__(self, owner: object, value: object) -> None:
        warn(self._old, self._name)
        setattr(owner, self._name, value)


class OldProperty(property):
    """A property under an old name, which warns by itself."""


class Discreet:
    """Keeps its old names out of `dir()`, for mocks and debuggers look at whatever stands there."""

    __slots__ = ()

    def __dir__(self) -> list[str]:
        kind, old = type(self), (Renamed, OldProperty)
        every = object.__dir__(self)
        return [name for name in every if not isinstance(getattr_static(kind, name, None), old)]


def former(public: str) -> Callable[[F], F]:
    """Make a method, which is a coroutine, warn that `public` is what to use."""

    def decorate(method: F) -> F:
        @functools.wraps(method)
        async def warned(*args: Any, **kwargs: Any) -> Any:
            warn(method.__qualname__, public)
            return await method(*args, **kwargs)

        return cast("F", warned)

    return decorate


def door(module: str, names: Mapping[str, tuple[str, str]]) -> Callable[[str], Any]:
    """Return a `__getattr__` for a module: by old name, where it is now, and what to use instead."""

    def find(name: str) -> Any:
        if name not in names:
            raise AttributeError(f"module {module!r} has no attribute {name!r}")
        home, public = names[name]
        warn(f"{module}.{name}", public)
        # By name, for the home may stand above the module.
        return getattr(importlib.import_module(home), name)

    return find
