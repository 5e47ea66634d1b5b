"""The URL of a server."""

from __future__ import annotations

from yarl import URL

from aiocouch.exception import InvalidInputError, InvalidTypeError

__all__ = ["split"]


def split(server: str | URL | None) -> tuple[str, str | None, str | None]:
    """The URL without its credentials and without a slash at its end; their user and password.

    Raises `InvalidTypeError` for what is neither text nor URL, `InvalidInputError` for one that is
    not of a server.
    """
    if server is None:
        raise InvalidTypeError("the server is None: is the variable that has its URL not set?")
    if not isinstance(server, str | URL):
        raise InvalidTypeError(f"the server must be a URL, not {type(server).__name__}")
    try:
        url = URL(server)
        user, password, port = url.user, url.password, url.port
    except (ValueError, UnicodeError):
        raise InvalidInputError("the server is no URL that can be read") from None
    bare = url.with_user(None) if url.host else url
    if url.scheme not in {"http", "https"} or not url.host or port is None:
        raise InvalidInputError(f"the server must be an http or https URL with a host: {bare!s}")
    if url.query_string or url.fragment:
        raise InvalidInputError(f"the server's URL must have no query and no fragment: {bare!s}")
    return str(bare).rstrip("/"), user, password
