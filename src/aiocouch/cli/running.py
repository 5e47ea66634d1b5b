"""Run a command, and make a status of whatever ends it. No traceback for what a user can cause."""

from __future__ import annotations

import asyncio
import contextlib
import inspect
import logging
import os
import sys
from typing import TYPE_CHECKING

from aiocouch import CouchDBError
from aiocouch.cli.exits import CommandError, Exit, embedded_errors, exit_of
from aiocouch.cli.told import words_of

if TYPE_CHECKING:
    import argparse

__all__ = ["run", "take_nothing_for_closed"]

_LOG = "aiocouch on the command line"
_STANDARD = (("stdin", os.O_RDONLY), ("stdout", os.O_WRONLY), ("stderr", os.O_WRONLY))


def take_nothing_for_closed() -> None:
    """Put what is empty in the place of a stdin, stdout or stderr that is closed, as `>&-` does.

    Python has None there. The number would be that of the next file or socket, and what is printed would
    go astray.
    """
    for name, mode in _STANDARD:
        if getattr(sys, name) is None:
            file = os.fdopen(os.open(os.devnull, mode), "r" if mode == os.O_RDONLY else "w")
            setattr(sys, name, file)


def run(given: argparse.Namespace) -> int:
    """Run the command that was parsed, and return the status to end with."""
    try:
        status = _run(given)
        sys.stdout.flush()  # so that a pipe which was closed is noticed here
    except KeyboardInterrupt:
        _tell_broken_off(given)
        return Exit.INTERRUPTED
    except (CommandError, CouchDBError) as error:
        return _fail(given, error)
    except BrokenPipeError:
        _forget_output()
        return Exit.PIPE_CLOSED
    except OSError as error:
        return _fail(given, error)
    except embedded_errors() as error:
        return _fail(given, error)
    except UnicodeError as error:  # of a pipe, or of a name of a file
        return _fail(given, error)
    return status


def _run(given: argparse.Namespace) -> int:
    _configure_log(verbose=getattr(given, "verbose", False))
    if inspect.iscoroutinefunction(given.run):
        return int(asyncio.run(given.run(given)))
    return int(given.run(given))


def _configure_log(*, verbose: bool) -> None:
    """Have the log of requests on stderr, or else nowhere: what fails is told as an error.

    That of asyncio, too, which has what is left open after a second Ctrl-C.
    """
    handler = logging.StreamHandler() if verbose else logging.NullHandler()
    handler.name = _LOG
    for name in ("aiocouch", "asyncio"):
        log = logging.getLogger(name)
        for old in [handler for handler in log.handlers if handler.name == _LOG]:
            log.removeHandler(old)
        log.addHandler(handler)
    logging.getLogger("aiocouch").setLevel(logging.DEBUG if verbose else logging.NOTSET)


def _tell_broken_off(given: argparse.Namespace) -> None:
    """Tell what can be done after Ctrl-C, where a command has noted that it `goes_on`."""
    if getattr(given, "goes_on", False) and not given.quiet:
        with contextlib.suppress(OSError):
            print("broken off: the same command goes on", file=sys.stderr)  # noqa: T201 - for the person


def _fail(given: argparse.Namespace, error: Exception) -> int:
    with contextlib.suppress(OSError):
        print(f"aiocouch {given.command}: {words_of(error, given)}", file=sys.stderr)  # noqa: T201 - for the person
    return exit_of(error)


def _forget_output() -> None:
    """Let Python flush what is left into nothing when it ends, where it would complain."""
    with contextlib.suppress(OSError, ValueError):
        nothing = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nothing, sys.stdout.fileno())
        os.close(nothing)
