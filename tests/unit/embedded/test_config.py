"""The configuration: layers, the file, what it refuses."""

from __future__ import annotations

import stat
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aiocouch.embedded.node.config import Configuration, InvalidSettingError

if TYPE_CHECKING:
    from pathlib import Path


def test_defaults_are_those_of_a_fresh_couchdb() -> None:
    config = Configuration()
    assert config.get("vendor", "name") == "The Apache Software Foundation"
    assert config.section("feature_flags") == {"partitioned||*": "true"}


def test_put_returns_the_old_text_and_trims_the_new_one() -> None:
    config = Configuration()
    assert config.put("s", "k", "  one ") == ""
    assert config.put("s", "k", "two") == "one"
    assert config.section("s") == {"k": "two"}


def test_delete_returns_the_text_and_then_fails() -> None:
    config = Configuration()
    config.put("s", "k", "v")
    assert config.delete("s", "k") == "v"
    assert "s" not in config.sections()
    with pytest.raises(KeyError):
        config.delete("s", "k")


def test_a_deleted_setting_falls_back(tmp_path: Path) -> None:
    config = Configuration(tmp_path / "local.ini")
    config.put("vendor", "name", "me")
    config.delete("vendor", "name")
    assert config.get("vendor", "name") == "The Apache Software Foundation"
    config.put("s", "k", "kept")
    config.put("s", "k", "for now", persist=False)
    config.delete("s", "k", persist=False)
    assert config.get("s", "k") == "kept"


def test_an_override_outlives_a_reload() -> None:
    config = Configuration()
    config.override("chttpd", port="1")
    config.reload()
    assert config.get("chttpd", "port") == "1"


@pytest.mark.parametrize(
    ("section", "key", "value", "reason"),
    [
        ("a]b", "k", "v", "Invalid configuration section"),
        ("a\nb", "k", "v", "Invalid configuration section"),
        ("s", "k[", "v", "Invalid configuration key"),
        ("s", "k\r", "v", "Invalid configuration key"),
        ("s", "k", "a\nb", "Invalid configuration value"),
        ("s", "k", "À", "Invalid configuration value"),
    ],
)
def test_text_that_would_break_the_file_is_refused(
    section: str, key: str, value: str, reason: str
) -> None:
    config = Configuration()
    with pytest.raises(InvalidSettingError, match=reason):
        config.put(section, key, value)
    assert config.get(section, key) is None


def test_typed_reads_fall_back_to_the_default() -> None:
    config = Configuration()
    config.put("s", "number", "12")
    config.put("s", "word", "infinity")
    config.put("s", "yes", "true")
    assert config.integer("s", "number", 5) == 12
    assert config.integer("s", "word", 5) == 5
    assert config.limit("s", "word", 5) is None
    assert config.limit("s", "number", 5) == 12
    assert config.limit("s", "missing", 5) == 5
    assert config.flag("s", "yes", default=False)
    assert not config.flag("s", "word", default=False)


def test_changes_survive_in_the_file(tmp_path: Path) -> None:
    path = tmp_path / "local.ini"
    config = Configuration(path)
    config.put("a section", "k=ey", "v = 1")
    config.put("s", "gone", "x")
    config.put("s", "unkept", "x", persist=False)
    config.delete("s", "gone")
    again = Configuration(path)
    assert again.get("a section", "k=ey") == "v = 1"
    assert again.section("s") == {}
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_reload_forgets_what_was_not_kept(tmp_path: Path) -> None:
    config = Configuration(tmp_path / "local.ini")
    config.put("s", "kept", "1")
    config.put("s", "kept", "2", persist=False)
    config.reload()
    assert config.get("s", "kept") == "1"


def test_overrides_win_and_stay_out_of_the_file(tmp_path: Path) -> None:
    path = tmp_path / "local.ini"
    path.write_text("; a comment\n[s]\nk = file\n", "utf-8")
    config = Configuration(path, {"s": {"k": "argument"}})
    config.put("s", "other", "1")
    assert config.get("s", "k") == "argument"
    assert Configuration(path).get("s", "k") == "file"


