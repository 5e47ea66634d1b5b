"""The `_users` database as the server itself uses it: finds users, watches over writes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from aiocouch._wire.revision import format_revision
from aiocouch.embedded.codec import decode
from aiocouch.embedded.who.users import check_writer, hash_password, user_id, validate, visible

if TYPE_CHECKING:
    from collections.abc import Mapping

    from aiocouch.embedded.hooks import Hooks
    from aiocouch.embedded.identity import User
    from aiocouch.embedded.node.config import Configuration
    from aiocouch.embedded.store.database import Database
    from aiocouch.embedded.store.registry import Databases
    from aiocouch.embedded.who.accounts import Count, Hasher

_MOST_REMEMBERED = 10_000


class UserDocuments:
    """Reads and guards the database that the setting `chttpd_auth/authentication_db` names.

    `count` takes the names of counters of `_stats`.
    """

    def __init__(self, config: Configuration, databases: Databases, count: Count) -> None:
        self._count = count
        self._config = config
        self._databases = databases
        self._found: dict[str, Mapping[str, Any] | None] = {}
        self._found_at: tuple[str, int] | None = None
        self._guarded: set[str] = set()

    @property
    def name(self) -> str:
        """The name of the database."""
        return self._config.text("chttpd_auth", "authentication_db", "_users")

    def find(self, name: str) -> Mapping[str, Any] | None:
        """Return a user's document, None when it is missing.

        `_conflicts` are listed where there are any, `_attachments` is true.
        """
        database = self._databases.open(self.name)
        if database is None:
            return None
        # what was found holds until anything in the database changes
        now = (database.uuid, database.update_seq)
        if now != self._found_at or len(self._found) > _MOST_REMEMBERED:
            self._found, self._found_at = {}, now
        if name not in self._found:
            self._found[name] = _read(database, user_id(name))
            self._count_miss(name)
        elif self._found[name] is None:
            self._count_miss(name)
        else:
            self._count("couchdb.auth_cache_hits")
        return self._found[name]

    def _count_miss(self, name: str) -> None:
        if self._config.get("admins", name) is None:
            self._count("couchdb.auth_cache_misses")

    def install(self, hooks: Hooks, hasher: Hasher) -> None:
        """Put the rules of the database between a request and its write."""

        async def before_write(
            database: Database, user: User, doc_id: str, body: dict[str, Any], deleted: bool
        ) -> dict[str, Any]:
            check_writer(doc_id, user, database.security)
            return body if deleted else await hash_password(body, self._config, hasher)

        def after_read(
            database: Database, user: User, doc_id: str, body: dict[str, Any]
        ) -> dict[str, Any]:
            return visible(doc_id, body, user, database.security, self._config)

        def configured(*_: str) -> None:
            # of what stands in another database everybody sees what its security object lets him
            for name in self._guarded - {"_users"}:
                del hooks.before_write[name]
            self._guarded = {"_users", self.name}
            hooks.before_write.update(dict.fromkeys(self._guarded, before_write))

        configured()
        self._config.listen(configured)
        hooks.after_read["_users"] = after_read
        hooks.rules["_users"] = _rule


def _read(database: Database, doc_id: str) -> Mapping[str, Any] | None:
    entry = database.get(doc_id)
    if entry is None or entry.deleted:
        return None
    document: dict[str, Any] = {"_id": entry.id, "_rev": entry.rev, **decode(entry.body)}
    if entry.attachments is not None:
        document["_attachments"] = True
    if not entry.has_one_leaf and entry.tree.conflicts:
        document["_conflicts"] = [format_revision(leaf.rev) for leaf in entry.tree.conflicts]
    return document


async def _rule(
    database: Database, user: User, new: dict[str, Any], old: dict[str, Any] | None
) -> None:
    if not str(new.get("_id", "")).startswith("_design/"):
        validate(new, old, user, database.security)
