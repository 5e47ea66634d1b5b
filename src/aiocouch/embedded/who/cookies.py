"""The `AuthSession` cookie: what is in it, how it is signed, and how it is sent. Pure."""

from __future__ import annotations

import base64
import binascii
import hmac
from email.utils import formatdate
from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from aiocouch.embedded.node.config import Configuration

COOKIE = "AuthSession"
DEFAULT_TIMEOUT = 600
"""Seconds that a session lives without a renewal."""

_DIGESTS = {"sha": "sha1", "blake2b": "blake2b", "blake2s": "blake2s", "md5": "md5"} | {
    f"sha{family}{size}": f"sha{family}{size}"
    for family in ("", "3_")
    for size in (224, 256, 384, 512)
}
HASHES = tuple(_DIGESTS)
"""The names of hashes, as CouchDB writes them."""

_RENEW_BELOW = 0.9


class MalformedCookieError(ValueError):
    """A cookie that was never made by a CouchDB."""


class Session(msgspec.Struct, frozen=True):
    """A cookie's content, not yet checked. `time` is the text of a hexadecimal number."""

    name: str
    time: str
    signature: bytes

    @property
    def signed(self) -> str:
        """The text that the signature is of."""
        return f"{self.name}:{self.time}"


class CookieSettings(msgspec.Struct, frozen=True):
    """How cookies are made: section `chttpd_auth`."""

    timeout: int
    algorithms: tuple[str, ...]
    persistent: bool
    domain: str
    same_site: str

    @classmethod
    def of(cls, config: Configuration) -> CookieSettings:
        """Read the settings as they are now."""
        return cls(
            config.integer("chttpd_auth", "timeout", DEFAULT_TIMEOUT),
            _algorithms(config.text("chttpd_auth", "hash_algorithms", "sha256, sha")),
            config.flag("chttpd_auth", "allow_persistent_cookies", default=True),
            config.text("chttpd_auth", "cookie_domain"),
            config.text("chttpd_auth", "same_site").lower(),
        )

    @property
    def digests(self) -> tuple[str, ...]:
        """The names under which Python knows the algorithms."""
        return tuple(_DIGESTS[name] for name in self.algorithms)


def find_cookie(header: str | None) -> str | None:
    """Return the value of the session cookie in a `Cookie` header; None when it has none."""
    return next((value for name, value in read_cookies(header) if name == COOKIE), None) or None


def read_cookies(header: str | None) -> list[tuple[str, str]]:
    """Return the names and values in a `Cookie` header."""
    if not header:
        return []
    parts = (part.strip().partition("=") for part in header.split(";"))
    return [(name, value.strip('"')) for name, _, value in parts if name]


def parse_session(value: str) -> Session:
    """Take a cookie's value apart. Raise MalformedCookieError."""
    try:
        name, time, signature = _decode(value).split(b":", 2)
        return Session(name.decode(), time.decode("ascii"), signature)
    except ValueError as error:
        message = "Malformed AuthSession cookie. Please clear your cookies."
        raise MalformedCookieError(message) from error


def make_session(name: str, key: bytes, now: int, settings: CookieSettings) -> str:
    """Return the value of a new cookie; `now` in seconds since 1970."""
    data = f"{name}:{now:X}".encode()
    signature = hmac.digest(key, data, settings.digests[0])
    return base64.urlsafe_b64encode(data + b":" + signature).rstrip(b"=").decode()


def seconds_left(session: Session, now: int, settings: CookieSettings) -> int | None:
    """Return the seconds for which a session goes on; None when it is over."""
    try:
        left = int(session.time, 16) + settings.timeout - now
    except ValueError:
        return None
    return left if left > 0 else None


def is_signed_with(
    message: str, signature: bytes, keys: Iterable[bytes], settings: CookieSettings
) -> bool:
    """Return whether a text was signed with one of the keys; all are tried, which takes one time."""
    text = message.encode(errors="surrogateescape")
    genuine = [
        hmac.compare_digest(hmac.digest(key, text, digest), signature)
        for key in keys
        for digest in settings.digests
    ]
    return any(genuine)


def needs_renewal(left: int, settings: CookieSettings) -> bool:
    """Return whether a tenth of the time-out has gone by, so that a fresh cookie is due."""
    return left < settings.timeout * _RENEW_BELOW


def session_cookie(value: str, settings: CookieSettings, *, now: int, secure: bool) -> str:
    """Return the `Set-Cookie` header; an empty value logs out."""
    return "; ".join([f"{COOKIE}={value}", "Version=1", *_attributes(settings, now, secure)])


def _attributes(settings: CookieSettings, now: int, secure: bool) -> Iterator[str]:
    if settings.persistent:
        yield f"Expires={_date(now + settings.timeout)}"
        yield f"Max-Age={max(settings.timeout, 0)}"
    if settings.domain:
        yield f"Domain={settings.domain}"
    yield "Path=/"
    if secure:
        yield "Secure"
    yield "HttpOnly"
    if settings.same_site in ("none", "lax", "strict"):
        yield f"SameSite={settings.same_site.capitalize()}"


def _date(seconds: int) -> str:
    # Browsers and CouchDB write the date of a cookie with dashes.
    weekday, day, month, year, *rest = formatdate(seconds, usegmt=True).split(" ")
    return f"{weekday} {day}-{month}-{year} {' '.join(rest)}"


def _algorithms(text: str) -> tuple[str, ...]:
    known = tuple(name.strip() for name in text.split(",") if name.strip() in _DIGESTS)
    return known or ("sha256", "sha")


def _decode(value: str) -> bytes:
    if "=" in value:
        raise MalformedCookieError("CouchDB writes no padding")
    padded = value + "=" * (-len(value) % 4)
    try:
        return base64.b64decode(padded, altchars=b"-_", validate=True)
    except binascii.Error as error:
        raise MalformedCookieError(str(error)) from error
