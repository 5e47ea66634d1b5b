"""JSON Web Tokens, as CouchDB checks them when `jwt_authentication_handler` is switched on.

HS256, HS384 and HS512 are always served. RS* and ES* need the package `cryptography`: without it
their tokens are refused with a reason that says so.
"""

from __future__ import annotations

import base64
import hmac
import math
import re
from typing import TYPE_CHECKING, Any, TypeGuard

import msgspec

from aiocouch.embedded.erlang_text import printed
from aiocouch.embedded.identity import UserName, split_roles
from aiocouch.embedded.who import signatures

if TYPE_CHECKING:
    from aiocouch.embedded.node.config import Configuration

_DIGESTS = {"HS256": "sha256", "HS384": "sha384", "HS512": "sha512"}
_KINDS = {
    **dict.fromkeys(_DIGESTS, "hmac"),
    **{
        f"{family}{size}": kind
        for family, kind in signatures.ALGORITHMS.items()
        for size in signatures.SIZES
    },
}
_CLAIM = re.compile(r'([a-z]+)|\{([a-z]+)\s*,\s*"([^"]+)"\}')
_CHECKS = frozenset({"exp", "iat", "iss", "kid", "nbf", "sig", "typ"})
_UNESCAPED_DOT = re.compile(r"(?<!\\)\.")

Claims = dict[str, Any]


class InvalidTokenError(ValueError):
    """A token that is not what it should be (status 400)."""


class ExpiredTokenError(ValueError):
    """A genuine token outside its time, or without a user (status 401)."""


class MissingClaimError(ValueError):
    """A token without what `roles_claim_path` leads to (status 404)."""


class MisconfiguredError(ValueError):
    """`required_claims` that cannot be read, or bad roles (status 500).

    `error` says what is wrong with them.
    """

    def __init__(self, error: str, reason: str) -> None:
        super().__init__(reason)
        self.error = error


class Bearer(msgspec.Struct, frozen=True):
    """Whom a token stands for."""

    name: UserName
    roles: tuple[str, ...]


def bearer(token: str, config: Configuration, now: int) -> Bearer:
    """Check a token and say whom it stands for.

    Raise InvalidTokenError, ExpiredTokenError, MissingClaimError and MisconfiguredError. `now`
    in seconds.
    """
    required = _required_claims(config.text("jwt_auth", "required_claims", "exp"))
    claims = _verified_claims(token, config, required, now)
    roles = _roles(claims, config)
    if "sub" not in claims:
        raise ExpiredTokenError("Token missing sub claim.")
    return Bearer(claims["sub"], roles)


def _verified_claims(
    token: str, config: Configuration, required: dict[str, str | None], now: int
) -> Claims:
    parts = token.split(".")
    if len(parts) != 3:
        raise InvalidTokenError("Malformed token")
    header = _object(parts[0])
    if "typ" in required:
        _check_type(header)
    algorithm = _algorithm(header)
    claims = _object(parts[1])
    _check_claims(claims, required, now)
    if "kid" in required and header.get("kid") is None:
        raise InvalidTokenError("Missing kid claim")
    key = _key(algorithm, header.get("kid"), config)
    _check_signature(algorithm, key, f"{parts[0]}.{parts[1]}".encode(), _bytes(parts[2]))
    return claims


def _check_type(header: Claims) -> None:
    if header.get("typ") is None:
        raise InvalidTokenError("Missing typ header parameter")
    if header["typ"] != "JWT":
        raise InvalidTokenError("Invalid typ header parameter")


def _check_signature(algorithm: str, key: str, signed: bytes, signature: bytes) -> None:
    if algorithm in _DIGESTS:
        expected = hmac.digest(_secret(key), signed, _DIGESTS[algorithm])
        if not hmac.compare_digest(expected, signature):
            raise InvalidTokenError("Bad HMAC")
        return
    if not signatures.are_available():
        raise InvalidTokenError(f"{algorithm} is not served without the package cryptography")
    try:
        genuine = signatures.is_signed(algorithm, key.replace("\\n", "\n"), signed, signature)
    except signatures.BadKeyError as error:
        raise InvalidTokenError(str(error)) from error
    if not genuine:
        raise InvalidTokenError("Bad signature")


