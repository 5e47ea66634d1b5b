"""Commands that do several things: `aiocouch users add …`."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import argparse
    from collections.abc import Awaitable, Callable

    Runs = Callable[[argparse.Namespace], int | Awaitable[int]]

__all__ = ["Actions"]


class Actions:
    """The actions of a command, each a parser of its own."""

    def __init__(self, parser: argparse.ArgumentParser, names: str) -> None:
        self._parsers = parser.add_subparsers(
            title="actions", required=True, metavar="ACTION", dest="action", help=names
        )

    def add(self, name: str, summary: str, run: Runs) -> argparse.ArgumentParser:
        """Return the parser of an action, which does what `run` does."""
        description = f"{summary[0].upper()}{summary[1:]}."
        parser = self._parsers.add_parser(name, help=summary, description=description)
        parser.set_defaults(run=run, parser=parser)
        return parser
