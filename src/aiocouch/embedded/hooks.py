"""The places where other parts of the server look into the writing of documents."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from aiocouch.embedded.identity import User
    from aiocouch.embedded.store.database import Database

    #: Takes the body of a document that is about to be written and gives the body to write.
    #: (database, user, id, body without underscore members, deleted)
    BeforeWrite = Callable[[Database, User, str, dict[str, Any], bool], Awaitable[dict[str, Any]]]

    #: Raises CouchError(403, "forbidden", …) or 401 to refuse a document.
    #: (database, user, whole new document, whole old document or None)
    Validate = Callable[[Database, User, dict[str, Any], dict[str, Any] | None], Awaitable[None]]

    #: Gives what a user may see of a document, or raises CouchError (403, 404).
    AfterRead = Callable[[Database, User, str, dict[str, Any]], dict[str, Any]]

    #: Raises CouchError(400, "invalid_design_doc" or "compilation_error", …) for a bad design
    #: document. (database, whole document)
    CheckDesign = Callable[[Database, dict[str, Any]], Awaitable[None]]

_Hook = TypeVar("_Hook")


class Hooks:
    """Functions that the parts of a server register at start.

    `before_write` and `after_read` have one per database name (`_users`, `_replicator`), which
    is for databases whose name ends so, too (`a/_replicator`); `of` finds it.
    `needs_validation` tells whether a database has validate functions at all, which costs nothing
    to ask. `rules` are validate functions of our own, by database name. Writers ask `must_check`
    and call `check`. `disk_is_full` tells whether what clients write has to be refused.
    """

    def __init__(self) -> None:
        self.before_write: dict[str, BeforeWrite] = {}
        self.after_read: dict[str, AfterRead] = {}
        self.validate: Validate | None = None
        self.rules: dict[str, Validate] = {}
        self.reload_javascript: Callable[[], Awaitable[None]] | None = None
        self.compile_design: CheckDesign | None = None
        self.needs_validation: Callable[[Database], bool] = lambda _: False
        self.disk_is_full: Callable[[], bool] = lambda: False

    @staticmethod
    def of(hooks: Mapping[str, _Hook], name: str) -> _Hook | None:
        """Return the function for a database: that of its name, or of what ends its name."""
        found = hooks.get(name)
        return hooks.get(name.rpartition("/")[2]) if found is None else found

    def must_check(self, database: Database) -> bool:
        """Return whether documents that are written to this database have to be checked."""
        return database.name in self.rules or self.needs_validation(database)

    async def check(
        self, database: Database, user: User, new: dict[str, Any], old: dict[str, Any] | None
    ) -> None:
        """Run the rules and validate functions of a database; the first that refuses raises."""
        rule = self.rules.get(database.name)
        if rule is not None:
            await rule(database, user, new, old)
        if self.validate is not None and self.needs_validation(database):
            await self.validate(database, user, new, old)

    async def check_design(self, database: Database, document: dict[str, Any]) -> None:
        """Raise CouchError for a design document that CouchDB refuses to store."""
        if self.compile_design is not None:
            await self.compile_design(database, document)
