"""The databases of a server by name."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import fcntl
import logging
import os
import re
import resource
import secrets
import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Literal
from weakref import WeakSet

from aiocouch.embedded.errors import CouchError, precondition_failed
from aiocouch.embedded.store import schema
from aiocouch.embedded.store.database import Database
from aiocouch.embedded.store.faults import StorageError, sync_folder
from aiocouch.embedded.store.writer import Traffic

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable
    from typing import IO

    Listener = Callable[[str, "EventKind"], None]
    Fill = Callable[[Database, sqlite3.Connection], object]

EventKind = Literal["created", "updated", "deleted"]

_log = logging.getLogger("aiocouch.embedded")

_NAME = re.compile(r"[a-z][a-z0-9_$()+/-]*")
_OWN_NAMES = frozenset({"_users", "_replicator", "_global_changes"})
_GRAVE = re.compile(r"\.[0-9a-f]{16}")
_LONGEST = 238
_FILES_EACH = 10
"""Files that a database in use holds open, with some indexes and clients of its own."""


def most_awake() -> int:
    """Say how many databases may hold files open, in view of what the system allows."""
    files, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return 1000 if files < 0 else min(max(files // _FILES_EACH, 10), 1000)


_TAKEN = frozenset({errno.EAGAIN, errno.EACCES})


class FolderInUseError(Exception):
    """Another process has the data folder open."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)


def check_database_name(name: str) -> None:
    """Raise the 400 that CouchDB answers for a name that no database can have."""
    if name in _OWN_NAMES:
        return
    if len(name) > _LONGEST:
        raise CouchError(
            400, "database_name_too_long", f"At least one path segment of `{name}` is too long."
        )
    if not _NAME.fullmatch(name):
        # bytes of a URL that are not text
        shown = name.encode(errors="surrogateescape").decode(errors="replace")
        raise CouchError(
            400,
            "illegal_database_name",
            f"Name: '{shown}'. Only lowercase characters (a-z), digits (0-9), and any of the "
            "characters _, $, (, ), +, -, and / are allowed. Must begin with a letter.",
        )


class Databases:
    """All databases of a server; `folder` None keeps them in memory.

    Raises FolderInUseError when another process has the folder open, OSError when the folder
    cannot be used, StorageError when it is on a file system without locks.
    """

    def __init__(self, folder: Path | None) -> None:
        self.folder = folder
        self.most_awake = most_awake()
        """Databases that hold files open; more where more are in use."""
        self.traffic = Traffic()
        """How many requests are being answered now."""
        self._open: dict[str, Database] = {}
        self._blank: dict[str, Fill | None] = {}
        self._listeners: list[Listener] = []
        self._executor = ThreadPoolExecutor(4, "aiocouch-commit") if folder else None
        self._lock: IO[bytes] | None = None
        self._known: set[str] = set()
        self._ending: set[asyncio.Future[None]] = set()
        if folder is not None:
            self._lock = _take_lock(folder)
            try:
                self._known = _find_databases(_home(folder))
            except BaseException:
                self._lock.close()
                raise

    def names(self) -> list[str]:
        """Return the names of all databases, sorted."""
        return sorted(self._known)

    def __contains__(self, name: str) -> bool:
        return name in self._known

    def open(self, name: str) -> Database | None:
        """Return a database, or None when there is none of that name."""
        database = self._open.pop(name, None)
        if database is None:
            return self._first(name) if name in self._known else None
        # at the end: the one that was used last
        self._open[name] = database
        if database.is_resting:
            self._let_rest()
        return database

    def _first(self, name: str) -> Database:
        if name not in self._blank:
            return self._attach(name, None)
        fill = self._blank.pop(name)
        return self._attach(name, schema.Origin(secrets.token_hex(16), partitioned=False), fill)

    def create_blank(self, name: str, fill: Fill | None = None) -> None:
        """Have a database in memory, which is made when it is first opened: many never are.

        `fill` then runs in its first transaction, which the world is told of now.
        """
        self._known.add(name)
        self._blank[name] = fill
        self._tell(name, "created")
        if fill is not None:
            self._tell(name, "updated")

    def is_blank(self, name: str) -> bool:
        """Return whether a database has not been opened yet."""
        return name in self._blank

    def create(
        self, name: str, *, partitioned: bool = False, q: int = schema.DEFAULT_Q
    ) -> Database:
        """Make a database. A bad name is a 400, one that exists a 412."""
        check_database_name(name)
        if name in self._known:
            raise precondition_failed(
                "file_exists", "The database could not be created, the file already exists."
            )
        database = self._attach(name, schema.Origin(secrets.token_hex(16), partitioned, q))
        self._known.add(name)
        self._tell(name, "created")
        return database

    async def delete(self, name: str) -> bool:
        """Remove a database and its files; False when there is none of that name."""
        database = self.open(name)
        if database is None:
            return False
        # gone at once and for good: the name is free, whatever becomes of us or of the client
        grave = None if database.folder is None else _bury(database.folder)
        self._known.discard(name)
        del self._open[name]
        # before anybody runs: it must not open the files of the next one of this name
        database.mark_closed()
        self._tell(name, "deleted")
        ending = asyncio.ensure_future(_end(database, grave))
        self._ending.add(ending)
        ending.add_done_callback(self._ending.discard)
        await asyncio.shield(ending)
        return True

    def listen(self, listener: Listener) -> Callable[[], None]:
        """Call `listener(name, event)` after every event of any database (`_db_updates`).

        Return the function that ends it.
        """
        self._listeners.append(listener)
        return lambda: self._listeners.remove(listener)

    async def close(self) -> None:
        """Close all databases; what was acknowledged is on disk already."""
        await asyncio.gather(*self._ending, return_exceptions=True)
        for database in list(self._open.values()):
            await _close(database)
        self._open.clear()
        self.release()

    def abandon(self) -> None:
        """Close all databases of a loop that is closed, where nothing can be waited for any more."""
        if self._executor is not None:
            self._executor.shutdown()  # what is being committed is to be on disk
        for database in self._open.values():
            database.abandon()
        self._open.clear()
        self.release()

    def release(self) -> None:
        """Let another process have the folder; enough where no database was opened."""
        if self._executor is not None:
            self._executor.shutdown()
        if self._lock is not None:
            self._lock.close()
            self._lock = None

    def _attach(
        self, name: str, origin: schema.Origin | None, fill: Fill | None = None
    ) -> Database:
        folder = None
        if self.folder is not None:
            folder = self.folder / "databases" / name.replace("/", ".")
            folder.mkdir(exist_ok=origin is None)
            self._let_rest()
        try:
            if folder is not None and origin is not None:
                sync_folder(folder.parent)
            database = Database(name, folder, self._executor, origin, self.traffic)
        except BaseException:
            if folder is not None and origin is not None:
                shutil.rmtree(folder, ignore_errors=True)  # or the name would not be free again
            raise
        if fill is not None:
            database.begin_with(fill)
        database.subscribe(self._updated)
        self._open[name] = database
        return database

    def _let_rest(self) -> None:
        """Make room for one more: close the files of what was not used for the longest time."""
        awake = [database for database in self._open.values() if not database.is_resting]
        for database in awake[: max(len(awake) - self.most_awake + 1, 0)]:
            database.rest()

    def _updated(self, database: Database) -> None:
        if not database.closed:
            self._tell(database.name, "updated")

    def _tell(self, name: str, event: EventKind) -> None:
        for listener in list(self._listeners):
            listener(name, event)


