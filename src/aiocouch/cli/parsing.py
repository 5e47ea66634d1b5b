"""The parser of the command line. A command is loaded when it is named only."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from aiocouch import __version__
from aiocouch.cli.registry import COMMANDS

if TYPE_CHECKING:
    from collections.abc import Container

__all__ = ["parser_of", "whole_parser"]

_EPILOG = (
    "COMMAND --help tells about a command. Ends with 0 done, 1 failed, 2 wrong arguments, 3 not found, "
    "4 conflict, 5 not allowed, 6 no answer, 7 done in part, 8 something found, 130 broken off."
)


def parser_of(named: Container[str]) -> argparse.ArgumentParser:
    """Return a parser that lists all commands, and knows the options of those that are `named`."""
    parser = argparse.ArgumentParser(
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
    return parser


def whole_parser() -> argparse.ArgumentParser:
    """Return a parser that knows the options of all commands."""
    return parser_of([command.name for command in COMMANDS])
