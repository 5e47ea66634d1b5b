"""The documents of `_users`."""

from __future__ import annotations

from typing import Any

import pytest

from aiocouch.embedded.errors import CouchError
from aiocouch.embedded.identity import ADMINS_ONLY, ANONYMOUS, SYSTEM, User
from aiocouch.embedded.node.config import Configuration
from aiocouch.embedded.who.accounts import Hasher
from aiocouch.embedded.who.users import check_writer, hash_password, validate, visible

MIA = User("mia", ("team",), "default")
ID = "org.couchdb.user:mia"
DOCUMENT: dict[str, Any] = {"_id": ID, "name": "mia", "type": "user", "roles": []}


def _refusal(
    new: dict[str, Any], old: dict[str, Any] | None = None, user: User = SYSTEM
) -> str | None:
    try:
        validate(new, old, user, ADMINS_ONLY)
    except CouchError as error:
        return f"{error.status} {error.reason}"
    return None


def test_good_documents() -> None:
    assert _refusal(DOCUMENT) is None
    assert _refusal({**DOCUMENT, "roles": ["_metrics", "x"]}, DOCUMENT) is None
    assert _refusal(DOCUMENT, None, ANONYMOUS) is None
    assert _refusal({**DOCUMENT, "more": 1}, DOCUMENT, MIA) is None


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"type": "robot"}, "doc.type must be user"),
        ({"name": ""}, "doc.name is required"),
        ({"roles": None}, "doc.roles must exist"),
        ({"roles": "x"}, "doc.roles must be an array"),
        ({"roles": [1]}, "doc.roles can only contain strings"),
        ({"name": "pia"}, "Doc ID must be of the form org.couchdb.user:name"),
        ({"roles": ["_admin"]}, "No system roles (starting with underscore) in users db."),
        ({"password_scheme": "rot13"}, "Password scheme `rot13` not supported."),
        ({"password_scheme": "pbkdf2"}, "iterations must be a number."),
        ({"password_scheme": "pbkdf2", "iterations": 1}, "derived_key must be a string."),
        ({"_id": f"{ID}:x", "name": "mia:x"}, "Character `:` is not allowed in usernames."),
        (
            {"_id": "org.couchdb.user:_mia", "name": "_mia"},
            "Username may not start with underscore.",
        ),
    ],
)
def test_bad_documents(changes: dict[str, Any], reason: str) -> None:
    assert _refusal({**DOCUMENT, **changes}) == f"403 {reason}"


def test_password_sha_needs_a_salt() -> None:
    assert "must have a salt" in str(_refusal({**DOCUMENT, "password_sha": "x"}))


def test_what_others_may_not_do() -> None:
    with_roles = {**DOCUMENT, "roles": ["x"]}
    assert _refusal(with_roles, None, ANONYMOUS) == "403 Only _admin may set roles"
    assert _refusal(with_roles, DOCUMENT, MIA) == "403 Only _admin may edit roles"
    assert "your own" in str(_refusal(DOCUMENT, DOCUMENT, User("pia")))
    assert "changed" in str(_refusal(DOCUMENT, {**DOCUMENT, "name": "pia"}))


def test_deletion_is_for_admins_and_oneself() -> None:
    gone = {"_id": ID, "_deleted": True}
    assert _refusal(gone, DOCUMENT, MIA) is None
    assert _refusal(gone, DOCUMENT, SYSTEM) is None
    assert _refusal(gone, DOCUMENT, User("pia")) == "403 Only admins may delete other user docs."


def test_who_may_write_at_all() -> None:
    check_writer(ID, MIA, ADMINS_ONLY)
    check_writer(ID, SYSTEM, ADMINS_ONLY)
    check_writer(ID, ANONYMOUS, ADMINS_ONLY)
    with pytest.raises(CouchError) as caught:
        check_writer(ID, User("pia"), ADMINS_ONLY)
    assert caught.value.status == 404


def test_who_sees_what() -> None:
    config = Configuration()
    body = {"name": "mia", "salt": "s", "city": "Ulm"}
    assert visible(ID, body, SYSTEM, ADMINS_ONLY, config) == body
    assert visible(ID, body, MIA, ADMINS_ONLY, config) == body
    with pytest.raises(CouchError) as caught:
        visible(ID, body, ANONYMOUS, ADMINS_ONLY, config)
    assert caught.value.status == 404
    config.put("chttpd_auth", "public_fields", "name , city")
    assert visible(ID, body, ANONYMOUS, ADMINS_ONLY, config) == {"name": "mia", "city": "Ulm"}
    with pytest.raises(CouchError) as caught:
        visible("_design/x", body, MIA, ADMINS_ONLY, config)
    assert caught.value.status == 403


async def test_passwords_are_hashed_in_a_thread() -> None:
    config, hasher = Configuration(), Hasher()
    config.put("chttpd_auth", "iterations", "2")
    try:
        body = await hash_password({"password": "pw"}, config, hasher)
        assert body["iterations"] == 2
        config.put("chttpd_auth", "password_regexp", '[".{9,}"]')
        with pytest.raises(CouchError) as caught:
            await hash_password({"password": "pw"}, config, hasher)
        assert caught.value.status == 400
        config.put("chttpd_auth", "password_scheme", "x")
        with pytest.raises(CouchError) as caught:
            await hash_password({"password": "pw"}, config, hasher)
        assert caught.value.status == 403
    finally:
        hasher.close()
