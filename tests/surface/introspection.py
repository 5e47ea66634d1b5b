"""What Python tells of our public names: signatures, help and types.

Run by itself it prints what fails: it must work where there is nothing but the package.
"""

from __future__ import annotations

import importlib
import inspect
import pkgutil
import pydoc
import typing
from typing import TYPE_CHECKING, Any

import aiocouch

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

Named = tuple[str, Any]
_FACES = {
    *("aiocouch.changes", "aiocouch.cli", "aiocouch.dumping", "aiocouch.embedded"),
    "aiocouch.replication",
}
# One runs, the others need what only an extra brings.
_LEFT_OUT = {"aiocouch.__main__", "aiocouch.otel", "aiocouch.testing.plugin"}


def modules() -> Iterator[str]:
    """All modules but private ones; of what is behind a face, the face only."""
    yield "aiocouch"
    for found in pkgutil.walk_packages(aiocouch.__path__, "aiocouch."):
        behind = any(found.name.startswith(f"{face}.") for face in _FACES)
        private = any(part[0] == "_" for part in found.name.split("."))
        if not behind and not private and found.name not in _LEFT_OUT:
            yield found.name


def public() -> Iterator[Named]:
    """Every public class and function, and every public member of a class."""
    for module in modules():
        found = importlib.import_module(module)
        for name in found.__all__:
            thing = getattr(found, name)
            if inspect.isclass(thing) or inspect.isfunction(thing):
                yield f"{module}.{name}", thing
                yield from _members(f"{module}.{name}", thing)


def _members(path: str, thing: object) -> Iterator[Named]:
    if not inspect.isclass(thing):
        return
    for name, member in inspect.getmembers_static(thing):
        plain = member.fget if isinstance(member, property) else member
        plain = getattr(plain, "__func__", plain)
        if inspect.isfunction(plain) and (name[0] != "_" or name.endswith("__")):
            yield f"{path}.{name}", plain


def _signature(thing: Any) -> object:
    # A TypedDict is called as a dict is, of which Python knows no signature.
    return typing.is_typeddict(thing) or inspect.signature(thing)


QUESTIONS: dict[str, Callable[[Any], object]] = {
    "signature": _signature,
    "help": pydoc.render_doc,
    "hints": typing.get_type_hints,
}


def failures() -> Iterator[str]:
    """What fails, a line each."""
    for path, thing in public():
        for name, question in QUESTIONS.items():
            try:
                question(thing)
            except Exception as error:  # noqa: BLE001 - each is told
                yield f"{name} of {path}: {error!r}"


if __name__ == "__main__":
    print(len(list(public())), "names")  # noqa: T201
    print(*failures(), sep="\n")  # noqa: T201
