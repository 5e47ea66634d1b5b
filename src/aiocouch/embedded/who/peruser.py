"""A database for every user: section `couch_peruser`."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Any

from aiocouch.embedded.who.users import user_name

if TYPE_CHECKING:
    from aiocouch.embedded.node.config import Configuration
    from aiocouch.embedded.store.database import Database
    from aiocouch.embedded.store.records import Entry
    from aiocouch.embedded.store.registry import Databases
    from aiocouch.embedded.who.user_documents import UserDocuments

_SECTION = "couch_peruser"


class DatabasesPerUser:
    """Makes `userdb-{hex of the name}` for each document of `_users`, while `enable` is true.

    The user becomes admin and member of it. With `delete_dbs` it goes when the user goes.
    """

    def __init__(self, config: Configuration, databases: Databases, users: UserDocuments) -> None:
        self._config = config
        self._databases = databases
        self._users = users
        self._done: tuple[str, int] = ("", 0)
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin to watch the users; the setting may come later."""
        self._databases.listen(self._heard)
        self._config.listen(self._configured)
        self._wake()

    async def close(self) -> None:
        """Stop watching."""
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task

    def _heard(self, name: str, event: str) -> None:
        if name == self._users.name and event == "updated":
            self._wake()

    def _configured(self, section: str, key: str) -> None:
        del key
        if section == _SECTION:
            self._wake()

    def _is_enabled(self) -> bool:
        return self._config.flag(_SECTION, "enable", default=False)

    def _wake(self) -> None:
        if self._is_enabled() and (self._task is None or self._task.done()):
            self._task = asyncio.get_running_loop().create_task(self._follow())

    async def _follow(self) -> None:
        while self._is_enabled():
            database = self._databases.open(self._users.name)
            entries = [] if database is None else self._unseen(database)
            if database is None or not entries:
                return
            for entry in entries:
                await self._apply(entry)
                self._done = (database.uuid, entry.seq)

    def _unseen(self, database: Database) -> list[Entry]:
        uuid, seq = self._done
        return database.changes(seq if uuid == database.uuid else 0, database.update_seq)

    async def _apply(self, entry: Entry) -> None:
        name = user_name(entry.id)
        if name is None:
            return
        prefix = self._config.text(_SECTION, "database_prefix", "userdb-")
        own = prefix + name.encode().hex()
        if not entry.deleted:
            await self._provide(own, name)
        elif self._config.flag(_SECTION, "delete_dbs", default=False):
            await self._databases.delete(own)

    async def _provide(self, own: str, name: str) -> None:
        database = self._databases.open(own) or self._databases.create(own)
        security = database.security
        for group in ("admins", "members"):
            security = _with_name(security, group, name)
        if security != database.security:
            await database.set_security(security)


def _with_name(security: dict[str, Any], group: str, name: str) -> dict[str, Any]:
    members = security.get(group) or {}
    names = members.get("names") or []
    if name in names:
        return security
    return {**security, group: {**members, "names": [*names, name]}}
