"""How far a long command is: a line with rate and remaining time on a terminal, nothing in a pipe."""

from __future__ import annotations

import contextlib
import gc
import importlib
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
_BAR = (8, 40)  # characters: a smaller bar is left out
_FIGURES = 32  # characters of a number, a rate without its unit and a time, with blanks between


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

    def phase(self, what: str) -> None:
        """Say what is done from now on, unless it is that already. It is counted from nothing."""
        if self._bars is None or self._task.description == what:
            return
        self._done, self._shown_at = 0.0, -math.inf
        self._task.total = None
        self._bars.reset(self._task.id, description=what)

    def to(self, done: float, total: float | None = None) -> None:
        """Say how much is done, and of how much, if that has changed."""
        self._done = done
        if self._bars is not None:
            if total is not None:
                self._task.total = total  # by `update` its rate would begin anew
            self._show()

    def advance(self, count: float = 1) -> None:
        """Say that some more is done."""
        self._done += count
        if self._bars is not None:
            self._show()

    def _show(self) -> None:
        # Some times a second: the rate is told by the last thousand of them.
        now = time.monotonic()
        if now - self._shown_at >= _SECONDS:
            self._shown_at = now
            self._bars.update(self._task.id, completed=self._done)


@contextlib.contextmanager
def progress(
    given: argparse.Namespace,
    what: str,
    total: float | None = None,
    unit: str = "documents",
    *,
    prints: bool = False,
) -> Iterator[Progress]:
    """Show how far it is while the block runs, if a person looks at stderr and did not say `--quiet`.

    One that `prints` its answer meanwhile shows it in a pipe or a file only: on a terminal that would be
    mixed with the answer, which shows by itself that it goes on.
    """
    is_seen = sys.stderr.isatty() and not getattr(given, "quiet", False)
    is_mixed = prints and sys.stdout.isatty()
    rich = rich_module("rich.progress") if is_seen and not is_mixed else None
    with contextlib.ExitStack() as stack:
        stack.enter_context(_few_collections())
        if rich is None:
            yield Progress()
            return
        console = importlib.import_module("rich.console").Console(stderr=True)
        columns = _columns(rich, unit, console.width, len(what))
        # What else is printed on this terminal comes above the line, and what goes into a pipe does not.
        shown = rich.Progress(
            *columns, console=console, transient=True, redirect_stdout=sys.stdout.isatty()
        )
        bars = stack.enter_context(shown)
        bars.add_task(what, total=total)
        yield Progress(bars, bars.tasks[-1])


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


def _columns(rich: Any, unit: str, width: int, name: int) -> list[Any]:
    """Return what the line shows. On a narrow terminal the bar is left out first, and then the unit."""
    column = importlib.import_module("rich.table").Column
    most = max(width // 3, 10)

    class What(rich.ProgressColumn):  # type: ignore[misc]
        """What is done, cut to a third of the terminal."""

        def render(self, task: Any) -> Any:
            text = rich.Text(task.description)
            text.truncate(most, overflow="ellipsis")
            return text

    room = width - min(name, most) - _FIGURES - len(unit) - 1

    class Rate(rich.ProgressColumn):  # type: ignore[misc]
        """How many in a second."""

        def render(self, task: Any) -> Any:
            speed = task.finished_speed or task.speed
            what = f" {unit}" if room >= 0 else ""
            return rich.Text("" if speed is None else f"{speed:,.0f}{what}/s")

    least, longest = _BAR
    bar = [rich.BarColumn(min(room, longest))] if room >= least else []
    return [
        What(column(no_wrap=True)),
        *bar,
        rich.TextColumn("{task.completed:,.0f}"),
        Rate(column(no_wrap=True)),
        rich.TimeRemainingColumn(table_column=column(no_wrap=True)),
    ]
