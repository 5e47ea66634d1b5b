"""What all handlers of one server share."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from functools import cached_property
from typing import TYPE_CHECKING, Any

from aiocouch._wire.revision import parse_revision
from aiocouch.embedded.documents.edits import Edit
from aiocouch.embedded.errors import CouchError
from aiocouch.embedded.feeds.broadcast import Broadcasts
from aiocouch.embedded.feeds.db_updates import DatabaseUpdates
from aiocouch.embedded.feeds.feed import Waiting
from aiocouch.embedded.hooks import Hooks
from aiocouch.embedded.identity import SYSTEM
from aiocouch.embedded.javascript.pool import Limits
from aiocouch.embedded.javascript.queryserver import QueryServer
from aiocouch.embedded.node.config import Configuration
from aiocouch.embedded.node.disk_monitor import DiskMonitor
from aiocouch.embedded.node.statistics import Statistics
from aiocouch.embedded.node.tasks import ActiveTasks
from aiocouch.embedded.node.uuids import Uuids
from aiocouch.embedded.replicator.documents import ReplicatorDocuments
from aiocouch.embedded.replicator.scheduler import Replicator
from aiocouch.embedded.store.registry import Databases
from aiocouch.embedded.who.auth import Authenticator
from aiocouch.embedded.who.auth_design import AUTH_DESIGN_BODY, AUTH_DESIGN_ID, begun
from aiocouch.embedded.who.peruser import DatabasesPerUser
from aiocouch.embedded.who.user_documents import UserDocuments
from aiocouch.embedded.writing.design_documents import DesignFunctions
from aiocouch.embedded.writing.update import Update

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Mapping
    from pathlib import Path

    from aiocouch._transport.host import Host
    from aiocouch.embedded.identity import User
    from aiocouch.embedded.store.database import Database
    from aiocouch.embedded.views.service import Indexes

__all__ = ["Server"]

_WATCH_AGAIN = 1.0
"""Seconds from the end of a users' database until its successor gets the design document.

