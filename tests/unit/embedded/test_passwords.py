"""Hashes of passwords: the formats of CouchDB, the rules for new ones."""

from __future__ import annotations

import pytest

from aiocouch.embedded.node.config import Configuration
from aiocouch.embedded.who.passwords import (
    CannotHashError,
    HashSettings,
    PasswordRefusedError,
    admin_credentials,
    document_credentials,
    hash_admin,
    hash_document,
    matches,
    needs_upgrade,
)

FAST = HashSettings("pbkdf2", "sha256", 3, "")
SIMPLE = HashSettings("simple", "sha256", 3, "")

# Made by Apache CouchDB 3.5.0 for the password "admin".
COUCHDB_HASH = (
    "-pbkdf2:sha256-4a2166d6e5d53b44e125fb855215c1866be8c2d7ea8b13557aabe555271cddde,"
    "e4e9f4c754ab81b6d2ebb07417f4ea2e,600000"
)


def test_a_hash_of_couchdb_is_understood() -> None:
    credentials = admin_credentials(COUCHDB_HASH)
    assert credentials is not None
    assert credentials.roles == ("_admin",)
    assert credentials.iterations == 600_000
    assert matches(credentials, "admin")


@pytest.mark.parametrize("settings", [FAST, SIMPLE, HashSettings("pbkdf2", "sha", 2, "")])
def test_admin_hashes_round_trip(settings: HashSettings) -> None:
    credentials = admin_credentials(hash_admin("pässword", settings))
    assert credentials is not None
    assert matches(credentials, "pässword")
    assert not matches(credentials, "password")


def test_plain_text_is_no_hash() -> None:
    assert admin_credentials("secret") is None
    assert admin_credentials("-pbkdf2-nonsense") is None


@pytest.mark.parametrize("settings", [FAST, SIMPLE])
def test_user_documents_get_a_hash_for_their_password(settings: HashSettings) -> None:
    body = hash_document({"name": "mia", "password": "pw", "derived_key": "old"}, settings)
    assert "password" not in body
    assert body.get("derived_key") != "old"
    assert list(body)[-1] == "name"
    assert matches(document_credentials(body), "pw")
    assert not matches(document_credentials(body), "no")


@pytest.mark.parametrize("body", [{"name": "mia"}, {"name": "mia", "password": None}])
def test_without_a_password_nothing_changes(body: dict[str, object]) -> None:
    assert hash_document(body, FAST) is body


def test_the_salt_is_fresh_unless_it_is_to_be_preserved() -> None:
    old = hash_document({"password": "pw"}, FAST)
    fresh = hash_document({**old, "password": "pw"}, FAST)
    kept = hash_document({**old, "password": "pw", "preserve_salt": True}, FAST)
    assert fresh["salt"] != old["salt"]
    assert kept == old


def test_what_cannot_be_hashed() -> None:
    with pytest.raises(CannotHashError):
        hash_document({"password": 5}, FAST)
    with pytest.raises(CannotHashError):
        hash_document({"password": "pw"}, HashSettings("rot13", "sha256", 3, ""))
    with pytest.raises(CannotHashError):
        hash_document({"password": "pw"}, HashSettings("pbkdf2", "crc", 3, ""))


def test_password_rules() -> None:
    rules = '[{".{10,}", "At least 10 characters."}, "\\\\d+"]'
    settings = HashSettings("simple", "sha256", 1, rules)
    with pytest.raises(PasswordRefusedError, match=r"requirements\. At least 10 characters\."):
        hash_document({"password": "short1"}, settings)
    with pytest.raises(PasswordRefusedError, match=r"requirements\.$"):
        hash_document({"password": "long enough"}, settings)
    assert "password_sha" in hash_document({"password": "long enough 1"}, settings)


@pytest.mark.parametrize(
    "rules",
    [
        "nonsense",
        '["("]',
        "[{}]",
        '["a" b]',
        '{{"a"}}',
        '[{"a"]',
        '[{"a", "b", "c"}]',
        "[5]",
        '["a"',
        '["a"]]',
        '["a"] x',
        '["a"].',
        '"a"',
        "[,]",
        " ",
    ],
)
def test_rules_that_cannot_be_read_let_nothing_pass(rules: str) -> None:
    with pytest.raises(CannotHashError):
        hash_document({"password": "pw"}, HashSettings("simple", "sha256", 1, rules))


@pytest.mark.parametrize(
    ("rules", "told"),
    [
        ('[{"a", 5}]', ""),
        ('[{"a", ""}]', ""),
        ('[{"a"}]', ""),
        (' [ "\\\\d" , { "x" , "An x, please." } ] ', "."),
        ('["p", {"x{2}", "Say \\"xx\\"."}]', ' Say "xx".'),
        ('["[[:alpha:]]{3}"]', ""),
    ],
)
def test_how_rules_may_be_written(rules: str, told: str) -> None:
    with pytest.raises(PasswordRefusedError) as caught:
        hash_document({"password": "pw"}, HashSettings("simple", "sha256", 1, rules))
    assert str(caught.value).endswith(f"requirements.{told.removeprefix('.')}")
    assert hash_document({"password": "axx1xx"}, HashSettings("simple", "", 1, '["a", "\\\\d"]'))


def test_a_password_that_is_no_text_is_told_as_erlang_prints_it() -> None:
    for password, told in ((5, "5"), (["a"], '[<<"a">>]'), ({"b": True}, '{[{<<"b">>,true}]}')):
        with pytest.raises(CannotHashError) as caught:
            hash_document({"password": password}, FAST)
        assert str(caught.value) == f"Password value of '{told}' is invalid."


def test_settings_come_from_the_configuration() -> None:
    config = Configuration()
    assert HashSettings.of(config) == HashSettings("pbkdf2", "sha256", 600_000, "")
    config.put("chttpd_auth", "iterations", "7")
    assert HashSettings.of(config).iterations == 7


def test_an_upgrade_is_due_when_the_settings_have_changed() -> None:
    body = hash_document({"password": "pw"}, FAST)
    assert not needs_upgrade(body, FAST)
    assert needs_upgrade(body, HashSettings("pbkdf2", "sha256", 4, ""))
    assert needs_upgrade(hash_document({"password": "pw"}, SIMPLE), FAST)


def test_an_account_without_a_password_matches_nothing() -> None:
    assert not matches(document_credentials({"name": "mia", "roles": "no list"}), "")


def test_reprs_show_no_hash() -> None:
    credentials = admin_credentials(COUCHDB_HASH)
    assert credentials is not None
    assert str(credentials.expected) not in repr(credentials)
    assert credentials.salt not in repr(credentials)
