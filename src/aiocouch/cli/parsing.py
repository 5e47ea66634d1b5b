"""The parser of the command line. A command is loaded when it is named only."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

from aiocouch import __version__
from aiocouch.cli.registry import COMMANDS

if TYPE_CHECKING:
    from collections.abc import Container

__all__ = ["parser_of", "whole_parser"]

_EPILOG = (
    "COMMAND --help tells about a command. Ends with 0 done, 1 failed, 2 wrong arguments, 3 not found, "
    "4 conflict, 5 not allowed, 6 no answer, 7 done in part, 8 something found, 130 broken off."
)


class _Parser(argparse.ArgumentParser):
    """A parser that takes options anywhere: `dump URL --local FILE`.

    Python's own gives up an optional argument for lost when an option comes before it.
    """

    _is_mixing = False

    def parse_known_args(  # pyright: ignore[reportIncompatibleMethodOverride] - there are two
        self, args: Any = None, namespace: Any = None
    ) -> Any:
        """Return what was given, and what is not known."""
        if self._is_mixing or self._subparsers is not None:
            return super().parse_known_args(args, namespace)
        self._is_mixing = True
        try:
            return self.parse_known_intermixed_args(args, namespace)
        finally:
            self._is_mixing = False


def parser_of(named: Container[str]) -> argparse.ArgumentParser:
    """Return a parser that lists all commands, and knows the options of those that are `named`."""
    parser = _Parser(
        prog="aiocouch", description="Apache CouchDB on the command line.", epilog=_EPILOG
    )
    parser.add_argument("--version", action="version", version=f"aiocouch {__version__}")
    commands = parser.add_subparsers(
        title="commands", required=True, metavar="COMMAND", dest="command"
    )
    for command in COMMANDS:
        sub = commands.add_parser(command.name, help=command.summary)
        if command.name in named:
            command.configure(sub)
        sub.set_defaults(parser=sub)
    return parser


def whole_parser() -> argparse.ArgumentParser:
    """Return a parser that knows the options of all commands."""
    return parser_of([command.name for command in COMMANDS])
