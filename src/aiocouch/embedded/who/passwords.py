"""Password hashes as CouchDB keeps them: in `_users` documents and in the `admins` section.

Everything here is pure computation; deriving a key is slow on purpose (0.1 to 0.5 seconds), so
callers run it in a thread.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
from functools import lru_cache
from typing import TYPE_CHECKING

import msgspec

from aiocouch.embedded.erlang_text import printed
from aiocouch.embedded.who.requirements import check_requirements

if TYPE_CHECKING:
    from collections.abc import Mapping

    from aiocouch.embedded.node.config import Configuration

DEFAULT_ITERATIONS = 600_000

_DIGESTS = {
    "sha": "sha1",
    "sha224": "sha224",
    "sha256": "sha256",
    "sha384": "sha384",
    "sha512": "sha512",
}
_PASSWORD_FIELDS = frozenset(
    {
        "derived_key",
        "iterations",
        "password",
        "password_scheme",
        "password_sha",
        "preserve_salt",
        "pbkdf2_prf",
        "salt",
    }
)
_CANNOT_HASH = "Server cannot hash passwords at this time."
_ADMIN_PBKDF2 = re.compile(r"-pbkdf2(?::(sha|sha224|sha256|sha384|sha512))?-([^,]*),([^,]*),(\d+)")
_ADMIN_SIMPLE = re.compile(r"-hashed-([^,]*),(.*)")


class PasswordRefusedError(ValueError):
    """A password that does not follow the rules of `password_regexp` (status 400)."""


class CannotHashError(ValueError):
    """Settings or stored values with which no hash can be made or checked (status 403)."""


class Credentials(msgspec.Struct, frozen=True):
    """What is stored about one account's password, and the roles it brings."""

    roles: tuple[str, ...]
    salt: str
    scheme: str
    prf: str
    iterations: int
    expected: str | None
    """The hash, in hex; None when the account has no password."""

    def __repr__(self) -> str:
        return f"Credentials(roles={self.roles!r}, scheme={self.scheme!r})"

    def with_roles(self, roles: tuple[str, ...]) -> Credentials:
        """Return the same credentials with more roles."""
        merged = (*self.roles, *(role for role in roles if role not in self.roles))
        return Credentials(merged, self.salt, self.scheme, self.prf, self.iterations, self.expected)


class HashSettings(msgspec.Struct, frozen=True):
    """How new hashes are made: section `chttpd_auth`."""

    scheme: str
    prf: str
    iterations: int
    requirements: str

    @classmethod
    def of(cls, config: Configuration) -> HashSettings:
        """Read the settings as they are now."""
        return cls(
            config.text("chttpd_auth", "password_scheme", "pbkdf2"),
            config.text("chttpd_auth", "pbkdf2_prf", "sha256"),
            config.integer("chttpd_auth", "iterations", DEFAULT_ITERATIONS),
            config.text("chttpd_auth", "password_regexp"),
        )


def document_credentials(body: Mapping[str, object]) -> Credentials:
    """Read the credentials out of the body of a `_users` document."""
    scheme = _string(body, "password_scheme", "simple")
    expected = body.get("password_sha" if scheme == "simple" else "derived_key")
    iterations = body.get("iterations", 10_000)
    return Credentials(
        _roles(body.get("roles")),
        _string(body, "salt", ""),
        scheme,
        _string(body, "pbkdf2_prf", "sha"),
        iterations if isinstance(iterations, int) else 0,
        expected if isinstance(expected, str) else None,
    )


def admin_credentials(text: str) -> Credentials | None:
    """Read the credentials out of a value of the `admins` section; None for a plain password."""
    return _hashed_credentials(text) if text.startswith("-") else None


@lru_cache(maxsize=64)
def _hashed_credentials(text: str) -> Credentials | None:
    if match := _ADMIN_PBKDF2.fullmatch(text):
        prf, key, salt, iterations = match.groups()
        return Credentials(("_admin",), salt, "pbkdf2", prf or "sha", int(iterations), key)
    if match := _ADMIN_SIMPLE.fullmatch(text):
        return Credentials(("_admin",), match[2], "simple", "sha", 0, match[1])
    return None


