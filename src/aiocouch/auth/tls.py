"""TLS with authorities and certificates of one's own."""

from __future__ import annotations

import ssl
from typing import TYPE_CHECKING

from aiocouch.exception import InvalidInputError

if TYPE_CHECKING:
    import os

__all__ = ["tls"]


def tls(
    *,
    ca: str | os.PathLike[str] | None = None,
    certificate: str | os.PathLike[str] | None = None,
    key: str | os.PathLike[str] | None = None,
    password: str | None = None,
) -> ssl.SSLContext:
    """Return how to speak with a server by https: `CouchDB(url, tls=tls(ca=…))`.

    `ca` is a file with the certificates of the authorities to trust, in PEM, instead of those of the
    system. `certificate` is a file with the client's own, `key` one with its private key (None: it is
    in the same file), `password` what that is encrypted with.

    Raise `InvalidInputError` for files that are not certificates or do not fit, `OSError` for files
    that cannot be read. Reads files: call it before the event loop is busy.
    """
    if certificate is None and (key is not None or password is not None):
        raise InvalidInputError("a private key without a certificate")
    try:
        context = ssl.create_default_context(cafile=ca)
        if certificate is not None:
            context.load_cert_chain(certificate, key, password or "")
    except ssl.SSLError as error:
        raise InvalidInputError(f"not TLS certificates that fit: {error.reason}") from error
    return context
