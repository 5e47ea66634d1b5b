"""What goes wrong with files, in words: a full disk, a damaged file, one that may not be written."""

from __future__ import annotations

import errno
import os
import sqlite3
from typing import TYPE_CHECKING

from aiocouch.embedded.errors import CouchError

if TYPE_CHECKING:
    from pathlib import Path

_FULL = "insufficient_storage"
_BROKEN = "storage_error"
DAMAGED = "damaged_database"
"""The `error` where a file holds something else than it should."""

_BYTE = 0xFF
_NOT_WRITABLE = frozenset({sqlite3.SQLITE_READONLY, sqlite3.SQLITE_PERM})
_DAMAGED = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB})
_FILES = frozenset({sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_BUSY})


_NOT_FOR_FOLDERS = frozenset({errno.EINVAL, errno.ENOTSUP, errno.EBADF})
_NO_SPACE = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})


class StorageError(CouchError):
    """The files of a database cannot be read or written; requests for it get a 5xx.

    A write that raises it is not acknowledged, and later ones are tried anew.
    """

    def __init__(self, reason: str, error: str = _BROKEN, status: int = 500) -> None:
        super().__init__(status, error, reason)

    def __str__(self) -> str:
        return str(self.reason)


class FormatError(StorageError):
    """A database file that this version of the server cannot read."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason, "incompatible_format")


def explained(error: Exception, name: str | None = None) -> Exception:
    """Return a StorageError for what SQLite says of its files, and any other error as it is.

    A full disk is a 507, `insufficient_storage`; all else a 500. `name` is that of the database.
    """
    if isinstance(error, OSError) and error.errno in _NO_SPACE:
        return _full()
    if not isinstance(error, sqlite3.Error):
        return error
    code = getattr(error, "sqlite_errorcode", 0) & _BYTE
    which = "The database" if name is None else f"The database {name!r}"
    if code == sqlite3.SQLITE_FULL:
        return _full()
    if code in _NOT_WRITABLE:
        return StorageError(f"{which} may not be written ({error}).")
    if code in _DAMAGED:
        return StorageError(f"{which} is damaged ({error}).", DAMAGED)
    if code in _FILES:
        return StorageError(f"{which} could not be read or written ({error}).")
    return error


def _full() -> StorageError:
    return StorageError("There is no space left: nothing was written.", _FULL, 507)


def sync_folder(folder: Path) -> None:
    """Put on disk which files a folder has, so that a loss of power cannot undo it.

    Does nothing on a file system that cannot do so.
    """
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    except OSError as error:
        if error.errno not in _NOT_FOR_FOLDERS:
            raise
    finally:
        os.close(handle)