def _required_claims(text: str) -> dict[str, str | None]:
    """Read what a token must have; what CouchDB cannot check lets nobody in."""
    found = [(name or named, value or None) for name, named, value in _CLAIM.findall(text)]
    if text and not found:
        raise MisconfiguredError("misconfigured_server", "JWT is not configured correctly")
    names = ["alg", *(name for name, _ in found)]
    repeated = {name: None for name in names if names.count(name) > 1}
    if repeated:
        raise MisconfiguredError("duplicate_checks", f"[{','.join(repeated)}]")
    unknown = [_shown(*claim) for claim in found if claim[0] not in _CHECKS]
    if unknown:
        raise MisconfiguredError("unknown_checks", f"[{','.join(unknown)}]")
    return dict(found)


def _shown(name: str, value: str | None) -> str:
    return name if value is None else f"{{{name},{printed(value)}}}"


def _algorithm(header: Claims) -> str:
    algorithm = header.get("alg")
    if algorithm is None:
        raise InvalidTokenError("Missing alg header parameter")
    if isinstance(algorithm, str) and algorithm in _KINDS:
        return algorithm
    raise InvalidTokenError("Invalid alg header parameter")


def _check_claims(claims: Claims, required: dict[str, str | None], now: int) -> None:
    for name in ("iss", "iat", "nbf", "exp"):
        if name in required:
            if name not in claims:
                raise InvalidTokenError(f"Missing {name} claim")
            _check_claim(name, claims[name], required[name], now)


def _check_claim(name: str, value: object, expected: str | None, now: int) -> None:
    if name == "iss" and value != expected:
        raise InvalidTokenError("Invalid iss claim")
    if name == "iat" and not _is_integer(value):
        raise InvalidTokenError("Invalid iat claim")
    # In the order of Erlang whatever is not a number comes after all numbers, and so never ends.
    time = value if _is_number(value) else math.inf
    if name == "nbf" and not time < now:
        raise ExpiredTokenError("nbf not in past")
    if name == "exp" and not time > now:
        raise ExpiredTokenError("exp not in future")


def _is_number(value: object) -> TypeGuard[int | float]:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _is_integer(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _key(algorithm: str, kid: object, config: Configuration) -> str:
    key = config.get("jwt_keys", f"{_KINDS[algorithm]}:{'_default' if kid is None else kid}")
    if key is None:
        raise InvalidTokenError("Unknown kid")
    return key


def _secret(key: str) -> bytes:
    try:
        return base64.b64decode(key, validate=True)
    except ValueError as error:
        raise InvalidTokenError("Not a valid key") from error


def _roles(claims: Claims, config: Configuration) -> tuple[str, ...]:
    path = config.get("jwt_auth", "roles_claim_path")
    if path is None:
        roles = claims.get(config.text("jwt_auth", "roles_claim_name", "_couchdb.roles"), [])
    else:
        roles = _nested(claims, path)
    if isinstance(roles, str):
        roles = list(split_roles(roles))
    if not isinstance(roles, list):
        raise MisconfiguredError("unknown_error", "badarg")  # CouchDB trips over it
    if not all(isinstance(role, str) for role in roles):
        raise InvalidTokenError("Malformed token")
    return tuple(roles)


def _nested(claims: Claims, path: str) -> object:
    """Return what stands at a path; a dot is part of a name where a backslash is before it."""
    value: object = claims
    for step in _UNESCAPED_DOT.split(path):
        if not isinstance(value, dict):
            raise MissingClaimError("json_mismatch")
        name = step.replace("\\.", ".")
        if name not in value:
            raise MissingClaimError(f"missing json key: {name}")
        value = value[name]
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
