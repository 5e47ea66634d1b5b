"""`/_utils/`: the files of a page in the browser, such as Fauxton, from a folder of the user's.

Types and headers are those that Apache CouchDB sends. Ranges are not cut: a page asks for none.
"""

from __future__ import annotations

import asyncio
import time
from email.utils import formatdate
from typing import TYPE_CHECKING, NamedTuple

from aiocouch.embedded.http.policies import content_policy
from aiocouch.embedded.http.routing import server_route

if TYPE_CHECKING:
    from pathlib import Path

    from aiocouch.embedded.http.exchange import Exchange
    from aiocouch.embedded.http.message import Reply

_READ = ("GET", "HEAD")
_YEAR = 365 * 86400
_POLICY = (
    "child-src 'self' data: blob:; default-src 'self'; img-src 'self' data:; "
    "font-src 'self'; script-src 'self' 'unsafe-eval'; style-src 'self' 'unsafe-inline'; "
    "frame-src https://blog.couchdb.org;"
)
_TYPES = {
    ".css": "text/css",
    ".eot": "application/vnd.ms-fontobject",
    ".gif": "image/gif",
    ".htm": "text/html",
    ".html": "text/html",
    ".ico": "image/x-icon",
    ".jpeg": "image/jpeg",
    ".jpg": "image/jpeg",
    ".js": "application/x-javascript",
    ".otf": "font/opentype",
    ".png": "image/png",
    ".svg": "image/svg+xml",
    ".ttf": "application/x-font-ttf",
    ".woff": "application/x-font-woff",
    ".xml": "application/xml",
}
_OTHER_TYPE = "text/plain"
_INDEX = "index.html"


class _File(NamedTuple):
    """A file of the page, or a folder, which has no content."""

    content: bytes | None
    kind: str = ""
    modified: str = ""


@server_route("_utils", methods=_READ)
async def utils(exchange: Exchange) -> Reply:
    """Answer `/_utils/`: a file of the page, if there is one."""
    path = exchange.request.raw_path.partition("?")[0]
    if path == "/_utils":
        return _moved(exchange, "_utils/")
    policy = content_policy(exchange.server.config, "utils", _POLICY)
    headers = {"Cache-Control": "private, must-revalidate", **policy}
    name = "/".join(exchange.segments[1:])
    found = await _read(exchange, f"{name}/{_INDEX}" if path.endswith("/") else name)
    if found is not None and found.content is None:
        return _moved(exchange, f"{path[1:]}/")
    return _answer(exchange, found, headers)


@server_route("favicon.ico", methods=_READ)
async def favicon(exchange: Exchange) -> Reply:
    """Answer `/favicon.ico`, to be kept for a year."""
    expires = formatdate(time.time() + _YEAR, usegmt=True)
    headers = {"Cache-Control": f"public, max-age={_YEAR}", "Expires": expires}
    return _answer(exchange, await _read(exchange, "favicon.ico"), headers)


def _moved(exchange: Exchange, path: str) -> Reply:
    return exchange.answer_bytes(b"", None, 301, {"Location": exchange.url(path)})


async def _read(exchange: Exchange, name: str) -> _File | None:
    folder = exchange.server.ui
    return None if folder is None else await asyncio.to_thread(_file, folder, name)


def _file(folder: Path, name: str) -> _File | None:
    """Return the file of that name, None where there is none, or where it is not inside the folder."""
    if "\\" in name or "\0" in name:
        return None
    root = folder.resolve()
    try:
        # A link must not lead out of the folder, nor must `..`, or a drive of Windows.
        path = (root / name.lstrip("/")).resolve()
        return _read_file(path) if path.is_relative_to(root) else None
    except OSError:  # such as that it is not there, or may not be read
        return None


def _read_file(path: Path) -> _File:
    if path.is_dir():
        return _File(None)
    modified = formatdate(path.stat().st_mtime, usegmt=True)
    return _File(path.read_bytes(), _TYPES.get(path.suffix.lower(), _OTHER_TYPE), modified)


def _answer(exchange: Exchange, file: _File | None, headers: dict[str, str]) -> Reply:
    if file is None or file.content is None:
        return exchange.answer_bytes(b"Not found.", "text/plain", 404, headers)
    if exchange.headers.get("If-Modified-Since") == file.modified:
        return exchange.answer_bytes(b"", None, 304, headers)
    sent = {**headers, "Last-Modified": file.modified}
    return exchange.answer_bytes(file.content, file.kind, 200, sent)
