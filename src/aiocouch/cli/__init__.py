"""The command line: `aiocouch …`, or `python -m aiocouch …`."""

from __future__ import annotations

import sys
from collections.abc import Sequence  # noqa: TC003 - looked up by get_type_hints

from aiocouch.cli.parsing import parser_of
from aiocouch.cli.running import run, take_nothing_for_closed

__all__ = ["main"]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command, and return the status to end with. Wrong arguments raise SystemExit(2)."""
    take_nothing_for_closed()
    words = sys.argv[1:] if arguments is None else list(arguments)
    given, others = parser_of(words).parse_known_args(words)
    if others:
        given.parser.error(f"unrecognized arguments: {' '.join(others)}")
    return run(given)
