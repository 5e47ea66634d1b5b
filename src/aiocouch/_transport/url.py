"""The URL of a server."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, TypeAlias

from yarl import URL

from aiocouch.exception import InvalidInputError, InvalidTypeError

if TYPE_CHECKING:
    from aiocouch._transport.host import Host

__all__ = ["Servers", "split", "split_all"]

Servers: TypeAlias = "str | URL | Sequence[str | URL] | Host | None"
"""A server by its URL, or the nodes of a cluster, those that are preferred first; or one in this process."""


def split_all(servers: Servers) -> tuple[list[str], str | None, str | None]:
    """Return the URLs without credentials and without a slash at their ends; the user and password in them.

    Raise as `split` does, and `InvalidInputError` for no node, or nodes with different credentials.
    """
    if isinstance(servers, Sequence) and not isinstance(servers, str):
        parts = [split(each) for each in servers]
    else:
        parts = [split(servers)]
    urls = list(dict.fromkeys(url for url, _, _ in parts))
    given = {(user, password) for _, user, password in parts if user}
    if not urls:
        raise InvalidInputError("the list of servers is empty")
    if len(given) > 1:
        raise InvalidInputError("the nodes of one cluster must not have different credentials")
    user, password = given.pop() if given else (None, None)
    return urls, user, password


def split(server: str | URL | Host | None) -> tuple[str, str | None, str | None]:
    """Return the URL without its credentials and without a slash at its end; their user and password.

    Raise `InvalidTypeError` for what is neither text nor URL, `InvalidInputError` for one that is
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
        raise InvalidInputError("the server is not a URL that can be read") from None
    bare = url.with_user(None) if url.host else url
    if url.scheme not in {"http", "https"} or not url.host or port is None:
        raise InvalidInputError(f"the server must be an http or https URL with a host: {bare!s}")
    if url.query_string or url.fragment:
        raise InvalidInputError(f"the server's URL must have no query and no fragment: {bare!s}")
    return str(bare).rstrip("/"), user, password
