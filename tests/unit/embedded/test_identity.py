"""Members, admins, security objects, and the table of who may send what."""

from __future__ import annotations

from typing import Any

import pytest

from aiocouch.embedded.errors import CouchError
from aiocouch.embedded.identity import (
    ADMINS_ONLY,
    ANONYMOUS,
    SYSTEM,
    User,
    is_database_admin,
    is_database_member,
    is_valid_security,
)
from aiocouch.embedded.node.config import Configuration
from aiocouch.embedded.who.access import check_request

ADMIN = User("root", ("_admin",), "default")
MEMBER = User("mia", ("team",), "default")
BOSS = User("bo", ("boss",), "default")
METRICS = User("mo", ("_metrics",), "default")
TEAM: dict[str, Any] = {"members": {"roles": ["team"]}, "admins": {"names": ["bo"]}}
OPEN: dict[str, Any] = {}


@pytest.mark.parametrize(
    ("user", "security", "member", "admin"),
    [
        (ANONYMOUS, OPEN, True, False),
        (ANONYMOUS, ADMINS_ONLY, False, False),
        (MEMBER, ADMINS_ONLY, False, False),
        (ADMIN, ADMINS_ONLY, True, True),
        (SYSTEM, TEAM, True, True),
        (MEMBER, TEAM, True, False),
        (BOSS, TEAM, True, True),
        (MEMBER, {"members": {"names": ["mia"], "roles": []}}, True, False),
        (ANONYMOUS, {"members": {"names": [], "roles": []}}, True, False),
        (MEMBER, {"readers": {"names": ["old"]}}, False, False),
        (MEMBER, {"admins": {}}, True, False),
    ],
)
def test_members_and_admins(
    user: User, security: dict[str, Any], member: bool, admin: bool
) -> None:
    assert is_database_member(user, security) is member
    assert is_database_admin(user, security) is admin


@pytest.mark.parametrize(
    ("value", "valid"),
    [
        ({}, True),
        ({"extra": {"kept": True}}, True),
        ({"admins": {"names": ["x"], "roles": []}}, True),
        ({"admins": 5}, False),
        ({"admins": {"names": "x"}}, False),
        ({"admins": {"names": [5]}}, False),
        ({"members": {"roles": [1]}}, False),
        ({"readers": {"names": 5}}, False),
        ({"members": {}, "readers": 5}, True),
        ([], False),
        (5, False),
    ],
)
def test_which_security_objects_are_stored(value: object, valid: bool) -> None:
    assert is_valid_security(value) is valid


def _status(
    method: str, path: str, user: User, security: dict[str, Any] | None = None
) -> int | None:
    segments = [part for part in path.split("/") if part]
    try:
        check_request(method, segments, user, Configuration(), security)
    except CouchError as error:
        return error.status
    return None


@pytest.mark.parametrize(
    "path", ["/", "/_up", "/_uuids", "/_session", "/favicon.ico", "/_utils/index.html"]
)
def test_what_everybody_may_read(path: str) -> None:
    assert _status("GET", path, ANONYMOUS) is None


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/_all_dbs"),
        ("GET", "/_dbs_info"),
        ("GET", "/_node/_local/_config"),
        ("GET", "/_membership"),
        ("GET", "/_session/x"),
        ("GET", "/_nosuch"),
        ("PUT", "/db"),
        ("DELETE", "/db"),
        ("POST", "/db/_purge"),
        ("GET", "/_users/_all_docs"),
        ("GET", "/_replicator/_changes"),
        ("POST", "/_utils"),
    ],
)
def test_what_only_server_admins_may(method: str, path: str) -> None:
    assert _status(method, path, ADMIN, OPEN) is None
    assert _status(method, path, MEMBER, OPEN) == 401
    assert _status(method, path, ANONYMOUS, OPEN) == 401


def test_all_dbs_may_be_opened_by_the_configuration() -> None:
    config = Configuration()
    config.put("chttpd", "admin_only_all_dbs", "false")
    check_request("GET", ["_all_dbs"], ANONYMOUS, config, None)


def test_members_only() -> None:
    assert _status("GET", "/db/doc", MEMBER, TEAM) is None
    assert _status("HEAD", "/db/doc", User("no"), TEAM) == 403
    assert _status("GET", "/db/doc", ANONYMOUS, TEAM) == 401
    assert _status("GET", "/db/doc", ADMIN, None) == 404
    assert _status("GET", "/_users/org.couchdb.user:mia", MEMBER, ADMINS_ONLY) == 403


def test_upkeep_needs_a_database_admin() -> None:
    assert _status("POST", "/db/_compact/x", BOSS, TEAM) is None
    assert _status("POST", "/db/_compact", MEMBER, TEAM) == 401
    assert _status("POST", "/db/_view_cleanup", MEMBER, TEAM) == 401
    assert _status("POST", "/db/_compact", User("no"), TEAM) == 403


def test_replicate_and_metrics_have_rules_of_their_own() -> None:
    assert _status("POST", "/_replicate", MEMBER) is None
    assert _status("POST", "/_replicate", ANONYMOUS) == 401
    assert _status("GET", "/_replicate", ANONYMOUS) is None
    assert _status("GET", "/_stats", ANONYMOUS) is None
    assert _status("PUT", "/_stats", MEMBER) == 401
    assert _status("GET", "/_node/_local/_stats", METRICS) is None
    assert _status("GET", "/_node/_local/_versions", METRICS) == 401
