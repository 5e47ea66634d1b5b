"""Whether a value is of the type that a type checker takes it for."""

from __future__ import annotations

import inspect
import types
import typing
from typing import TYPE_CHECKING, Any, Literal, NotRequired

from tests.surface import introspection

_APART = ("aiocouch.cli", "aiocouch.embedded", "aiocouch.testing")

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


def misfits(value: object, hint: Any, at: str = "answer") -> Iterator[str]:
    """Yield where a JSON value is not of a type, a line for each place.

    A member that a TypedDict does not declare is one, too, and so is `True` for an int.
    """
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if typing.is_typeddict(hint):
        yield from _in_members(value, hint, at)
    elif origin in {typing.Union, types.UnionType}:
        found = [list(misfits(value, one, at)) for one in arguments]
        if all(found):
            yield from max(found, key=lambda lines: _depth(lines, at))
    elif origin is Literal:
        if value not in arguments:
            yield f"{at} is {value!r}, which is none of {arguments}"
    elif origin is list and isinstance(value, list):
        for number, one in enumerate(value):
            yield from misfits(one, arguments[0], f"{at}[{number}]")
    elif origin is dict and isinstance(value, dict):
        for name, one in value.items():
            yield from misfits(name, arguments[0], f"a name in {at}")
            yield from misfits(one, arguments[1], f"{at}[{name!r}]")
    elif not _is_plain(value, origin or hint):
        yield f"{at} is {value!r}, not {hint}"


def _in_members(value: object, shape: Any, at: str) -> Iterator[str]:
    if type(value) is not dict:
        yield f"{at} is {value!r}, not {shape.__name__}"
        return
    hints = typing.get_type_hints(shape, include_extras=True)
    needed = {name for name in hints if shape.__total__ and not _may_be_left_out(hints[name])}
    yield from (f"{at} has no {name!r}" for name in sorted(needed - value.keys()))
    yield from (f"{at} has {name!r}, undeclared" for name in sorted(value.keys() - hints.keys()))
    plain = typing.get_type_hints(shape)
    for name in hints.keys() & value.keys():
        yield from misfits(value[name], plain[name], f"{at}[{name!r}]")


def _may_be_left_out(hint: Any) -> bool:
    return typing.get_origin(hint) is NotRequired


def _is_plain(value: object, hint: Any) -> bool:
    if hint is Any:
        return True
    if hint is float:
        return type(value) in {int, float}
    return type(value) is hint


def _depth(lines: list[str], at: str) -> int:
    """Return how many lines are of places inside, which tell more than that it is something else."""
    return sum(not line.startswith(f"{at} is ") for line in lines)


def returned(method: Callable[..., object]) -> Any:
    """Return what a method declares that it returns; of a generator, what it yields."""
    hint = typing.get_type_hints(method)["return"]
    is_stream = getattr(typing.get_origin(hint), "__name__", "") == "AsyncGenerator"
    return typing.get_args(hint)[0] if is_stream else hint


def methods_of_the_client() -> Iterator[tuple[str, Any]]:
    """Yield the names of all public methods and functions, and what they return."""
    for path, method in introspection.public():
        is_ours = not path.startswith(_APART) and not path.rpartition(".")[2].startswith("_")
        if is_ours and inspect.isfunction(method):
            yield method.__qualname__, typing.get_type_hints(method).get("return")


def answers_with_types() -> Iterator[str]:
    """Yield the names of those that declare the shape of an answer of CouchDB."""
    yield from (name for name, hint in methods_of_the_client() if _names_answer(hint))


def _names_answer(hint: Any) -> bool:
    if typing.is_typeddict(hint):
        return str(hint.__module__).startswith("aiocouch.answers.")
    return any(_names_answer(one) for one in typing.get_args(hint))
