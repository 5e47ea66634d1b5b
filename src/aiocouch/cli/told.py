"""What a person is told of an error: what has happened, in words, and what can be done about it."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import aiohttp

from aiocouch import CouchDBError, NotFoundError, TransportError, UnauthorizedError

if TYPE_CHECKING:
    import argparse

__all__ = ["CONNECT", "words_of", "words_of_system"]

CONNECT = 10.0
"""Seconds until a connection must stand: a person waits for it."""

_HOW_TO_LOG_IN = (
    "Say who you are: --user NAME, COUCHDB_USER and COUCHDB_PASSWORD, a profile, or the URL"
)


def words_of(error: BaseException, given: argparse.Namespace) -> str:
    """Return what is told of an error that has ended a command."""
    if isinstance(error, TransportError):
        return _of_transport(error)
    if isinstance(error, OSError) and not isinstance(error, CouchDBError):
        return words_of_system(error)
    if isinstance(error, UnicodeError):
        return f"a text that is not UTF-8: {getattr(error, 'reason', error)}"
    words = str(error)
    if isinstance(error, UnauthorizedError):
        return f"{words.rstrip('.')}. {_HOW_TO_LOG_IN}"
    below = getattr(given, "servers_below", ())
    if isinstance(error, NotFoundError) and below:
        return f"{words.rstrip('.')}. {_HOW_TO_NAME.format(' and '.join(below))}"
    return words


_HOW_TO_NAME = (
    "The server was looked for at {}: all before the last / of a URL is the server, and a / in the name of "
    "a database is written as %2F"
)


def words_of_system(error: OSError) -> str:
    """Return what the system says, without its number."""
    if not error.strerror:
        return str(error)
    return error.strerror if error.filename is None else f"{error.filename}: {error.strerror}"


def _of_transport(error: TransportError) -> str:
    """Return it without what only who writes programs wants to know."""
    if isinstance(error, aiohttp.ClientConnectorError) and not isinstance(
        error, aiohttp.ClientSSLError
    ):
        return f"no answer from {error.host}, port {error.port}: {_reason(error.os_error)}"
    if isinstance(error, aiohttp.ClientConnectorSSLError):
        return (
            f"{error.host}, port {error.port}, does not speak https as it should: {error.os_error}"
        )
    if isinstance(error, aiohttp.ClientConnectorCertificateError):
        why = getattr(error.certificate_error, "verify_message", error.certificate_error)
        return f"the certificate of {error.host}, port {error.port}, is not trusted: {why} (--ca)"
    if isinstance(error, aiohttp.ConnectionTimeoutError):
        return f"{error.method} {error.path}: no connection came about in {CONNECT:.0f} seconds"
    if isinstance(error, aiohttp.ClientPayloadError):
        return f"{error.method} {error.path}: the answer broke off"
    return str(error)


def _reason(error: OSError) -> str:
    """Return why no connection came about: the loop puts the address into what the system says."""
    if isinstance(error.errno, int) and error.errno > 0:
        return os.strerror(error.errno)
    return error.strerror or str(error)
