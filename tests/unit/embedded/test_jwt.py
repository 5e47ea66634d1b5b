"""JSON Web Tokens."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from typing import Any

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from aiocouch.embedded.node.config import Configuration
from aiocouch.embedded.who import signatures
from aiocouch.embedded.who.jwt import (
    Bearer,
    ExpiredTokenError,
    InvalidTokenError,
    MisconfiguredError,
    MissingClaimError,
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
        (token({"sub": "m", "exp": NOW + 1}, b"wrong"), "Bad HMAC"),
        (token({"sub": "m", "exp": NOW + 1}, kid="none"), "Unknown kid"),
        (token({"sub": "m", "exp": NOW + 1}, kid="bad"), "Not a valid key"),
        (token({"sub": "m", "exp": NOW + 1}, alg="none"), "Invalid alg header parameter"),
        (token({"sub": "m", "exp": NOW + 1}, alg="RS256"), "Unknown kid"),
        (token({"sub": "m", "exp": NOW + 1}, alg="EdDSA"), "Invalid alg header parameter"),
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


@pytest.mark.parametrize(
    ("claims", "error", "reason"),
    [
        ("123", "misconfigured_server", "JWT is not configured correctly"),
        ("sub", "unknown_checks", "[sub]"),
        ("exp, {iss, me}", "unknown_checks", "[me]"),
        ('exp, {foo, "x"}', "unknown_checks", '[{foo,<<"x">>}]'),
        ("exp,exp", "duplicate_checks", "[exp]"),
        ("alg", "duplicate_checks", "[alg]"),
    ],
)
def test_claims_that_cannot_be_checked_let_nobody_in(claims: str, error: str, reason: str) -> None:
    with pytest.raises(MisconfiguredError) as caught:
        bearer(token({"sub": "m", "exp": NOW + 1}), _config(required_claims=claims), NOW)
    assert (caught.value.error, str(caught.value)) == (error, reason)


@pytest.mark.parametrize("sub", [5, 5.5, -1, True, None, "", ["a"], {"a": 1}, 10**20])
def test_a_user_may_be_any_json(sub: Any) -> None:
    assert bearer(token({"sub": sub, "exp": NOW + 1}), _config(), NOW).name == sub


def test_roles_from_elsewhere() -> None:
    claims = {"sub": "m", "exp": NOW + 1, "r": "a , b,", "n": "", "my.realm": {"roles": ["c"]}}
    assert bearer(token(claims), _config(roles_claim_name="r"), NOW).roles == ("a", "b")
    assert bearer(token(claims), _config(roles_claim_name="n"), NOW).roles == ("",)
    nested = _config(roles_claim_path="my\\.realm.roles")
    assert bearer(token(claims), nested, NOW).roles == ("c",)
    for path, reason in (("r.x", "json_mismatch"), ("q", "missing json key: q")):
        with pytest.raises(MissingClaimError, match=reason):
            bearer(token(claims), _config(roles_claim_path=path), NOW)


def test_the_type_counts_where_it_is_required() -> None:
    claims = {"sub": "m", "exp": NOW + 1}
    assert bearer(token(claims, typ="at+jwt"), _config(), NOW).name == "m"
    required = _config(required_claims="typ")
    assert bearer(token(claims, typ="JWT"), required, NOW).name == "m"
    with pytest.raises(InvalidTokenError, match="Missing typ header parameter"):
        bearer(token(claims), required, NOW)
    with pytest.raises(InvalidTokenError, match="Invalid typ header parameter"):
        bearer(token(claims, typ="at+jwt"), required, NOW)


# public keys

RSA_KEY = rsa.generate_private_key(65537, 2048)
EC_KEY = ec.generate_private_key(ec.SECP256R1())
MIA = {"sub": "mia", "exp": NOW + 1}


def _pem(key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey) -> str:
    """Give the public key as it stands in a settings file."""
    text = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    return text.decode().replace("\n", "\\n")


def _keys(**more: str) -> Configuration:
    keys = {"rsa:_default": _pem(RSA_KEY), "ec:_default": _pem(EC_KEY)}
    return Configuration(None, {"jwt_keys": {**keys, **more}})


def rsa_token(claims: Any, key: rsa.RSAPrivateKey = RSA_KEY, size: str = "256", **more: str) -> str:
    """Sign claims with RS256, RS384 or RS512."""
    signed = f"{_part({'alg': f'RS{size}', **more})}.{_part(claims)}"
    signature = key.sign(signed.encode(), PKCS1v15(), getattr(hashes, f"SHA{size}")())
    return f"{signed}.{base64.urlsafe_b64encode(signature).rstrip(b'=').decode()}"


def ec_token(claims: Any, size: str = "256") -> str:
    """Sign claims with ES256, ES384 or ES512."""
    signed = f"{_part({'alg': f'ES{size}'})}.{_part(claims)}"
    der = EC_KEY.sign(signed.encode(), ec.ECDSA(getattr(hashes, f"SHA{size}")()))
    signature = b"".join(number.to_bytes(32, "big") for number in decode_dss_signature(der))
    return f"{signed}.{base64.urlsafe_b64encode(signature).rstrip(b'=').decode()}"


@pytest.mark.parametrize("size", ["256", "384", "512"])
def test_public_keys(size: str) -> None:
    assert bearer(rsa_token(MIA, size=size), _keys(), NOW) == Bearer("mia", ())
    assert bearer(ec_token(MIA, size), _keys(), NOW) == Bearer("mia", ())


def test_signatures_of_somebody_else() -> None:
    other = rsa.generate_private_key(65537, 2048)
    signed, _, signature = ec_token(MIA).rpartition(".")
    tampered = f"{signed.partition('.')[0]}.{_part({**MIA, 'sub': 'eve'})}.{signature}"
    for text in (rsa_token(MIA, other), tampered, f"{signed}.", f"{signed}.AA"):
        with pytest.raises(InvalidTokenError, match="Bad signature"):
            bearer(text, _keys(), NOW)


@pytest.mark.parametrize(
    ("key", "reason"),
    [
        ("nonsense", "Not a valid key"),
        ("", "Not a valid key"),
        ("-----BEGIN PUBLIC KEY-----\\nAAAA\\n-----END PUBLIC KEY-----\\n", "Not a valid key"),
        (_pem(EC_KEY), "not an RSA public key"),
    ],
)
def test_keys_that_do_not_fit(key: str, reason: str) -> None:
    with pytest.raises(InvalidTokenError, match=reason):
        bearer(rsa_token(MIA, kid="k"), _keys(**{"rsa:k": key}), NOW)
    with pytest.raises(InvalidTokenError, match="not an EC public key"):
        bearer(ec_token(MIA), _keys(**{"ec:_default": _pem(RSA_KEY)}), NOW)


def test_without_cryptography(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(signatures, "are_available", lambda: False)
    with pytest.raises(InvalidTokenError, match="without the package cryptography"):
        bearer(rsa_token(MIA), _keys(), NOW)
    assert bearer(token(MIA), _config(), NOW).name == "mia"
