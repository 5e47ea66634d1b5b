"""The statuses that commands end with, which scripts can rely on."""

from __future__ import annotations

import sys
from enum import IntEnum

from aiocouch import (
    BadRequestError,
    ConflictError,
    CouchDBError,
    ForbiddenError,
    InvalidInputError,
    InvalidTypeError,
    NotFoundError,
    PreconditionFailedError,
    TransportError,
    UnauthorizedError,
)

__all__ = ["CommandError", "Exit", "Tally", "embedded_errors", "exit_of"]


class Exit(IntEnum):
    """What a command ends with."""

    DONE = 0
    """All was done."""
    FAILED = 1
    """It failed, for none of the reasons below."""
    USAGE = 2
    """The arguments are wrong, or a profile is. Nothing was sent."""
    NOT_FOUND = 3
    """There is no such database, document or file."""
    CONFLICT = 4
    """Somebody else was faster, or it exists already."""
    REFUSED = 5
    """The server does not allow it: wrong credentials, or none, or not those of an admin."""
    NO_ANSWER = 6
    """No answer came, or not the whole of it."""
    PARTLY = 7
    """A part was done, and what was not was told."""
    FOUND = 8
    """It has looked, and found something: what differs, or what is wrong."""
    INTERRUPTED = 130
    """It was broken off by Ctrl-C."""
    PIPE_CLOSED = 141
    """Who read its output went away, such as `head`."""


class CommandError(Exception):
    """A command cannot go on. The message is for the person who gave it, and has no credentials."""

    def __init__(self, message: str, status: Exit = Exit.FAILED) -> None:
        super().__init__(message)
        self.status = status


_STATUSES: tuple[tuple[tuple[type[BaseException], ...], Exit], ...] = (
    ((NotFoundError, FileNotFoundError), Exit.NOT_FOUND),
    ((ConflictError, PreconditionFailedError, FileExistsError), Exit.CONFLICT),
    ((UnauthorizedError, ForbiddenError), Exit.REFUSED),
    ((InvalidInputError, InvalidTypeError), Exit.USAGE),
    ((TransportError,), Exit.NO_ANSWER),
    ((BadRequestError, CouchDBError, OSError), Exit.FAILED),
)


def exit_of(error: BaseException) -> Exit:
    """Return what a command ends with that has raised an error."""
    if isinstance(error, CommandError):
        return error.status
    if isinstance(error, embedded_errors()[:1]):
        return Exit.CONFLICT
    return next((status for kinds, status in _STATUSES if isinstance(error, kinds)), Exit.FAILED)


def embedded_errors() -> tuple[type[Exception], ...]:
    """Return what a server in this process raises for a folder that is in use, or else unfit.

    Nothing where there is no such server, for its modules are loaded by who needs them.
    """
    found = sys.modules.get("aiocouch.embedded")
    return () if found is None else (found.FolderInUseError, found.StorageError)


class Tally:
    """How many of several things were done, and how others ended."""

    def __init__(self) -> None:
        self.done = 0
        self.failed: set[Exit] = set()

    @property
    def status(self) -> Exit:
        """What the command ends with: why all failed that did, or that it was done in part."""
        if not self.failed:
            return Exit.DONE
        if self.done:
            return Exit.PARTLY
        status, *others = self.failed
        return Exit.FAILED if others else status
