"""`aiocouch completion SHELL`: what makes a shell complete commands and options."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aiocouch.cli.exits import CommandError
from aiocouch.cli.output import Output
from aiocouch.cli.parsing import whole_parser

if TYPE_CHECKING:
    import argparse

__all__ = ["configure"]

_SHELLS = ("bash", "zsh", "fish", "tcsh")


def configure(parser: argparse.ArgumentParser) -> None:
    """Say what the command does, and which options it takes."""
    parser.epilog = 'For bash, for this shell: eval "$(aiocouch completion bash)"'
    parser.add_argument("shell", choices=_SHELLS, help="the shell that is to complete")
    parser.set_defaults(run=_run)


def _run(given: argparse.Namespace) -> int:
    try:
        import shtab
    except ImportError:
        raise CommandError(
            "completion needs shtab. Install it with: pip install 'aiocouch[cli]'"
        ) from None
    Output(given).write(shtab.complete(whole_parser(), shell=given.shell))
    return 0