async def _close(database: Database) -> None:
    """Close a database; what goes wrong with one is not a reason to leave the others open."""
    try:
        await database.close()
    except Exception:  # noqa: BLE001 - the others come first
        _log.exception("%r could not be closed", database)


_locks: WeakSet[IO[bytes]] = WeakSet()


def _leave_locks() -> None:
    """Let go of the folders of the parent: a lock holds as long as any process has its file."""
    for lock in list(_locks):
        lock.close()


os.register_at_fork(after_in_child=_leave_locks)


def _take_lock(folder: Path) -> IO[bytes]:
    with contextlib.suppress(FileExistsError):  # a file: opening the lock tells it better
        folder.mkdir(parents=True, exist_ok=True)
    lock = (folder / "lock").open("ab")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        lock.close()
        raise _no_lock(folder, error) from None
    _locks.add(lock)
    return lock


def _no_lock(folder: Path, error: OSError) -> Exception:
    if error.errno in _TAKEN:
        return FolderInUseError(
            f"The folder {folder} is in use: another process serves the databases in it."
        )
    return StorageError(f"The folder {folder} cannot be locked ({error.strerror}).")


def _home(folder: Path) -> Path:
    """Return the folder of the databases; make it where it is missing."""
    home = folder / "databases"
    if not home.exists():
        home.mkdir()
        sync_folder(folder)
    return home


def _find_databases(folder: Path) -> set[str]:
    """Look at what is there; what is left of databases that were never made, or deleted, goes."""
    found = set()
    for child in filter(Path.is_dir, folder.iterdir()):
        if not child.name.startswith(".") and schema.is_complete(child / "database.sqlite"):
            found.add(child.name.replace(".", "/"))
        elif _is_ours(child):
            shutil.rmtree(child, ignore_errors=True)
    return found


def _is_ours(folder: Path) -> bool:
    """Return whether it is a grave, or the beginning of a database; what others put there stays."""
    if _GRAVE.fullmatch(folder.name):
        return True
    return all(child.name.startswith("database.sqlite") for child in folder.iterdir())


def _bury(folder: Path) -> Path:
    grave = folder.rename(folder.with_name(f".{secrets.token_hex(8)}"))
    with contextlib.suppress(OSError):
        sync_folder(grave.parent)
    return grave


async def _end(database: Database, grave: Path | None) -> None:
    """Close a database that is deleted, and remove its files."""
    await _close(database)
    if grave is not None:
        await asyncio.to_thread(shutil.rmtree, grave, ignore_errors=True)
