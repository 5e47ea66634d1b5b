"""The documents of `_users`: hashing of passwords, what is valid, and who sees what."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from aiocouch.embedded.errors import bad_request, forbidden, not_found
from aiocouch.embedded.identity import User, is_database_admin
from aiocouch.embedded.who.passwords import (
    CannotHashError,
    HashSettings,
    PasswordRefusedError,
    hash_document,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from aiocouch.embedded.identity import SecurityObject
    from aiocouch.embedded.node.config import Configuration
    from aiocouch.embedded.who.accounts import Hasher

PREFIX = "org.couchdb.user:"

_SCHEMES = ("simple", "pbkdf2", "simple+pbkdf2")
_COMMA = re.compile(r"\s*,\s*")


def user_id(name: str) -> str:
    """Return the id of a user's document."""
    return PREFIX + name


def user_name(document_id: str) -> str | None:
    """Return the name in the id of a user's document; None for other documents."""
    return document_id[len(PREFIX) :] if document_id.startswith(PREFIX) else None


def check_writer(document_id: str, user: User, security: SecurityObject) -> None:
    """Raise 404 unless the user is an admin, anonymous, or the one whom the document is about."""
    own = user.is_anonymous or user.name == user_name(document_id)
    if not own and not is_database_admin(user, security):
        raise not_found()


async def hash_password(
    body: dict[str, Any], config: Configuration, hasher: Hasher
) -> dict[str, Any]:
    """Return the body to write: a plain `password` becomes a hash, made in a thread."""
    if body.get("password") is None:
        return body
    try:
        settings = HashSettings.of(config)
        return await hasher.run(settings.scheme, hash_document, body, settings)
    except PasswordRefusedError as error:
        raise bad_request(str(error)) from error
    except CannotHashError as error:
        raise forbidden(str(error)) from error


def validate(
    new: Mapping[str, Any],
    old: Mapping[str, Any] | None,
    user: User,
    security: SecurityObject,
) -> None:
    """Raise 403 unless the document may be written to `_users`.

    `new` and `old` are whole documents with `_id`. These are the rules of CouchDB's own
    `_design/_auth`, which every `_users` database has; running them here needs no JavaScript.
    """
    if new.get("_deleted") is True:
        _check_deletion(old or {}, user)
        return
    _check_fields(new, old)
    _check_password_fields(new)
    if not is_database_admin(user, security):
        _check_own_update(new, old, user)
    _check_names(new)


def visible(
    document_id: str,
    body: dict[str, Any],
    user: User,
    security: SecurityObject,
    config: Configuration,
) -> dict[str, Any]:
    """Return the part of a document's body that the user may read.

    Admins and the user himself see all of it, others only the `public_fields` (404 without any).
    """
    if is_database_admin(user, security):
        return body
    if document_id.startswith("_design/"):
        raise forbidden("Only administrators can view design docs in the users database.")
    if user.name is not None and user.name == user_name(document_id):
        return body
    public = _COMMA.split(config.text("chttpd_auth", "public_fields"))
    shown = {key: value for key, value in body.items() if key in public}
    if not shown:
        raise not_found()
    return shown


def _check_deletion(old: Mapping[str, Any], user: User) -> None:
    if not user.is_server_admin and user.name != old.get("name"):
        raise forbidden("Only admins may delete other user docs.")


def _check_fields(new: Mapping[str, Any], old: Mapping[str, Any] | None) -> None:
    name, roles = new.get("name"), new.get("roles")
    if new.get("type") != "user":
        raise forbidden("doc.type must be user")
    if not name:
        raise forbidden("doc.name is required")
    if roles is None or roles in (False, 0, ""):
        raise forbidden("doc.roles must exist")
    if not isinstance(roles, list):
        raise forbidden("doc.roles must be an array")
    if not all(isinstance(role, str) for role in roles):
        raise forbidden("doc.roles can only contain strings")
    if new.get("_id") != f"{PREFIX}{name}":
        raise forbidden("Doc ID must be of the form org.couchdb.user:name")
    if old and old.get("name") != name:
        raise forbidden("Usernames can not be changed.")


def _check_password_fields(new: Mapping[str, Any]) -> None:
    scheme = new.get("password_scheme")
    if new.get("password_sha") and not new.get("salt"):
        raise forbidden(
            "Users with password_sha must have a salt.See /_utils/script/couch.js for example code."
        )
    if scheme and scheme not in _SCHEMES:
        raise forbidden(f"Password scheme `{scheme}` not supported.")
    if scheme == "pbkdf2":
        if not isinstance(new.get("iterations"), int | float):
            raise forbidden("iterations must be a number.")
        if not isinstance(new.get("derived_key"), str):
            raise forbidden("derived_key must be a string.")


def _check_own_update(new: Mapping[str, Any], old: Mapping[str, Any] | None, user: User) -> None:
    if not old:
        if new["roles"]:
            raise forbidden("Only _admin may set roles")
        return
    if user.name != new["name"]:
        raise forbidden("You may only update your own user document.")
    if sorted(old.get("roles") or []) != sorted(new["roles"]):
        raise forbidden("Only _admin may edit roles")


def _check_names(new: Mapping[str, Any]) -> None:
    if any(role.startswith("_") and role != "_metrics" for role in new["roles"]):
        raise forbidden("No system roles (starting with underscore) in users db.")
    name = str(new["name"])
    if name.startswith("_"):
        raise forbidden("Username may not start with underscore.")
    if ":" in name:
        raise forbidden("Character `:` is not allowed in usernames.")
