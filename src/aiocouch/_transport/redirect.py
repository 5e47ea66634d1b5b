"""Where a redirect leads, and whether one may go there."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import structs
from yarl import URL

from aiocouch._transport.request import SAFE

if TYPE_CHECKING:
    import aiohttp

    from aiocouch._transport.answer import Answered
    from aiocouch._transport.request import Request

__all__ = ["leads", "redirected"]

_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_MOST = 10


def redirected(request: Request, response: Answered | aiohttp.ClientResponse) -> Request | None:
    """Return the request that an answer leads to; None if it is not followed.

    A write is not: it would become a read, or be done twice. Nor is anything that leads to another
    server, for whoever answers there would get our headers and cookies.
    """
    target = _target(response)
    if target is None or request.method not in SAFE or request.redirects >= _MOST:
        return None
    if not _is_same_server(response.url, target):
        return None
    node = str(target.origin())
    return structs.replace(
        request, node=node, path=target.raw_path_qs, redirects=request.redirects + 1
    )


def leads(response: Answered | aiohttp.ClientResponse) -> str | None:
    """Say where an answer leads that was not followed: without query and credentials."""
    target = _target(response)
    if target is None:
        return None
    if target.host is None or target.scheme not in {"http", "https"}:
        return "it leads to what is not an address of a server"
    where = str(target.with_user(None).with_query(None).with_fragment(None))
    other = "" if _is_same_server(response.url, target) else ", another server"
    return f"it leads to {where}{other}, where nothing was sent"


def _target(response: Answered | aiohttp.ClientResponse) -> URL | None:
    location = response.headers.get("Location")
    if response.status not in _REDIRECTS or location is None:
        return None
    is_quoted = location.isascii() and location.isprintable() and " " not in location
    try:
        return response.url.join(URL(location, encoded=is_quoted))
    except ValueError:
        return None


def _is_same_server(here: URL, there: URL) -> bool:
    """Return whether it is the same, or the same with encryption."""
    if here.host != there.host:
        return False
    if here.scheme == there.scheme:
        return here.port == there.port
    ports = (here.port, there.port)
    return (here.scheme, there.scheme) == ("http", "https") and ports == (80, 443)
