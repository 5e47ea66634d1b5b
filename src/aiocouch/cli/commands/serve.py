"""`aiocouch serve`: run the embedded server until a signal comes."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import signal
import socket
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from aiocouch.cli.exits import Exit
from aiocouch.cli.fauxton import FETCHED, NoPageError, find_page
from aiocouch.cli.places import HOW_TO_INSTALL
from aiocouch.cli.told import words_of_system
from aiocouch.cli.values import port

if TYPE_CHECKING:
    from aiocouch.embedded import EmbeddedCouchDB

__all__ = ["configure"]

_SIGNALS = (signal.SIGINT, signal.SIGTERM)


def configure(parser: argparse.ArgumentParser) -> None:
    """Say what the command does, and which options it takes."""
    parser.description = "Run an embedded CouchDB until Ctrl-C or SIGTERM."
    parser.add_argument(
        "--host", default="127.0.0.1", help="the address to listen on (default: %(default)s)"
    )
    parser.add_argument(
        "--port",
        type=port,
        default=5984,
        help="the port; 0 for any free one (default: %(default)s)",
    )
    parser.add_argument(
        "--data",
        type=_folder,
        metavar="DIR",
        help="the folder that keeps the data (default: they are kept in memory)",
    )
    parser.add_argument(
        "--admin",
        type=_admin,
        metavar="USER:PASSWORD",
        default="admin:admin",
        help="name and password of the server admin (default: %(default)s)",
    )
    parser.add_argument(
        "--ui",
        nargs="?",
        type=Path,
        const=FETCHED,
        metavar="DIR",
        help="show Fauxton at /_utils/, from the folder that has its files; without a folder, from one "
        "in your cache, into which npm fetches it at the first use",
    )
    parser.set_defaults(run=_run)


def _folder(text: str) -> Path:
    if not text:  # such as of a variable that is not set; it would be the current folder
        raise argparse.ArgumentTypeError("it is empty")
    return Path(text)


def _admin(text: str) -> tuple[str, str]:
    user, _, password = text.partition(":")
    if not (user and password):
        # Without the text itself, which may be a password.
        raise argparse.ArgumentTypeError("it must be USER:PASSWORD")
    return user, password


def _run(given: argparse.Namespace) -> int:
    try:
        # Only here: the client alone can be installed without what the server needs.
        from aiocouch.embedded import EmbeddedCouchDB, FolderInUseError, StorageError
    except ImportError as error:
        return _fail(f"{error}. {HOW_TO_INSTALL}")
    _allow_many_files()
    try:
        ui = None if given.ui is None else find_page(given.ui)
    except NoPageError as error:
        return _fail(str(error))
    server = EmbeddedCouchDB(given.data, host=given.host, port=given.port, admin=given.admin, ui=ui)
    try:
        asyncio.run(_serve(server, shows=ui is not None))
    except FolderInUseError as error:
        return _fail(str(error), Exit.CONFLICT)
    except socket.gaierror as error:
        return _fail(f"{given.host}: {error.strerror}")
    except OSError as error:
        return _fail(words_of_system(error))
    except StorageError as error:
        return _fail(str(error))
    except KeyboardInterrupt:  # where the event loop cannot handle signals
        pass
    return 0


def _allow_many_files() -> None:
    """Raise the soft limit of open files: every listener has a socket, every database some files."""
    if sys.platform == "win32":
        return
    import resource  # not there on Windows

    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    with contextlib.suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def _fail(reason: str, status: Exit = Exit.FAILED) -> int:
    print(f"aiocouch serve: {reason}", file=sys.stderr)  # noqa: T201 - for the person who waits
    return status


async def _serve(server: EmbeddedCouchDB, *, shows: bool) -> None:
    stop = asyncio.Event()
    if sys.platform != "win32":  # whose event loops handle no signals
        for number in _SIGNALS:
            asyncio.get_running_loop().add_signal_handler(number, stop.set)
    async with server:
        print(f"listening on {server.url}", flush=True)  # noqa: T201 - what others wait for
        if shows:
            print(f"Fauxton is at {server.url}/_utils/", flush=True)  # noqa: T201 - as above
        await stop.wait()
