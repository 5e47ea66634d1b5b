"""JSON Web Tokens, as CouchDB checks them when `jwt_authentication_handler` is switched on.

HS256, HS384 and HS512 are served. RS* and ES* need a cryptography library that the package does
not depend on: their tokens are refused with a reason that says so.
"""

from __future__ import annotations

import base64
import hmac
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from aiocouch.embedded.config import Configuration

_DIGESTS = {"HS256": "sha256", "HS384": "sha384", "HS512": "sha512"}
_ASYMMETRIC = frozenset({"RS256", "RS384", "RS512", "ES256", "ES384", "ES512"})
_CLAIM = re.compile(r'([a-z]+)|\{([a-z]+)\s*,\s*"([^"]+)"\}')
_UNESCAPED_DOT = re.compile(r"(?<!\\)\.")
_COMMA = re.compile(r"\s*,\s*")

Claims = dict[str, object]


class InvalidTokenError(ValueError):
    """A token that is not what it should be (status 400)."""


class ExpiredTokenError(ValueError):
    """A genuine token outside of its time, or without a user (status 401)."""


class MisconfiguredError(ValueError):
    """`required_claims` that cannot be read (status 500)."""


@dataclass(frozen=True, slots=True)
class Bearer:
    """Whom a token stands for."""

    name: str
    roles: tuple[str, ...]


def bearer(token: str, config: Configuration, now: int) -> Bearer:
    """Check a token and say whom it stands for.

    Raises InvalidTokenError, ExpiredTokenError and MisconfiguredError. `now` in seconds.
    """
    required = _required_claims(config.text("jwt_auth", "required_claims", "exp"))
    claims = _verified_claims(token, config, required, now)
    roles = _roles(claims, config)
    name = claims.get("sub")
    if not isinstance(name, str):
        raise ExpiredTokenError("Token missing sub claim.")
    return Bearer(name, roles)


def _verified_claims(
    token: str, config: Configuration, required: dict[str, str | None], now: int
) -> Claims:
    parts = token.split(".")
    if len(parts) != 3:
        raise InvalidTokenError("Malformed token")
    header = _object(parts[0])
    if header.get("typ", "JWT") != "JWT":
        raise InvalidTokenError("Invalid typ header parameter")
    algorithm = _algorithm(header)
    claims = _object(parts[1])
    _check_claims(claims, required, now)
    if "kid" in required and header.get("kid") is None:
        raise InvalidTokenError("Missing kid claim")
    signed = f"{parts[0]}.{parts[1]}".encode()
    expected = hmac.digest(_key(algorithm, header.get("kid"), config), signed, _DIGESTS[algorithm])
    if not hmac.compare_digest(expected, _bytes(parts[2])):
        raise InvalidTokenError("Bad HMAC")
    return claims


def _required_claims(text: str) -> dict[str, str | None]:
    found: dict[str, str | None] = {}
    for name, named, value in _CLAIM.findall(text):
        found[name or named] = value or None
    if text and not found:
        raise MisconfiguredError("JWT is not configured correctly")
    return found


def _algorithm(header: Claims) -> str:
    algorithm = header.get("alg")
    if algorithm is None:
        raise InvalidTokenError("Missing alg header parameter")
    if isinstance(algorithm, str) and algorithm in _DIGESTS:
        return algorithm
    if algorithm in _ASYMMETRIC:
        raise InvalidTokenError(f"{algorithm} is not served by the embedded server")
    raise InvalidTokenError("Invalid alg header parameter")


def _check_claims(claims: Claims, required: dict[str, str | None], now: int) -> None:
    for name in ("iss", "iat", "nbf", "exp"):
        if name in required:
            _check_claim(name, claims.get(name), required[name], now)


def _check_claim(name: str, value: object, expected: str | None, now: int) -> None:
    if value is None:
        raise InvalidTokenError(f"Missing {name} claim")
    if name == "iss" and value != expected:
        raise InvalidTokenError("Invalid iss claim")
    if name == "iat" and not _is_integer(value):
        raise InvalidTokenError("Invalid iat claim")
    if name == "nbf" and not (isinstance(value, int | float) and value < now):
        raise ExpiredTokenError("nbf not in past")
    if name == "exp" and not (isinstance(value, int | float) and value > now):
        raise ExpiredTokenError("exp not in future")


def _is_integer(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _key(algorithm: str, kid: object, config: Configuration) -> bytes:
    del algorithm  # every algorithm that is served takes an "hmac" key
    encoded = config.get("jwt_keys", f"hmac:{'_default' if kid is None else kid}")
    if encoded is None:
        raise InvalidTokenError("Unknown kid")
    try:
        return base64.b64decode(encoded, validate=True)
    except ValueError as error:
        raise InvalidTokenError("Not a valid key") from error


def _roles(claims: Claims, config: Configuration) -> tuple[str, ...]:
    path = config.get("jwt_auth", "roles_claim_path")
    if path is None:
        roles = claims.get(config.text("jwt_auth", "roles_claim_name", "_couchdb.roles"), [])
    else:
        roles = _nested(claims, path)
    if isinstance(roles, str):
        roles = _COMMA.split(roles)
    if not isinstance(roles, list) or not all(isinstance(role, str) for role in roles):
        raise InvalidTokenError("Malformed token")
    return tuple(roles)


def _nested(claims: Claims, path: str) -> object:
    value: object = claims
    for step in _UNESCAPED_DOT.split(path):
        if not isinstance(value, dict):
            raise InvalidTokenError("Malformed token")
        value = value.get(step.replace("\\.", "."))
    return value


def _object(part: str) -> Claims:
    try:
        value = msgspec.json.decode(_bytes(part))
    except ValueError as error:
        raise InvalidTokenError("Malformed token") from error
    if not isinstance(value, dict):
        raise InvalidTokenError("Not an object")
    return value


def _bytes(part: str) -> bytes:
    try:
        return base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))
    except ValueError as error:
        raise InvalidTokenError("Malformed token") from error
