"""Tokens of pages: where the next one begins, as text that a program can hand out and take again. Pure."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from typing import Any, TypeVar

import msgspec

from aiocouch._errors import InvalidInputError, InvalidTypeError
from aiocouch._wire.codec import encode, encode_sorted

__all__ = ["TokenMaker"]

T = TypeVar("T")
_PRINT_SIZE = 9  # bytes; each three of them are four characters
_SIGN_SIZE = 18


class _Content(msgspec.Struct, array_like=True, forbid_unknown_fields=True):
    query: str  # the fingerprint
    state: Any


_CONTENT = msgspec.json.Decoder(_Content)


class TokenMaker:
    """Makes and reads the tokens of one query, which is any JSON. With a `secret` they are signed."""

    def __init__(self, query: Any, secret: str | bytes | None) -> None:
        if secret is not None and (not isinstance(secret, str | bytes) or not secret):
            raise InvalidTypeError("the secret must be a str or bytes, and not empty")
        self._secret = secret.encode() if isinstance(secret, str) else secret
        text = encode_sorted(msgspec.json.decode(encode(query)))
        self._print = _text(hashlib.sha256(text).digest()[:_PRINT_SIZE])

    def make(self, state: Any) -> str:
        """Return the token of a state, which is JSON."""
        body = encode([self._print, state])
        return _text(body) + self._signature(body)

    def read(self, token: str, into: type[T]) -> T:
        """Return the state, of its type. Raise `InvalidInputError` for what is not a token of this query."""
        if not isinstance(token, str):
            raise InvalidTypeError(f"a token must be a str, not {type(token).__name__}")
        head, dot, _ = token.partition(".")
        try:
            body = base64.b64decode(head + "=" * (-len(head) % 4), b"-_", validate=True)
            content = _CONTENT.decode(body)
        except (binascii.Error, ValueError, msgspec.MsgspecError, RecursionError):
            raise InvalidInputError("this is not a token of a page") from None
        if _text(body) != head:  # the last sign may have bits that are not of the body
            raise InvalidInputError("this is not a token of a page")
        if not hmac.compare_digest(token[len(head) :].encode(), self._signature(body).encode()):
            why = "its signature is wrong" if dot else "it is not signed"
            raise InvalidInputError(f"this is not a token of a page of ours: {why}")
        if content.query != self._print:
            raise InvalidInputError("the token belongs to another query")
        try:
            return msgspec.convert(content.state, into)
        except msgspec.ValidationError:
            raise InvalidInputError("this is not a token of a page") from None

    def _signature(self, body: bytes) -> str:
        if self._secret is None:
            return ""
        return "." + _text(hmac.digest(self._secret, body, "sha256")[:_SIGN_SIZE])


def _text(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()