CouchDB looks again after five. A program finds a new database empty, as it expects.
"""

_log = logging.getLogger("aiocouch.embedded")


def _nobody(user: User) -> Host:
    raise RuntimeError("the server does not run yet")


class Server:
    """The state of one server, without its sockets.

    `databases` are all databases, `config` the settings, `hooks` what runs around the writes of
    documents, `address` is `host:port` once it listens, `ui` the folder of what `/_utils/` shows.
    """

    def __init__(
        self, folder: Path | None, overrides: Mapping[str, Mapping[str, str]] | None = None
    ) -> None:
        self.folder = folder
        self.config = Configuration(None if folder is None else folder / "local.ini", overrides)
        self.databases = Databases(folder)
        home = ":memory:" if folder is None else str(folder.resolve() / "databases")
        self.config.override("couchdb", database_dir=home, view_index_dir=home)
        try:
            self.uuid = self.config.ensure_secret("couchdb", "uuid")
        except BaseException:
            self.databases.release()
            raise
        self.updates = DatabaseUpdates(self.databases)
        self.uuids = Uuids(self.config)
        self.hooks = Hooks()
        self.disk = DiskMonitor(self.config, folder)
        self.hooks.disk_is_full = self.disk.blocks_writes
        self.waiting = Waiting()
        self.broadcasts = Broadcasts()
        self.address = "localhost"
        self.host_of: Callable[[User], Host] = _nobody
        """How the server asks itself as some user, once it runs."""
        self.ui: Path | None = None
        self._watched: str | None = None
        self._watching_again: asyncio.TimerHandle | None = None
        self._later: set[asyncio.Task[None]] = set()
        self.tasks = ActiveTasks()
        self.statistics = Statistics()
        self.reshard_state: tuple[str, str | None] = ("running", None)
        self.javascript = QueryServer(self._javascript_limits())
        DesignFunctions(self.javascript).install(self.hooks)
        self.users = UserDocuments(self.config, self.databases, self.statistics.add)
        self.auth = Authenticator(
            self.config, self.users.find, self._rewrite_user, count=self.statistics.add
        )
        self.users.install(self.hooks, self.auth.hasher)
        self.replicator = Replicator(self)
        self.replicator_documents = ReplicatorDocuments(self, self.replicator)
        self.replicator_documents.install()
        self.peruser = DatabasesPerUser(self.config, self.databases, self.users)

    def _javascript_limits(self) -> Limits:
        return Limits(seconds=self.config.integer("couchdb", "os_process_timeout", 5000) / 1000)

    @cached_property
    def indexes(self) -> Indexes:
        """All view indexes. What they need is imported with the first query, not at the start."""
        from aiocouch.embedded.mango.mapper import FieldMapper
        from aiocouch.embedded.views.reducers import read_limit
        from aiocouch.embedded.views.service import Indexes

        indexes = Indexes(self.javascript, self.tasks)
        indexes.reduce_limit = lambda: read_limit(self.config)
        indexes.disk_is_full = self.disk.blocks_indexing
        indexes.languages["query"] = FieldMapper
        return indexes

    def update(self, database: Database, user: User, *, replicated: bool = False) -> Update:
        """Begin to write documents into a database; see `Update`."""
        return Update(self.hooks, self.config, database, user, replicated=replicated)

    def create_system_databases(self) -> None:
        """Make `_users` and `_replicator` where they are missing; in memory, when somebody asks."""
        if self.folder is None:
            self.databases.create_blank("_users", begun if self.users.name == "_users" else None)
            self.databases.create_blank("_replicator")
            return
        for name in ("_users", "_replicator"):
            if name not in self.databases:
                self.databases.create(name)

    async def create_system_documents(self) -> None:
        """Write the design document of the users' database where it is missing."""
        if self.databases.is_blank(self.users.name):
            return
        database = self.databases.open(self.users.name)
        if database is None or database.get(AUTH_DESIGN_ID) is not None:
            return
        with contextlib.suppress(CouchError):  # somebody else was faster
            await self.update(database, SYSTEM).write(Edit(AUTH_DESIGN_ID, AUTH_DESIGN_BODY))

    def _heard(self, name: str, event: str) -> None:
        if event == "deleted" and name == self._watched:
            self._watched = None
            self._watch_again()
        elif event == "created" and self._watched is None:
            self._watch_again()

    def _watch_again(self) -> None:
        if self._watching_again is not None:
            self._watching_again.cancel()
        loop = asyncio.get_running_loop()
        self._watching_again = loop.call_later(_WATCH_AGAIN, self._watch_users)

    def _watch_users(self) -> None:
        """See that the users' database of the settings has its design document.

        As in CouchDB it is that one until it is deleted: another name in the settings is enough
        for those who log in, but brings no design document to a database that is in use.
        """
        if self.users.name in self.databases:
            self._watched = self.users.name
            if self.databases.is_blank(self._watched):
                return
            self.later(self.create_system_documents())

    def start_watching(self) -> None:
        """Begin what the server does by itself, once it can be reached."""
        self.databases.listen(self._heard)
        self._watch_users()
        self.replicator_documents.start()
        self.peruser.start()
        self.later(self.auth.accounts.hash_stored_admins())

    def later(self, work: Coroutine[Any, Any, None]) -> None:
        """Do something in the background; `close` waits for it."""
        task = asyncio.get_running_loop().create_task(work)
        self._later.add(task)
        task.add_done_callback(self._done)

    def _done(self, task: asyncio.Task[None]) -> None:
        self._later.discard(task)
        if not task.cancelled() and task.exception() is not None:
            # nobody waits for it
            _log.error("work in the background failed", exc_info=task.exception())

    async def stop_waiting(self) -> None:
        """End replications, and feeds that wait for changes; done before the sockets close."""
        try:
            await self.replicator_documents.close()
            await self.replicator.close()
        finally:
            self.waiting.stop()

    async def close(self) -> None:
        """Stop all that runs in the background and close the databases.

        All of it is tried, whatever fails; the last failure is raised.
        """
        async with contextlib.AsyncExitStack() as stack:
            # the last one is done first
            stack.callback(self.javascript.close)
            stack.push_async_callback(self.databases.close)
            stack.callback(self.updates.close)
            if "indexes" in self.__dict__:
                stack.push_async_callback(self.indexes.close)
            stack.push_async_callback(self.auth.close)
            stack.push_async_callback(self._finish)
            stack.push_async_callback(self.peruser.close)
            await self.stop_waiting()

    def abandon(self) -> None:
        """Close all files of a server whose loop is closed, without waiting for anything."""
        if "indexes" in self.__dict__:
            self.indexes.abandon()
        self.databases.abandon()
        self.javascript.close()

    async def _finish(self) -> None:
        if self._watching_again is not None:
            self._watching_again.cancel()
        await asyncio.gather(*self._later, return_exceptions=True)

    async def _rewrite_user(self, document: dict[str, Any]) -> None:
        database = self.databases.open(self.users.name)
        if database is not None:
            base = parse_revision(document["_rev"])
            body = {name: value for name, value in document.items() if name[:1] != "_"}
            await self.update(database, SYSTEM).write(Edit(document["_id"], body, revs=(base,)))

    async def reload_javascript(self) -> None:
        """Let design functions start afresh."""
        if self.hooks.reload_javascript is not None:
            await self.hooks.reload_javascript()
