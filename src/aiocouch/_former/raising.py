"""`raises` and its kin of aiocouch 3 and 4: decorators that give the errors of aiohttp other words."""

from __future__ import annotations

import functools
from contextlib import aclosing
from typing import TYPE_CHECKING, Any, NoReturn, ParamSpec, Protocol, TypeVar

import aiohttp

from aiocouch.exception import ERROR_BY_STATUS

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable

P = ParamSpec("P")
T = TypeVar("T")


class Endpoint(Protocol):
    """What the words can be about."""

    @property
    def id(self) -> str:
        """The id."""
        ...

    @property
    def endpoint(self) -> str:
        """The path."""
        ...


class _Words(dict[str, Any]):
    """The values for a text; a name without one stays as it is."""

    def __missing__(self, name: str) -> str:
        return f"{{{name}}}"


def raise_for_endpoint(
    endpoint: Any,
    message: str,
    exception: aiohttp.ClientResponseError,
    exception_type: type[Exception] | None = None,
) -> NoReturn:
    """Raise the class of the status, or `exception_type`, with the words filled in."""
    kind = exception_type or ERROR_BY_STATUS.get(exception.status)
    if kind is None:
        raise ValueError(f"no class of errors for the status {exception.status}") from exception
    raise kind(message.format_map(_words(endpoint, exception))) from exception


def _words(endpoint: Any, exception: aiohttp.ClientResponseError) -> _Words:
    words = _Words(reason=getattr(exception, "reason", None) or exception.message)
    for prefix, thing in (("", endpoint), ("document_", _owner(endpoint))):
        for name in ("id", "endpoint", "rev"):
            if (value := getattr(thing, name, None)) is not None:
                words[prefix + name] = value
    return words


def _owner(endpoint: Any) -> Any:
    return getattr(endpoint, "document", None) or vars(endpoint).get("_document")


def raises(
    status: int, message: str, exception_type: type[Exception] | None = None
) -> Callable[[Callable[P, Awaitable[T]]], Callable[P, Awaitable[T]]]:
    """Put other words into an answer of that status, in a method that is a coroutine."""

    def decorate(method: Callable[P, Awaitable[T]]) -> Callable[P, Awaitable[T]]:
        @functools.wraps(method)
        async def wrapped(*args: P.args, **kwargs: P.kwargs) -> T:
            try:
                return await method(*args, **kwargs)
            except aiohttp.ClientResponseError as error:
                if error.status != status:
                    raise
                raise_for_endpoint(args[0], message, error, exception_type)

        return wrapped

    return decorate


def generator_raises(
    status: int, message: str, exception_type: type[Exception] | None = None
) -> Callable[[Callable[P, AsyncGenerator[T, None]]], Callable[P, AsyncGenerator[T, None]]]:
    """Do as `raises`, for a method that is an asynchronous generator."""

    def decorate(
        method: Callable[P, AsyncGenerator[T, None]],
    ) -> Callable[P, AsyncGenerator[T, None]]:
        @functools.wraps(method)
        async def wrapped(*args: P.args, **kwargs: P.kwargs) -> AsyncGenerator[T, None]:
            try:
                async with aclosing(method(*args, **kwargs)) as every:
                    async for found in every:
                        yield found
            except aiohttp.ClientResponseError as error:
                if error.status != status:
                    raise
                raise_for_endpoint(args[0], message, error, exception_type)

        return wrapped

    return decorate
