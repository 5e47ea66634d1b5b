"""`_replicator` databases: what may be written there, and who watches them."""

from __future__ import annotations

import asyncio
import re
from typing import TYPE_CHECKING, Any

from aiocouch.embedded.codec import decode, encode
from aiocouch.embedded.errors import CouchError, forbidden
from aiocouch.embedded.identity import SYSTEM, is_database_admin
from aiocouch.embedded.replicator.specification import read_specification
from aiocouch.embedded.replicator.watching import ReplicatorWatch
from aiocouch.embedded.selectors.selector import normalize

if TYPE_CHECKING:
    from collections.abc import Callable

    from aiocouch.embedded.identity import User
    from aiocouch.embedded.replicator.scheduler import Replicator
    from aiocouch.embedded.state import Server
    from aiocouch.embedded.store.database import Database
    from aiocouch.embedded.store.records import Entry

DATABASE = "_replicator"
_WITH_PASSWORD = re.compile(r"(https?://)[^/?#]*@", re.IGNORECASE)
_OF_THE_OWNER = frozenset({"auth", "headers"})


def is_replicator(name: str) -> bool:
    """Return whether the documents of this database are jobs: `_replicator` or `…/_replicator`."""
    return name == DATABASE or name.endswith(f"/{DATABASE}")


def _visible(database: Database, user: User, doc_id: str, body: dict[str, Any]) -> dict[str, Any]:
    """Return a document without the credentials in it, unless the user is its owner or an admin."""
    if doc_id.startswith("_design/") or is_database_admin(user, database.security):
        return body
    if user.name is not None and body.get("owner") == user.name:
        return body
    ends = {name: _without_credentials(body[name]) for name in ("source", "target") if name in body}
    return body | ends


def _without_credentials(end: Any) -> Any:
    """Return an end without them. CouchDB leaves those in the URL of an object until 3.5.3."""
    if isinstance(end, str):
        return _WITH_PASSWORD.sub(r"\1", end)
    if not isinstance(end, dict):
        return end
    shown = {name: value for name, value in end.items() if name not in _OF_THE_OWNER}
    return shown | {"url": _without_credentials(shown["url"])} if "url" in shown else shown


class ReplicatorDocuments:
    """Watches the databases `_replicator` and `…/_replicator` of a server.

    `install` puts its rules for documents into the server's hooks, `start` begins to watch.
    """

    def __init__(self, server: Server, replicator: Replicator) -> None:
        self._server = server
        self._replicator = replicator
        self._watches: dict[str, ReplicatorWatch] = {}
        self._stop_listening: Callable[[], None] = lambda: None

    def install(self) -> None:
        """Let the server check and complete documents before they are written."""
        self._server.hooks.before_write[DATABASE] = self._before_write
        self._server.hooks.after_read[DATABASE] = _visible

    # before a document is written

    async def _before_write(
        self, database: Database, user: User, doc_id: str, body: dict[str, Any], deleted: bool
    ) -> dict[str, Any]:
        """Refuse what is not a replication, with 403, and note who asks for it."""
        if deleted or user == SYSTEM or doc_id.startswith("_design/"):
            return body
        _check_owner(user, body, database.get(doc_id))
        if not isinstance(body.get("user_ctx", {}), dict):
            raise forbidden(f"{{error,{{case_clause,{encode(body['user_ctx']).decode()}}}}}")
        try:
            read_specification(body, self._server.address, local=False)
            normalize(body.get("selector", {}))
        except CouchError as error:
            raise forbidden(_in_words(error)) from error
        if "owner" in body or user.name is None:
            return body
        return {**body, "owner": user.name}

    # watching

    def start(self) -> None:
        """Start the jobs of the documents that are there, and watch for more."""
        databases = self._server.databases
        self._stop_listening = databases.listen(self._heard)
        for name in filter(is_replicator, databases.names()):
            if databases.is_blank(name):
                continue
            database = databases.open(name)
            if database is not None and database.doc_count:
                self.watch(name).wake()

    def watch(self, name: str) -> ReplicatorWatch:
        """Return who watches a database, whose name must be that of a replicator database."""
        if name not in self._watches:
            self._watches[name] = ReplicatorWatch(self._server, self._replicator, name)
        return self._watches[name]

    def _heard(self, name: str, event: str) -> None:
        if event != "deleted" and is_replicator(name):
            self.watch(name).wake()

    async def close(self) -> None:
        """Watch no longer."""
        self._stop_listening()
        self._stop_listening = lambda: None
        await asyncio.gather(*(watch.close() for watch in self._watches.values()))


def _check_owner(user: User, body: dict[str, Any], entry: Entry | None) -> None:
    """Let everybody but an admin touch own documents only."""
    if user.is_server_admin:
        return
    before = body if entry is None or entry.deleted else decode(entry.body)
    owners = (before.get("owner", user.name), body.get("owner", user.name))
    if owners != (user.name, user.name):
        raise forbidden("Can't update replication documents from other users.")


def _in_words(error: CouchError) -> str:
    if error.error == "bad_request":
        return f'{{throw,{{bad_request,<<"{error.reason}">>}}}}'
    if error.error == "unknown_error":
        return f"{{error,{error.reason}}}"
    if error.error == "invalid_operator":
        operator = (error.reason or "").rpartition(" ")[2]
        return f'{{throw,{{mango_error,mango_selector,{{invalid_operator,<<"{operator}">>}}}}}}'
    return error.reason or error.error
