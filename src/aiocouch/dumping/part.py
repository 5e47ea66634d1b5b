"""The file of a dump while it is written: `NAME.part`, and how one that was left half is taken up."""

from __future__ import annotations

import contextlib
import os
import sys
from typing import IO, TYPE_CHECKING, Any, NamedTuple

from aiocouch.dumping.errors import DumpError, ForeignDumpError
from aiocouch.dumping.reader import last_point

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from aiocouch.dumping.sink import Hash

_SAME = ("format", "version", "database", "uuid", "created", "options")


class Begun(NamedTuple):
    """What was written before: where it holds up to, and the sum so far; nothing for a new file."""

    mark: dict[str, Any] | None = None
    sum: Hash | None = None


@contextlib.contextmanager
def opened(path: Path) -> Iterator[IO[bytes]]:
    """Open a file to be read and written, which is made if it is not there, and keep others away from it."""
    with os.fdopen(os.open(path, os.O_RDWR | os.O_CREAT, 0o600), "r+b") as file:
        _lock(file, path)
        yield file


def _lock(file: IO[bytes], path: Path) -> None:
    if sys.platform == "win32":
        return
    import fcntl  # not there on Windows

    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise DumpError(f"another dump is writing {path}") from None


def take_up(path: Path, file: IO[bytes], header: dict[str, Any]) -> Begun:
    """Cut a file after its last mark, and return what that says. What has none yet is begun anew.

    Raise `ForeignDumpError` where it is of another database, or something else.
    """
    if not path.stat().st_size:
        return Begun()
    old, point = last_point(path)
    if not old:
        raise ForeignDumpError(
            f"{path} is not a dump that was begun; remove it, or choose another name"
        )
    for name in _SAME:
        if old.get(name) != header.get(name):
            raise ForeignDumpError(
                f"{path} was begun with another {name}: {old.get(name)!r}, not {header.get(name)!r}. "
                "Remove it, or choose another name"
            )
    file.seek(0 if point is None else point.offset)
    file.truncate()
    return Begun() if point is None else Begun(point.mark, point.sum)


def finish(part: Path, path: Path) -> None:
    """Rename a file that is whole. Raise `FileExistsError` if there is one of that name meanwhile."""
    try:
        os.link(part, path)  # which never takes the place of another file
    except FileExistsError:
        raise
    except OSError:  # the file system has no links
        if path.exists():
            raise FileExistsError(17, "there is a file of that name already", str(path)) from None
        part.rename(path)
    else:
        part.unlink()
    if sys.platform == "win32":
        return
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
