"""How far a long measurement is, for a person who watches; silent when the output is piped."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from rich.console import Console
from rich.progress import track

if TYPE_CHECKING:
    from collections.abc import Iterable

T = TypeVar("T")


def watched(items: Iterable[T], what: str, total: int) -> Iterable[T]:
    """The same items, with a bar on the error output that tells how many have come."""
    console = Console(stderr=True)
    return track(
        items, what, total, console=console, transient=True, disable=not console.is_terminal
    )
