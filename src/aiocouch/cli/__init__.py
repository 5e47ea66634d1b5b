"""The command line: `aiocouch …`, or `python -m aiocouch …`."""

from __future__ import annotations

import argparse
from collections.abc import Sequence  # noqa: TC003 - looked up by get_type_hints

from aiocouch import __version__
from aiocouch.cli import serve

__all__ = ["main"]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command, and return the status to end with. Wrong arguments raise SystemExit(2)."""
    parser = argparse.ArgumentParser(prog="aiocouch", description="Apache CouchDB for asyncio.")
    parser.add_argument("--version", action="version", version=f"aiocouch {__version__}")
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")
    serve.configure(commands.add_parser("serve", help="run an embedded CouchDB"))
    given = parser.parse_args(arguments)
    status: int = given.run(given)
    return status
