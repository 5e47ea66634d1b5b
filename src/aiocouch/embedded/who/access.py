"""Who may send which request: CouchDB's table of paths, in one place."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aiocouch.embedded.errors import (
    CouchError,
    forbidden,
    no_database,
    not_found,
    unauthorized,
)
from aiocouch.embedded.identity import (
    METRICS_ROLE,
    User,
    is_database_admin,
    is_database_member,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from aiocouch.embedded.identity import SecurityObject
    from aiocouch.embedded.node.config import Configuration

_OPEN = frozenset({"_up", "_uuids", "_session", "_stats", "_active_tasks"})
_METRICS = frozenset({"_stats", "_system", "_prometheus"})
_SYSTEM_DATABASES = frozenset({"_users", "_replicator"})
_ADMIN_READS = frozenset({"_all_docs", "_changes"})
_MANY = frozenset({"_design_docs", "_explain", "_find", "_index", "_local_docs", "_partition"})
_FUNCTIONS = frozenset({"_info", "_rewrite", "_show", "_update"})
"""What users may ask of a design document in `_users` or `_replicator`: they see what the user sees."""
_ADMIN_TASKS = frozenset({"_sync_shards", "_purge", "_purged_infos_limit"})


def check_request(
    method: str,
    segments: Sequence[str],
    user: User,
    config: Configuration,
    security: SecurityObject | None,
) -> None:
    """Raise 401 or 403 when the user may not send this request, 404 when its database is missing.

    `segments` are the decoded parts of the path. `security` is the security object of the
    database that the first one names, None when there is no such database.
    """
    method = "GET" if method == "HEAD" else method
    if _is_server_path(segments):
        _check_server_request(method, segments, user, config)
    elif _needs_server_admin(method, segments):
        check_server_admin(user)
    else:
        _check_database_request(segments, user, security)


def check_server_admin(user: User) -> None:
    """Raise 401 unless the user is a server admin (CouchDB says 401 even to a known user)."""
    if not user.is_server_admin:
        raise unauthorized("You are not a server admin.")


def check_member(user: User, security: SecurityObject) -> None:
    """Raise 401 or 403 unless the user may use the database."""
    if is_database_member(user, security):
        return
    if user.is_anonymous:
        raise unauthorized("You are not authorized to access this db.")
    raise forbidden("You are not allowed to access this db.")


def check_database_admin(user: User, security: SecurityObject) -> None:
    """Raise 401 or 403 unless the user administers the database (design documents, limits)."""
    if not is_database_admin(user, security):
        raise not_database_admin(user)


def not_database_admin(user: User) -> CouchError:
    """Return the error that a write of a design document by this user is answered with."""
    refuse = unauthorized if user.is_anonymous else forbidden
    return refuse("You are not a db or server admin.")


def _is_server_path(segments: Sequence[str]) -> bool:
    if not segments or segments[0] == "favicon.ico":
        return True
    return segments[0].startswith("_") and segments[0] not in _SYSTEM_DATABASES


def _check_server_request(
    method: str, segments: Sequence[str], user: User, config: Configuration
) -> None:
    if not segments or segments[0] == "favicon.ico":
        return
    first = segments[0]
    if first in ("_all_dbs", "_dbs_info"):
        if config.flag("chttpd", "admin_only_all_dbs", default=True):
            check_server_admin(user)
    elif first in _OPEN and len(segments) == 1 and not _makes_database(method, first):
        return
    elif first == "_replicate" and len(segments) == 1:
        if method in ("POST", "PUT"):
            _check_known(user)
    elif first == "_utils" and method == "GET":
        return
    elif first == "_node" and len(segments) > 2 and segments[2] in _METRICS:
        _check_metrics(user)
    else:
        check_server_admin(user)


def _makes_database(method: str, first: str) -> bool:
    # `_stats` is nothing at this place, so the name of a database for all that CouchDB knows
    return first == "_stats" and method in ("PUT", "DELETE")


def _check_known(user: User) -> None:
    if user.is_anonymous:
        raise unauthorized("You are not an authenticated user")


def _check_metrics(user: User) -> None:
    if not user.is_server_admin and METRICS_ROLE not in user.roles:
        raise unauthorized("You are not a server admin or read-only metrics user")


def _needs_server_admin(method: str, segments: Sequence[str]) -> bool:
    if len(segments) == 1:
        return method in ("PUT", "DELETE")
    if segments[0] in _SYSTEM_DATABASES:
        return segments[1] in _ADMIN_READS
    return segments[1] in _ADMIN_TASKS and len(segments) == 2


def _check_database_request(
    segments: Sequence[str], user: User, security: SecurityObject | None
) -> None:
    if security is None:
        raise no_database()
    check_member(user, security)
    if _has_secrets(segments[0]):
        _check_request_of_many(segments, user, security)
    if segments[0] in _SYSTEM_DATABASES or not _is_upkeep(segments):
        return
    if not is_database_admin(user, security):
        raise unauthorized("You are not a server or db admin.")


def _check_request_of_many(segments: Sequence[str], user: User, security: SecurityObject) -> None:
    if len(segments) < 2 or is_database_admin(user, security):
        return
    if segments[1] in _MANY or segments[1] in _ADMIN_READS:
        # CouchDB shows of each document what is public; here those who may not see all see none.
        raise not_database_admin(user)
    if segments[1] == "_local" and _is_of_users(segments[0]) and not user.is_anonymous:
        raise not_found()  # it is nobody's own


def check_design_request(segments: Sequence[str], user: User, security: SecurityObject) -> None:
    """Raise 403 for what users may not ask of a design document that is there.

    `segments` go on after its id.
    """
    if not _has_secrets(segments[0]) or segments[3] in _FUNCTIONS:
        return
    if is_database_admin(user, security):
        return
    if _is_of_users(segments[0]):
        raise forbidden("Only administrators can view design docs in the users database.")
    raise not_database_admin(user)


def _has_secrets(database: str) -> bool:
    return database.rpartition("/")[2] in _SYSTEM_DATABASES


def _is_of_users(database: str) -> bool:
    return database.rpartition("/")[2] == "_users"


def _is_upkeep(segments: Sequence[str]) -> bool:
    if len(segments) < 2:
        return False
    return segments[1] == "_compact" or list(segments[1:]) == ["_view_cleanup"]
