"""Which server, which database, and who we are: from the URL, the environment, a profile, a prompt."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import given as for_all
from hypothesis import strategies as st

from aiocouch.cli.exits import CommandError, Exit
from aiocouch.cli.target import Of, Target, read_target

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.usefixtures("no_settings")


def target(text: str | None, of: Of = Of.EITHER, **options: str) -> Target:
    return read_target(argparse.Namespace(target=text, **options), of)


def refusal(text: str | None, of: Of = Of.EITHER, **options: str) -> str:
    with pytest.raises(CommandError) as caught:
        target(text, of, **options)
    assert caught.value.status == Exit.USAGE
    return str(caught.value)


@pytest.fixture
def profiles(no_settings: Path) -> Path:
    no_settings.mkdir(parents=True)
    path = no_settings / "profiles.toml"
    path.write_text(
        '[default]\nurl = "http://d:1"\n'
        '[prod]\nurl = "https://p:2/couch/"\nuser = "ada"\npassword = "s:ecret/"\n'
        '[token]\nurl = "http://t"\ntoken = "abc"\nca = "ca.pem"\n'
        '[wrong]\nurl = "http://w"\npasword = "hidden"\n'
        '[half]\nuser = "ada"\n'
        "[number]\nurl = 1\n"
    )
    path.chmod(0o600)
    return path


# -- addresses


@pytest.mark.parametrize(
    ("text", "of", "url", "name"),
    [
        ("http://h:5984/db", Of.EITHER, "http://h:5984", "db"),
        ("http://h:5984/db", Of.DATABASE, "http://h:5984", "db"),
        ("http://h:5984/db/", Of.DATABASE, "http://h:5984", "db"),
        ("http://h/proxy/db", Of.EITHER, "http://h/proxy", "db"),
        ("http://h/proxy/", Of.EITHER, "http://h/proxy", None),
        ("http://h/proxy", Of.SERVER, "http://h/proxy", None),
        ("http://h", Of.EITHER, "http://h", None),
        ("https://[::1]:6984/", Of.EITHER, "https://[::1]:6984", None),
        ("http://h/a%2Fb", Of.EITHER, "http://h", "a/b"),
    ],
)
def test_urls(text: str, of: Of, url: str, name: str | None) -> None:
    assert target(text, of) == Target(url, name)


def test_credentials_of_the_url() -> None:
    assert target("http://ada:p%40ss%2F@h/db") == Target("http://h", "db", "ada", "p@ss/")


@settings(suppress_health_check=[HealthCheck.too_slow], deadline=None)
@for_all(st.text(min_size=1), st.text(), st.text(alphabet="abc_$()+-/", min_size=1))
def test_any_credentials_and_names_round_trip(user: str, password: str, name: str) -> None:
    from urllib.parse import quote

    try:
        quoted = [quote(part, safe="") for part in (user, password, name)]
    except UnicodeEncodeError:  # a half of a pair, which UTF-8 has not
        return
    found = target("http://{}:{}@h:1/{}".format(*quoted))
    assert found == Target("http://h:1", name, user, password)


@pytest.mark.parametrize(
    "text",
    [
        "http://ada:se/cret@h/db",
        "http://ada:secret#1@h/db",
        "http://ada:secret?1@h/db",
        "http://ada:secret@h:port/db",
        "http://",
        "http://ada:secret@[h/db",
        "http://ada:secret@h/db?x=1",
    ],
)
def test_a_bad_url_is_refused_without_its_secrets(text: str) -> None:
    said = refusal(text)
    assert "cannot be read" in said
    assert "secret" not in said
    assert "cret" not in said


@pytest.mark.parametrize("url", ["h", "h:5984", "127.0.0.1:5984", "ftp://ada:secret@h"])
def test_a_url_without_http_is_told_with_where_it_is(
    monkeypatch: pytest.MonkeyPatch, no_settings: Path, url: str
) -> None:
    monkeypatch.setenv("COUCHDB_URL", url)
    assert refusal("db") == "COUCHDB_URL: a URL begins with http://, https:// or embedded:"
    no_settings.mkdir(parents=True)
    path = no_settings / "profiles.toml"
    path.write_text(f'[wrong]\nurl = "{url}"\n')
    path.chmod(0o600)
    assert refusal("@wrong/db").startswith("the profile 'wrong': a URL begins with http://")
    assert "begins with http://" in refusal("ftp://ada:secret@h/db")


def test_no_secret_is_in_a_repr() -> None:
    shown = repr(Target("http://h", None, "ada", "secret", "token"))
    assert "secret" not in shown
    assert "'token'" not in shown


@pytest.mark.parametrize("text", ["localhost:5984/db", "example.org/db"])
def test_a_host_without_its_scheme_is_refused(text: str) -> None:
    assert "http://" in refusal(text)


def test_a_database_that_is_lacking_is_asked_for() -> None:
    assert "names no database" in refusal("http://h", Of.DATABASE)


def test_a_server_that_is_lacking_is_asked_for(no_settings: Path) -> None:
    assert "COUCHDB_URL" in refusal(None)
    assert "COUCHDB_URL" in refusal("db")


# -- the environment


def test_the_server_of_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COUCHDB_URL", "http://ada:secret@h:1/couch")
    base = Target("http://h:1/couch", None, "ada", "secret")
    assert target(None) == base
    assert target("shards/x") == Target(base.url, "shards/x", "ada", "secret")
    assert "names a database" in refusal("db", Of.SERVER)
    assert target("http://other/db") == Target("http://other", "db")


def test_credentials_of_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COUCHDB_USER", "ada")
    monkeypatch.setenv("COUCHDB_PASSWORD", "secret")
    assert target("http://h/db") == Target("http://h", "db", "ada", "secret")
    assert target("http://bob:own@h/db") == Target("http://h", "db", "bob", "own")


def test_credentials_of_the_environment_go_to_its_server_only(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("COUCHDB_URL", "http://h:80")
    monkeypatch.setenv("COUCHDB_USER", "ada")
    monkeypatch.setenv("COUCHDB_PASSWORD", "secret")
    assert target("db") == Target("http://h:80", "db", "ada", "secret")
    assert target("http://h/db") == Target("http://h", "db", "ada", "secret")
    assert target("http://other/db") == Target("http://other", "db")
    assert target("https://h/db") == Target("https://h", "db")


def test_a_bad_url_of_the_environment_is_named_without_its_secrets(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("COUCHDB_URL", "http://ada:se/cret@h")
    monkeypatch.setenv("COUCHDB_USER", "ada")
    for text in ("db", "http://h/db"):
        said = refusal(text)
        assert "cannot be read" in said
        assert "cret" not in said


# -- profiles


@pytest.mark.usefixtures("profiles")
def test_profiles() -> None:
    prod = Target("https://p:2/couch", None, "ada", "s:ecret/")
    assert target("@prod") == target(None, profile="prod") == prod
    with_name = Target(prod.url, "a/b", "ada", "s:ecret/")
    assert target("@prod/a/b") == target("a/b", profile="prod") == with_name
    assert target(None) == Target("http://d:1")
    assert target("@token/db") == Target("http://t", "db", token="abc", ca="ca.pem")


@pytest.mark.usefixtures("profiles")
def test_a_profile_goes_before_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COUCHDB_URL", "http://h")
    monkeypatch.setenv("COUCHDB_USER", "eve")
    monkeypatch.setenv("COUCHDB_PASSWORD", "own")
    assert target("@prod").user == "ada"
    assert target("@default").user is None
    assert target(None).url == "http://h"


@pytest.mark.usefixtures("profiles")
@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("none", "there is no profile 'none'"),
        ("wrong", "'pasword'"),
        ("half", "no url"),
        ("number", "'url' must be a text"),
    ],
)
def test_a_profile_that_is_wrong_is_named(name: str, said: str) -> None:
    found = refusal(f"@{name}")
    assert said in found
    assert "hidden" not in found


def test_no_file_of_profiles() -> None:
    assert "profiles.toml" in refusal("@prod")


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o644])
def test_profiles_that_others_may_read_are_refused(profiles: Path, mode: int) -> None:
    profiles.chmod(mode)
    said = refusal("@prod")
    assert f"{mode:04o}" in said
    assert f"chmod 600 {profiles}" in said


def test_profiles_that_are_not_toml(profiles: Path) -> None:
    profiles.write_text('password = secret"')
    said = refusal("@prod")
    assert "not TOML" in said
    assert "secret" not in said


@pytest.mark.usefixtures("profiles")
def test_a_url_or_a_profile_not_both() -> None:
    assert "not both" in refusal("http://h/db", profile="prod")
    assert "not both" in refusal("@prod", profile="prod")


# -- prompts


class Terminal:
    """Stands for stdin."""

    def isatty(self) -> bool:
        return True


def test_the_password_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    monkeypatch.setattr("sys.stdin", Terminal())

    def typing(prompt: str) -> str:
        asked.append(prompt)
        return "typed"

    monkeypatch.setattr("getpass.getpass", typing)
    typed = Target("http://h", "db", "ada", "typed")
    assert target("http://h/db", user="ada") == typed
    assert target("http://ada@h/db") == typed
    assert target("http://bob:secret@h/db", user="ada") == typed
    assert asked == ["password of ada at http://h: "] * 3
    assert target("http://ada:secret@h/db", user="ada").password == "secret"


def test_the_password_of_the_environment_is_for_its_user(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COUCHDB_PASSWORD", "secret")
    assert target("http://h/db", user="ada").password == "secret"
    monkeypatch.setenv("COUCHDB_USER", "bob")
    assert "'ada'" in refusal("http://h/db", user="ada")


def test_nobody_can_be_asked() -> None:
    assert "no terminal" in refusal("http://h/db", user="ada")