def hash_admin(password: str, settings: HashSettings, salt: str | None = None) -> str:
    """Make a value for the `admins` section. Slow."""
    salt = salt or new_salt()
    if settings.scheme == "simple":
        return f"-hashed-{_simple(password, salt)},{salt}"
    key = derive(settings.prf, password, salt, settings.iterations)
    return f"-pbkdf2:{settings.prf}-{key},{salt},{settings.iterations}"


def hash_document(body: dict[str, object], settings: HashSettings) -> dict[str, object]:
    """Return the body of a `_users` document with its `password` replaced by a hash. Slow.

    Without a password (missing or null) the body is returned as it is. Raise
    PasswordRefusedError and CannotHashError.
    """
    password = body.get("password")
    if password is None:
        return body
    _check_scheme(settings)
    _check_requirements(password, settings.requirements)
    if not isinstance(password, str):
        raise CannotHashError(f"Password value of '{printed(password)}' is invalid.")
    salt = _string(body, "salt", "") if body.get("preserve_salt") is True else ""
    hashed = _hash_fields(password, salt or new_salt(), settings)
    hashed.update((key, value) for key, value in body.items() if key not in _PASSWORD_FIELDS)
    return hashed


def matches(credentials: Credentials, password: str) -> bool:
    """Return whether the password is the account's. Slow; takes the same time for any password."""
    if credentials.expected is None:
        return False
    if credentials.scheme == "simple":
        found = _simple(password, credentials.salt)
    elif credentials.scheme == "simple+pbkdf2":
        found = _derived(credentials, _simple(password, credentials.salt))
    else:
        found = _derived(credentials, password)
    return hmac.compare_digest(found.encode(), credentials.expected.encode())


def needs_upgrade(body: Mapping[str, object], settings: HashSettings) -> bool:
    """Return whether a user's hash was made in another way than new hashes are."""
    if settings.scheme == "simple":
        return body.get("password_scheme") != "simple"
    current = (body.get("password_scheme"), body.get("pbkdf2_prf"), body.get("iterations"))
    return current != (settings.scheme, settings.prf, settings.iterations)


def derive(prf: str, password: str, salt: str, iterations: int) -> str:
    """Return the PBKDF2 key in hex, as long as the digest. Raise CannotHashError. Slow."""
    digest = _DIGESTS.get(prf)
    if digest is None:
        raise CannotHashError("PRF is invalid")
    if iterations < 1:
        raise CannotHashError("Iteration count is too low for this server")
    return hashlib.pbkdf2_hmac(digest, password.encode(), salt.encode(), iterations).hex()


def new_salt() -> str:
    """Return a random salt of 32 hexadecimal digits."""
    return secrets.token_hex(16)


def _derived(credentials: Credentials, password: str) -> str:
    return derive(credentials.prf, password, credentials.salt, credentials.iterations)


def _hash_fields(password: str, salt: str, settings: HashSettings) -> dict[str, object]:
    if settings.scheme == "simple":
        sha = _simple(password, salt)
        return {"password_scheme": "simple", "salt": salt, "password_sha": sha}
    return {
        "password_scheme": "pbkdf2",
        "pbkdf2_prf": settings.prf,
        "salt": salt,
        "iterations": settings.iterations,
        "derived_key": derive(settings.prf, password, salt, settings.iterations),
    }


def _simple(password: str, salt: str) -> str:
    # The scheme of old accounts; CouchDB still accepts it.
    return hashlib.sha1((password + salt).encode(), usedforsecurity=False).hexdigest()


def _string(body: Mapping[str, object], key: str, default: str) -> str:
    value = body.get(key)
    return value if isinstance(value, str) else default


def _roles(value: object) -> tuple[str, ...]:
    if not isinstance(value, list):
        return ()
    return tuple(role for role in value if isinstance(role, str))


def _check_scheme(settings: HashSettings) -> None:
    if settings.scheme not in ("simple", "pbkdf2"):
        raise CannotHashError(_CANNOT_HASH)


def _check_requirements(password: object, setting: str) -> None:
    try:
        told = check_requirements(password if isinstance(password, str) else "", setting)
    except ValueError as error:
        raise CannotHashError(_CANNOT_HASH) from error
    if told is not None:
        raise PasswordRefusedError(told)
