"""What a person is asked, on a terminal only."""

from __future__ import annotations

import getpass
import sys
from typing import TYPE_CHECKING

from aiocouch.cli.exits import CommandError, Exit
from aiocouch.cli.reading import interruptible

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["ask", "new_password", "secret"]


def ask(question: str, answers: Mapping[str, str]) -> str | None:
    """Return the letter of the answer that a person chooses; None if nobody can be asked, or answers."""
    if not sys.stdin.isatty():
        return None
    told = ", ".join(f"[{letter}] {what}" for letter, what in answers.items())
    while True:
        print(f"{question} {told}: ", end="", file=sys.stderr, flush=True)  # noqa: T201 - a question
        with interruptible():
            line = sys.stdin.readline()
        if not line:
            return None
        if (letter := line.strip()[:1].lower()) in answers:
            return letter


def secret(question: str) -> str:
    """Return what a person types and nobody sees. Raise `CommandError` for Ctrl-D."""
    with interruptible():
        try:
            return getpass.getpass(question)
        except EOFError:
            raise CommandError("no password was typed", Exit.USAGE) from None


def new_password(who: str, *, from_stdin: bool) -> str:
    """Return a password that is typed twice on a terminal, or the first line of stdin, if that is wanted."""
    if from_stdin:
        with interruptible():
            typed = sys.stdin.readline().rstrip("\r\n")
    elif not sys.stdin.isatty():
        raise CommandError(
            "there is no terminal to ask for the password: --password-stdin reads it", Exit.USAGE
        )
    else:
        typed = secret(f"new password of {who}: ")
        if typed != secret("once more: "):
            raise CommandError("the two passwords are not the same", Exit.USAGE)
    if not typed:
        raise CommandError("the password is empty", Exit.USAGE)
    return typed
