"""The program `aiocouch`, beside the package, whose import takes time: Ctrl-C may come meanwhile."""

from __future__ import annotations

import sys  # and nothing that takes time, for Ctrl-C is not caught yet

__all__ = ["main"]

_INTERRUPTED = 130  # as `aiocouch.cli.exits` has it, which is not loaded yet


def main() -> int:
    """Run the command that was typed, and return the status to end with."""
    sys.unraisablehook = _tell_all_but_interrupts
    try:
        from aiocouch.cli import main as run

        return run()  # which loads the command that is named, and then takes Ctrl-C itself
    except KeyboardInterrupt:
        return _INTERRUPTED


def _tell_all_but_interrupts(unraisable: sys.UnraisableHookArgs) -> None:
    """Say nothing of a second Ctrl-C that comes where nothing can be raised, as when an object goes."""
    if not issubclass(unraisable.exc_type, KeyboardInterrupt):
        sys.__unraisablehook__(unraisable)
