"""Profiles: servers and credentials under names, in a file that nobody else may read."""

from __future__ import annotations

import os
import stat
import sys
import tomllib
from pathlib import Path
from typing import Any

from aiocouch.cli.exits import CommandError, Exit

__all__ = ["PROFILE", "profile", "profiles_file"]

PROFILE: dict[str, str] = {
    "url": "the server",
    "user": "who we are",
    "password": "the password",
    "token": "a token instead, sent as Bearer",
    "ca": "a file with authorities to trust, in PEM",
}
"""What a profile may say."""


def profiles_file() -> Path:
    """Return where the profiles of this user are."""
    base = os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config"
    return Path(base) / "aiocouch" / "profiles.toml"


def profile(name: str) -> dict[str, str]:
    """Return what a profile says. Raise `CommandError` for one that is not there, or may not be used."""
    path = profiles_file()
    try:
        found = _read(path).get(name)
    except FileNotFoundError:
        raise _refusal(f"there is no profile {name!r}, for there is no file {path}") from None
    if found is None:
        raise _refusal(f"there is no profile {name!r} in {path}")
    return _checked(found, f"the profile {name!r} in {path}")


def _read(path: Path) -> dict[str, Any]:
    with path.open("rb") as file:
        mode = stat.S_IMODE(os.fstat(file.fileno()).st_mode)
        if mode & 0o077 and sys.platform != "win32":
            raise _refusal(
                f"others may read or write {path}, which can have passwords: its mode is {mode:04o}. "
                f"Mend it with: chmod 600 {path}"
            )
        try:
            return tomllib.load(file)
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            # Errors of the parser have a place, and nothing of the content but one character.
            raise _refusal(f"{path} is not TOML: {error}") from None


def _checked(found: object, where: str) -> dict[str, str]:
    if not isinstance(found, dict):
        raise _refusal(f"{where} is not a table")
    for name, value in found.items():
        if name not in PROFILE:
            raise _refusal(f"{where} has {name!r}; what it may have: {', '.join(PROFILE)}")
        if not isinstance(value, str) or not value:
            raise _refusal(f"{where}: {name!r} must be a text")
    if "url" not in found:
        raise _refusal(f"{where} has no url")
    return found


def _refusal(words: str) -> CommandError:
    return CommandError(words, Exit.USAGE)
