"""The users of a server: the documents of `_users`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from aiocouch._wire.codec import strings
from aiocouch.database import Database
from aiocouch.document import Document
from aiocouch.exception import InvalidInputError, InvalidTypeError

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Iterable, Mapping

    from aiocouch.couchdb import CouchDB
    from aiocouch.remote import HTTPResponse

__all__ = ["Users"]

_PREFIX = "org.couchdb.user:"


class Users:
    """The users of a server, by name. Admins of the configuration are not among them.

    They live in the database `_users`, which `database` names where the server was told another.
    """

    def __init__(self, couchdb: CouchDB, database: str = "_users") -> None:
        self.database = Database(couchdb, database)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} of {self.database!r}>"

    async def names(self) -> AsyncGenerator[str, None]:
        """Yield the names of all users (`GET /_users/_all_docs`)."""
        ids = self.database.all_docs.ids(startkey=f'"{_PREFIX}"', endkey=f'"{_PREFIX}\ufff0"')
        async for id in ids:
            yield id.removeprefix(_PREFIX)

    async def __getitem__(self, name: str) -> Document:
        """Return the document of a user, as `get`."""
        return await self.get(name)

    async def get(self, name: str) -> Document:
        """Return the document of a user (`GET /_users/org.couchdb.user:{name}`).

        Raise `NotFoundError`, also to those who may not see it.
        """
        return await self.database.get(_id(name))

    async def create(
        self,
        name: str,
        password: str,
        roles: Iterable[str] = (),
        data: Mapping[str, Any] | None = None,
    ) -> Document:
        """Create a user, with `data` beside name and roles (`PUT /_users/org.couchdb.user:{name}`).

        The document that is returned has no password. Raise `ConflictError` when there is one of
        that name, `BadRequestError` for a password that the server's rules refuse.
        """
        own = {"name": name, "roles": _roles(roles), "type": "user"}
        user = Document(self.database, _id(name), {**(data or {}), **own})
        user["password"] = _password(password)
        await user.save()
        await user.fetch(discard_changes=True)
        return user

    async def set_password(self, name: str, password: str) -> HTTPResponse | None:
        """Set another password for a user, which ends the sessions that have begun.

        Return the answer, as `Document.save` does. Raise `NotFoundError`; `ConflictError` when somebody
        changes the user meanwhile.
        """
        wanted = _password(password)
        user = await self.get(name)
        user["password"] = wanted
        return await user.save()

    async def set_roles(self, name: str, roles: Iterable[str]) -> HTTPResponse | None:
        """Set the roles of a user, all of them; None if they are those already. Raise as `set_password`."""
        wanted = _roles(roles)
        user = await self.get(name)
        user["roles"] = wanted
        return await user.save()

    async def delete(self, name: str) -> HTTPResponse:
        """Delete a user, and return the answer. Raise as `set_password`."""
        user = await self.get(name)
        return await user.delete()


def _id(name: str) -> str:
    if not isinstance(name, str):
        raise InvalidTypeError(f"the name of a user must be a str, not {type(name).__name__}")
    if not name:
        raise InvalidInputError("the name of a user must not be empty")
    return _PREFIX + name


def _password(password: str) -> str:
    if not isinstance(password, str):
        raise InvalidTypeError(f"the password must be a str, not {type(password).__name__}")
    return password


def _roles(roles: Iterable[str]) -> list[str]:
    return strings(roles, "the roles")
