"""Time-based one-time passwords (RFC 6238), which an account may demand at log-in. Pure."""

from __future__ import annotations

import base64
import binascii
import hmac
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

_STEP = 30
_DIGESTS = {"sha": "sha1", "sha1": "sha1", "sha256": "sha256", "sha512": "sha512"}


def is_right_token(settings: Mapping[str, Any], token: str, now: int) -> bool:
    """Return whether `token` is the account's at `now` (seconds), one step early or late included.

    `settings` has `key` (base32) and may have `algorithm` and `length`.
    """
    digest = _DIGESTS.get(str(settings.get("algorithm", "sha")))
    key = _key(settings.get("key"))
    length = settings.get("length", 6)
    if digest is None or key is None or not isinstance(length, int):
        return False
    tokens = [_token(digest, key, now + drift, length) for drift in (-_STEP, 0, _STEP)]
    return any(hmac.compare_digest(right.encode(), token.encode()) for right in tokens)


def _key(text: object) -> bytes | None:
    if not isinstance(text, str):
        return None
    try:
        return base64.b32decode(text + "=" * (-len(text) % 8), casefold=True)
    except binascii.Error:
        return None


def _token(digest: str, key: bytes, now: int, length: int) -> str:
    mac = hmac.digest(key, (now // _STEP).to_bytes(8, "big"), digest)
    offset = mac[-1] & 0x0F
    number = int.from_bytes(mac[offset : offset + 4], "big") & 0x7FFFFFFF
    return str(number).zfill(length)[-length:]
