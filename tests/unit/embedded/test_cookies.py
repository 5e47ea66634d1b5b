"""The session cookie."""

from __future__ import annotations

import base64
import hashlib
import hmac

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiocouch.embedded.node.config import Configuration
from aiocouch.embedded.who.cookies import (
    CookieSettings,
    MalformedCookieError,
    Session,
    find_cookie,
    is_signed_with,
    make_session,
    needs_renewal,
    parse_session,
    seconds_left,
    session_cookie,
)

KEY = b"secret" + b"salt"
NOW = 1_795_508_000
SETTINGS = CookieSettings.of(Configuration())


def _settings(**changes: str) -> CookieSettings:
    config = Configuration()
    for key, value in changes.items():
        config.put("chttpd_auth", key, value)
    return CookieSettings.of(config)


def _is_genuine(session: Session, settings: CookieSettings, *keys: bytes) -> bool:
    return is_signed_with(session.signed, session.signature, keys or (KEY,), settings)


def test_the_format_is_couchdbs() -> None:
    value = make_session("admin", KEY, NOW, SETTINGS)
    signature = hmac.new(KEY, b"admin:%X" % NOW, hashlib.sha256).digest()
    text = base64.urlsafe_b64decode(value + "=" * (-len(value) % 4))
    assert text == b"admin:%X:" % NOW + signature
    assert "=" not in value


@given(name=st.text(st.characters(blacklist_characters=":", codec="utf-8")))
def test_a_session_lives_as_long_as_the_timeout(name: str) -> None:
    session = parse_session(make_session(name, KEY, NOW, SETTINGS))
    assert session.name == name
    assert seconds_left(session, NOW + 1, SETTINGS) == 599
    assert seconds_left(session, NOW + 600, SETTINGS) is None
    assert _is_genuine(session, SETTINGS)
    assert _is_genuine(session, SETTINGS, b"new", KEY)
    assert not _is_genuine(session, SETTINGS, b"other")


def test_a_cookie_signed_with_an_older_algorithm_is_good() -> None:
    old = make_session("admin", KEY, NOW, _settings(hash_algorithms="sha"))
    assert _is_genuine(parse_session(old), SETTINGS)
    assert not _is_genuine(parse_session(old), _settings(hash_algorithms="sha256"))


def test_renewal_is_due_after_a_tenth() -> None:
    assert not needs_renewal(540, SETTINGS)
    assert needs_renewal(539, SETTINGS)


@pytest.mark.parametrize("value", ["####", "YWRtaW4", "a", "YQ==", "YTpiOmM=", "/w", "abc def"])
def test_what_was_never_a_cookie_is_malformed(value: str) -> None:
    with pytest.raises(MalformedCookieError):
        parse_session(value)


def test_a_forged_one_is_read_and_then_not_believed() -> None:
    session = parse_session("YTpiOmM")
    assert session.name == "a"
    assert not _is_genuine(session, SETTINGS)
    strange = parse_session(base64.urlsafe_b64encode(b"a:zz:wxyz").decode())
    assert seconds_left(strange, NOW, SETTINGS) is None


def test_the_header() -> None:
    header = session_cookie("VALUE", SETTINGS, now=NOW, secure=False)
    assert header == (
        "AuthSession=VALUE; Version=1; Expires=Tue, 24-Nov-2026 08:23:20 GMT; Max-Age=600; "
        "Path=/; HttpOnly"
    )


def test_the_header_as_configured() -> None:
    settings = _settings(
        allow_persistent_cookies="false", cookie_domain="x.example", same_site="Strict"
    )
    header = session_cookie("", settings, now=NOW, secure=True)
    assert header == (
        "AuthSession=; Version=1; Domain=x.example; Path=/; Secure; HttpOnly; SameSite=Strict"
    )


def test_a_negative_timeout_is_none_for_browsers() -> None:
    assert "Max-Age=0;" in session_cookie("x", _settings(timeout="-5"), now=NOW, secure=False)


@pytest.mark.parametrize(
    ("header", "value"),
    [
        (None, None),
        ("", None),
        ("other=1", None),
        ("AuthSession=", None),
        ("a=b; AuthSession=abc; c", "abc"),
        ('AuthSession="abc"', "abc"),
    ],
)
def test_the_cookie_is_found_among_others(header: str | None, value: str | None) -> None:
    assert find_cookie(header) == value
