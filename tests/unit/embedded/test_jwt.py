"""JSON Web Tokens."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from typing import Any

import pytest

from aiocouch.embedded.config import Configuration
from aiocouch.embedded.jwt import (
    Bearer,
    ExpiredTokenError,
    InvalidTokenError,
    MisconfiguredError,
    bearer,
)

NOW = 1_795_508_000


def _part(value: Any) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()


def token(claims: Any, key: bytes = b"hello", alg: str = "HS256", **header: str) -> str:
    """Sign claims."""
    signed = f"{_part({'alg': alg, **header})}.{_part(claims)}"
    digest = {"HS256": hashlib.sha256, "HS512": hashlib.sha512}.get(alg, hashlib.sha256)
    mac = hmac.new(key, signed.encode(), digest).digest()
    return f"{signed}.{base64.urlsafe_b64encode(mac).rstrip(b'=').decode()}"


def _config(**auth: str) -> Configuration:
    keys = {"hmac:_default": "aGVsbG8=", "hmac:other": "b3RoZXI=", "hmac:bad": "*"}
    return Configuration(None, {"jwt_keys": keys, "jwt_auth": auth})


def test_a_good_token() -> None:
    claims = {"sub": "mia", "exp": NOW + 1, "_couchdb.roles": ["a", "b"]}
    assert bearer(token(claims), _config(), NOW) == Bearer("mia", ("a", "b"))
    assert bearer(token(claims, alg="HS512"), _config(), NOW).name == "mia"
    assert bearer(token(claims, b"other", kid="other"), _config(), NOW).name == "mia"


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("abc", "Malformed token"),
        ("a.b.c", "Malformed token"),
        (f"{_part([1])}.{_part({})}.x", "Not an object"),
        (f"{_part({})}.{_part({})}.x", "Missing alg header parameter"),
        (token({"sub": "m"}), "Missing exp claim"),
        (token({"sub": "m", "exp": NOW + 1}, typ="X"), "Invalid typ header parameter"),
        (token({"sub": "m", "exp": NOW + 1}, b"wrong"), "Bad HMAC"),
        (token({"sub": "m", "exp": NOW + 1}, kid="none"), "Unknown kid"),
        (token({"sub": "m", "exp": NOW + 1}, kid="bad"), "Not a valid key"),
        (token({"sub": "m", "exp": NOW + 1}, alg="none"), "Invalid alg header parameter"),
        (token({"sub": "m", "exp": NOW + 1}, alg="RS256"), "RS256 is not served"),
        (token({"sub": "m", "exp": NOW + 1, "_couchdb.roles": [1]}), "Malformed token"),
    ],
)
def test_bad_tokens(text: str, reason: str) -> None:
    with pytest.raises(InvalidTokenError, match=reason):
        bearer(text, _config(), NOW)


def test_time_and_user() -> None:
    with pytest.raises(ExpiredTokenError, match="exp not in future"):
        bearer(token({"sub": "m", "exp": NOW}), _config(), NOW)
    with pytest.raises(ExpiredTokenError, match="sub"):
        bearer(token({"exp": NOW + 1}), _config(), NOW)
    with pytest.raises(ExpiredTokenError, match="nbf not in past"):
        bearer(token({"sub": "m", "nbf": NOW}), _config(required_claims="nbf"), NOW)


def test_required_claims() -> None:
    config = _config(required_claims='exp, {iss, "me"}, iat')
    good = {"sub": "m", "exp": NOW + 1, "iss": "me", "iat": 1}
    assert bearer(token(good), config, NOW).name == "m"
    for claims in ({**good, "iss": "you"}, {**good, "iat": "x"}):
        with pytest.raises(InvalidTokenError):
            bearer(token(claims), config, NOW)
    assert bearer(token({"sub": "m"}), _config(required_claims=""), NOW).name == "m"
    with pytest.raises(MisconfiguredError):
        bearer(token(good), _config(required_claims="123"), NOW)


def test_roles_from_elsewhere() -> None:
    claims = {"sub": "m", "exp": NOW + 1, "r": "a , b", "my.realm": {"roles": ["c"]}}
    assert bearer(token(claims), _config(roles_claim_name="r"), NOW).roles == ("a", "b")
    path = _config(roles_claim_path="my\\.realm.roles")
    assert bearer(token(claims), path, NOW).roles == ("c",)
    with pytest.raises(InvalidTokenError):
        bearer(token(claims), _config(roles_claim_path="r.x"), NOW)