def test_a_secret_is_made_once_and_kept(tmp_path: Path) -> None:
    path = tmp_path / "local.ini"
    secret = Configuration(path).ensure_secret("chttpd_auth", "secret")
    assert len(secret) == 32
    assert Configuration(path).ensure_secret("chttpd_auth", "secret") == secret


def test_listeners_hear_of_changes() -> None:
    config = Configuration()
    heard: list[tuple[str, str]] = []
    config.listen(lambda section, key: heard.append((section, key)))
    config.put("s", "k", "v")
    config.delete("s", "k")
    assert heard == [("s", "k"), ("s", "k")]


@pytest.mark.parametrize(
    ("section", "former", "key"),
    [
        ("chttpd", "httpd", "enable_cors"),
        ("chttpd", "httpd", "max_http_request_size"),
        ("chttpd_auth", "couch_httpd_auth", "timeout"),
        ("chttpd_auth", "couch_httpd_auth", "password_regexp"),
    ],
)
def test_a_setting_under_its_former_name_counts_where_the_new_one_is_silent(
    section: str, former: str, key: str
) -> None:
    config = Configuration()
    config.put(former, key, "old")
    assert config.get(section, key) == "old"
    assert config.shown(section, key) is None
    assert key not in config.section(section)
    config.put(section, key, "new")
    assert config.get(section, key) == "new"
    assert config.delete(section, key) == "new"
    assert config.get(section, key) == "old"
    with pytest.raises(KeyError):
        config.delete(section, key)
    config.delete(former, key)
    assert config.get(section, key) is None


@pytest.mark.parametrize(
    ("section", "former", "key"),
    [
        ("chttpd", "httpd", "port"),
        ("chttpd", "httpd", "authentication_handlers"),
        ("chttpd", "httpd", "require_valid_user"),
        ("chttpd_auth", "couch_httpd_auth", "authentication_db"),
        ("chttpd_auth", "couch_httpd_auth", "upgrade_hash_on_auth"),
    ],
)
def test_others_count_in_their_own_place_only(section: str, former: str, key: str) -> None:
    config = Configuration()
    config.put(former, key, "old")
    assert config.get(section, key) is None


def test_listeners_hear_of_what_a_reload_changes(tmp_path: Path) -> None:
    config = Configuration(tmp_path / "local.ini")
    heard: list[tuple[str, str]] = []
    config.listen(lambda section, key: heard.append((section, key)))
    config.put("s", "kept", "v")
    config.put("s", "for_now", "v", persist=False)
    heard.clear()
    config.reload()
    assert heard == [("s", "for_now")]


def test_an_empty_value_in_the_file_is_none(tmp_path: Path) -> None:
    path = tmp_path / "local.ini"
    config = Configuration(path)
    config.put("vendor", "name", "")
    assert config.get("vendor", "name") == ""
    assert Configuration(path).get("vendor", "name") == "The Apache Software Foundation"


def test_only_the_white_space_of_ascii_is_cut_off() -> None:
    config = Configuration()
    config.put("s", "k", " \t\u00a0x\n")
    assert config.get("s", "k") == "\u00a0x"


def test_the_repr_shows_no_values() -> None:
    config = Configuration(None, {"admins": {"root": "topsecret"}})
    assert "topsecret" not in repr(config)


_PRINTABLE = st.text(
    st.characters(blacklist_categories=("C", "Z"), blacklist_characters="[];="), min_size=1
).filter(lambda text: not any(0x80 <= byte < 0xA0 for byte in text.encode()))


@settings(deadline=None)  # a file is written, on a disk that others may be busy with
@given(section=_PRINTABLE, key=_PRINTABLE, value=_PRINTABLE)
def test_any_printable_setting_survives_the_file(
    tmp_path_factory: pytest.TempPathFactory, section: str, key: str, value: str
) -> None:
    path = tmp_path_factory.mktemp("config") / "local.ini"
    Configuration(path).put(section, key, value)
    assert Configuration(path).get(section, key) == value
