"""Who asks, and what a database's security object lets them do. Pure: no store, no HTTP."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, TypeAlias

import msgspec

if TYPE_CHECKING:
    from collections.abc import Mapping

_COMMA = re.compile(r"\s*,\s*")

SERVER_ADMIN_ROLE = "_admin"
METRICS_ROLE = "_metrics"

#: The part of a security object that matters, as it came from JSON.
SecurityObject: TypeAlias = "Mapping[str, object]"

#: A name, None without one. A token may bring any other JSON: numbers are not rare.
UserName: TypeAlias = str | int | float | list[Any] | dict[str, Any] | None

ADMINS_ONLY: dict[str, object] = {
    "members": {"roles": [SERVER_ADMIN_ROLE]},
    "admins": {"roles": [SERVER_ADMIN_ROLE]},
}
"""The security object of a new database."""


class User(msgspec.Struct, frozen=True):
    """A user context.

    `name` is None for an anonymous request. `handler` tells how the request proved who it is:
    `"cookie"`, `"default"` (Basic), `"proxy"`, `"jwt"`, or None for anonymous and internal ones.
    """

    name: UserName = None
    roles: tuple[str, ...] = ()
    handler: str | None = None

    @property
    def is_server_admin(self) -> bool:
        """Whether the user may do everything."""
        return SERVER_ADMIN_ROLE in self.roles

    @property
    def is_anonymous(self) -> bool:
        """Whether the request came without a name."""
        return self.name is None

    def context(self, database: str) -> dict[str, object]:
        """Return the user context that design functions see: `{"db", "name", "roles"}`."""
        return {"db": database, "name": self.name, "roles": list(self.roles)}


ANONYMOUS = User()
"""A request without credentials."""

SYSTEM = User(None, (SERVER_ADMIN_ROLE,))
"""The server itself, when it writes documents of its own."""


def is_database_admin(user: User, security: SecurityObject) -> bool:
    """Return whether the user is a server admin or named among the admins of a database."""
    return user.is_server_admin or _listed(user, security.get("admins"))


def is_database_member(user: User, security: SecurityObject) -> bool:
    """Return whether the user may read and write the documents of a database.

    A database without members is open to everybody. `readers`, the old name of `members`, still
    counts when there are no `members`.
    """
    if is_database_admin(user, security):
        return True
    members = security.get("members", security.get("readers"))
    return not _names_anybody(members) or _listed(user, members)


def is_valid_security(value: object) -> bool:
    """Return whether CouchDB would store `value` as a security object."""
    if not isinstance(value, dict):
        return False
    groups = (value.get("admins", {}), value.get("members", value.get("readers", {})))
    return all(_is_valid_group(group) for group in groups)


def split_roles(text: str) -> tuple[str, ...]:
    """Split roles at commas, as they come in a header or a token; the last ones are not empty."""
    found = _COMMA.split(text)
    while len(found) > 1 and not found[-1]:
        found.pop()
    return tuple(found)


def _strings(group: object, key: str) -> list[object]:
    if not isinstance(group, dict):
        return []
    found = group.get(key)
    return found if isinstance(found, list) else []


def _names_anybody(group: object) -> bool:
    return bool(_strings(group, "names") or _strings(group, "roles"))


def _listed(user: User, group: object) -> bool:
    if any(role in user.roles for role in _strings(group, "roles")):
        return True
    return user.name is not None and user.name in _strings(group, "names")


def _is_valid_group(group: object) -> bool:
    if not isinstance(group, dict):
        return False
    return all(_is_list_of_strings(group.get(key, [])) for key in ("names", "roles"))


def _is_list_of_strings(value: object) -> bool:
    return isinstance(value, list) and all(isinstance(item, str) for item in value)
