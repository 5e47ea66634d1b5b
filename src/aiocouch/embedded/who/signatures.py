"""Signatures of JSON Web Tokens with public keys: RS256, ES256 and their longer relatives.

They need the package `cryptography` (`pip install 'aiocouch[jwt]'`), which is imported with the
first such token.
"""

from __future__ import annotations

from importlib.util import find_spec
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.types import PublicKeyTypes

ALGORITHMS = {"RS": "rsa", "ES": "ec"}
"""How the names of the algorithms begin, and the kinds of keys they take."""

SIZES = ("256", "384", "512")
"""How the names end: the bits of the digest."""


class BadKeyError(ValueError):
    """The key of the settings is bad, or for another algorithm."""


def are_available() -> bool:
    """Return whether public keys can be used here."""
    return find_spec("cryptography") is not None


def is_signed(algorithm: str, pem: str, text: bytes, signature: bytes) -> bool:
    """Return whether a signature is that of a text; `pem` is the public key.

    `algorithm` is one such as RS256. Raise BadKeyError.
    """
    from cryptography.exceptions import InvalidSignature

    check = _rsa if algorithm.startswith("RS") else _ecdsa
    try:
        check(_load(pem), algorithm[2:], text, signature)
    except InvalidSignature:
        return False
    return True


def _load(pem: str) -> PublicKeyTypes:
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.serialization import load_pem_public_key

    try:
        return load_pem_public_key(pem.encode())
    except (ValueError, UnsupportedAlgorithm) as error:
        raise BadKeyError("Not a valid key") from error


def _rsa(key: PublicKeyTypes, size: str, text: bytes, signature: bytes) -> None:
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

    if not isinstance(key, RSAPublicKey):
        raise BadKeyError("not an RSA public key")
    key.verify(signature, text, PKCS1v15(), getattr(hashes, f"SHA{size}")())


def _ecdsa(key: PublicKeyTypes, size: str, text: bytes, signature: bytes) -> None:
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric.ec import ECDSA, EllipticCurvePublicKey
    from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature

    if not isinstance(key, EllipticCurvePublicKey):
        raise BadKeyError("not an EC public key")
    # two numbers of one size, one after the other
    half = len(signature) // 2
    pair = (int.from_bytes(part, "big") for part in (signature[:half], signature[half:]))
    key.verify(encode_dss_signature(*pair), text, ECDSA(getattr(hashes, f"SHA{size}")()))
