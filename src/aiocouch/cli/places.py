"""What is in this process: `embedded:///folder[/database]`, or `embedded:[database]` in memory."""

from __future__ import annotations

import re
from pathlib import Path
from typing import NamedTuple
from urllib.parse import unquote

from aiocouch.cli.exits import CommandError, Exit

__all__ = ["HOW_TO_INSTALL", "Place", "is_embedded", "place_of", "server_url"]

HOW_TO_INSTALL = "Install it with: pip install 'aiocouch[embedded]'"
"""What is told where a server in this process cannot be had."""

_SCHEME = "embedded:"
_OF_FOLDER = re.compile(r"(//)?/(?!/)|(\.\.?|~)(/|$)")
_HOW = (
    "a folder is written embedded:///with/its/path or embedded:./from/here, "
    "and a database in memory embedded:name"
)
_BEGUN = {"lock", "local.ini"}
"""What a server makes in its folder before the databases."""


class Place(NamedTuple):
    """A server in this process, by its URL, and a database of it, or none."""

    url: str
    name: str | None = None


def is_embedded(address: str) -> bool:
    """Return whether an address names a server in this process."""
    return address.startswith(_SCHEME)


def place_of(
    address: str, *, server: bool = False, database: bool = False, creates: bool = False
) -> Place:
    """Return the server in this process that is meant, and its database.

    `server` and `database` say which of them may be named. The last part of a path is a database, as in
    other URLs; where both may be, it is not if it is the folder of a server, or if a slash follows. With
    `creates` a new folder may be named. Raise `CommandError`.
    """
    path = address.removeprefix(_SCHEME)
    if _is_in_memory(path):
        if path and not database:
            raise _refusal(f"a server is wanted, and {address} names a database: {_HOW}")
        return Place(_SCHEME, unquote(path) or None)
    if not _OF_FOLDER.match(path):
        raise _refusal(f"{address}: {_HOW}")
    folder, name = _parted(path.removeprefix("//"), server=server, database=database)
    _check(folder, creates=creates)
    return Place(_url(folder), name)


def server_url(address: str) -> str:
    """Return the URL of a server in this process, whether there is one in its folder or not."""
    path = address.removeprefix(_SCHEME)
    return _SCHEME if _is_in_memory(path) else _url(_folder(path.removeprefix("//")))


def _is_in_memory(path: str) -> bool:
    return "/" not in path and path not in {".", "..", "~"}


def _url(folder: Path) -> str:
    return folder.as_uri().replace("file:", _SCHEME, 1)


def _parted(path: str, *, server: bool, database: bool) -> tuple[Path, str | None]:
    """Return the folder and the name of the database in a path."""
    whole = _folder(path)
    if not database or (server and path.endswith("/")):
        return whole, None
    before, _, last = path.rstrip("/").rpartition("/")
    parent, name = _folder(f"{before}/"), unquote(last)
    if "/" in name or not _is_home(whole):
        if server and not _is_home(parent):
            raise _nothing(f"{parent} or {whole}")
        return parent, name
    if _is_home(parent):
        if not server:
            return parent, name
        raise _refusal(
            f"{parent} and {whole} are both folders of servers: a slash at the end names the second, and "
            f"with COUCHDB_URL=embedded://{parent} the address {name} is a database of the first"
        )
    if not server:
        raise _refusal(f"the address names no database: {whole} is the folder of a server")
    return whole, None


def _folder(path: str) -> Path:
    if "\0" in unquote(path):
        raise _refusal("%00 is in the name of no folder")
    folder = Path(unquote(path))
    return (folder.expanduser() if path[:1] == "~" else folder).resolve()


def _check(folder: Path, *, creates: bool) -> None:
    if _is_home(folder):
        return
    if not creates:
        raise _nothing(str(folder))
    if folder.exists() and not {child.name for child in folder.iterdir()} <= _BEGUN:
        raise _refusal(f"{folder} has other files, and no server: name a new folder")


def _is_home(folder: Path) -> bool:
    """Return whether an embedded server has its data in a folder."""
    return (folder / "databases").is_dir() and any((folder / name).is_file() for name in _BEGUN)


def _nothing(where: str) -> CommandError:
    return CommandError(f"no server has its data in {where}", Exit.NOT_FOUND)


def _refusal(words: str) -> CommandError:
    return CommandError(words, Exit.USAGE)
