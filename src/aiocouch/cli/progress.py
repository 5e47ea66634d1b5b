"""How far a long command is: a line with rate and remaining time on a terminal, nothing in a pipe."""

from __future__ import annotations

import contextlib
import gc
import math
import sys
import time
from typing import TYPE_CHECKING, Any

from aiocouch.cli.output import rich_module
from aiocouch.cli.values import some

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator

__all__ = ["Progress", "add_parallel", "progress"]

_ALLOCATIONS = 20_000
_SECONDS = 0.1  # from one change of the line to the next


def add_parallel(parser: argparse.ArgumentParser) -> None:
    """Add the option that says how many requests a long command has under way."""
    parser.add_argument(
        "--parallel",
        type=some,
        default=4,
        metavar="N",
        help="requests under way at a time (default: %(default)s)",
    )


class Progress:
    """How far it is. Does nothing where nobody looks."""

    def __init__(self, bars: Any = None, task: Any = None) -> None:
        self._bars = bars
        self._task = task
        self._done = 0.0
        self._shown_at = -math.inf

    def to(self, done: float, total: float | None = None) -> None:
        """Say how much is done, and of how much, if that has changed."""
        self._done = done
        if self._bars is not None:
            self._show({} if total is None else {"total": total})

    def advance(self, count: float = 1) -> None:
        """Say that some more is done."""
        self._done += count
        if self._bars is not None:
            self._show({})

    def _show(self, known: dict[str, float]) -> None:
        # Some times a second: the rate is told by the last thousand of them.
        now = time.monotonic()
        if now - self._shown_at >= _SECONDS:
            self._shown_at = now
            self._bars.update(self._task, completed=self._done, **known)


@contextlib.contextmanager
def progress(
    given: argparse.Namespace, what: str, total: float | None = None, unit: str = "documents"
) -> Iterator[Progress]:
    """Show how far it is while the block runs, if a person looks at stderr and did not say `--quiet`."""
    is_seen = sys.stderr.isatty() and not getattr(given, "quiet", False)
    rich = rich_module("rich.progress") if is_seen else None
    with contextlib.ExitStack() as stack:
        stack.enter_context(_few_collections())
        if rich is None:
            yield Progress()
            return
        shown = rich.Progress(
            *_columns(rich, unit), console=rich.Console(stderr=True), transient=True
        )
        bars = stack.enter_context(shown)
        yield Progress(bars, bars.add_task(what, total=total))


@contextlib.contextmanager
def _few_collections() -> Iterator[None]:
    """Look for cycles of garbage less often while the block runs.

    A long command holds many rows at a time, none of them in a cycle, and to go through them all again
    and again takes a tenth of its time.
    """
    before = gc.get_threshold()
    gc.set_threshold(_ALLOCATIONS, *before[1:])
    try:
        yield
    finally:
        gc.set_threshold(*before)


def _columns(rich: Any, unit: str) -> list[Any]:
    class Rate(rich.ProgressColumn):  # type: ignore[misc]
        """How many in a second."""

        def render(self, task: Any) -> Any:
            speed = task.finished_speed or task.speed
            return rich.Text("" if speed is None else f"{speed:,.0f} {unit}/s")

    return [
        rich.TextColumn("{task.description}"),
        rich.BarColumn(),
        rich.TextColumn("{task.completed:,.0f}"),
        Rate(),
        rich.TimeRemainingColumn(),
    ]
