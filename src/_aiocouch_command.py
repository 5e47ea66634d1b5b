"""The program `aiocouch`, beside the package, whose import takes time: Ctrl-C may come meanwhile."""

from __future__ import annotations

__all__ = ["main"]

_INTERRUPTED = 130  # as `aiocouch.cli.exits` has it, which is not loaded yet


def main() -> int:
    """Run the command that was typed, and return the status to end with."""
    try:
        from aiocouch.cli import main as run
    except KeyboardInterrupt:
        return _INTERRUPTED
    return run()
