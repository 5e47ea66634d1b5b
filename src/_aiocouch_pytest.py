"""The pytest plugin: fixtures with a CouchDB server, a session and a fresh database.

pytest loads it by its entry point as soon as aiocouch is installed, in every project. That is why it
stands beside the package, whose import takes time, and imports it only when a test asks for a fixture.
"""

from __future__ import annotations

import os
import sys
import types
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Generator, Iterator, Sequence

    from aiocouch.couchdb import CouchDB
    from aiocouch.database import Database
    from aiocouch.testing.faults import Faults
    from aiocouch.testing.server import CouchDBServer

_OPTION = "--couchdb-url"
_DEST = "aiocouch_couchdb_url"
# Passwords of tests are not secrets: hashing them need not take long.
_SETTINGS = {"chttpd_auth": {"iterations": "10"}}
_BROKEN = 500
_WAITS = (0.1, 1.0)  # seconds before another try
_ON_THE_SERVER = frozenset({"couchdb_server", "couchdb_faults"})


@pytest.hookimpl(hookwrapper=True)
def pytest_load_initial_conftests(
    parser: pytest.Parser, args: list[str]
) -> Generator[None, object, None]:
    """Add ``--couchdb-url`` after the options of everybody else, whose name it may be."""
    yield
    add_option(parser, args)


def pytest_configure(config: pytest.Config) -> None:
    """Make the fixtures, now that it is known who runs asynchronous ones."""
    name = "aiocouch fixtures"
    if not config.pluginmanager.has_plugin(name):
        config.pluginmanager.register(_fixtures(), name)


def add_option(parser: pytest.Parser, args: Sequence[str] = ()) -> None:
    """Add ``--couchdb-url``, unless the project or another plugin has an option of that name."""
    if _is_taken(parser, args):
        return
    parser.getgroup("aiocouch").addoption(
        _OPTION,
        metavar="URL",
        dest=_DEST,
        default=_url_of_environment(),
        help="run against this CouchDB, such as http://user:password@host:5984, "
        "instead of an embedded one (also: the environment variable COUCHDB_URL)",
    )


def _is_taken(parser: pytest.Parser, args: Sequence[str]) -> bool:
    probe = f"{_OPTION}=probe"
    try:
        _, unknown = parser.parse_known_and_unknown_args([*args, probe])
    except pytest.UsageError:  # it is known, and takes something else
        return True
    return probe not in unknown


def _url_of_environment() -> str | None:
    return os.environ.get("COUCHDB_URL") or None


def _fixtures() -> types.ModuleType:
    """Return the fixtures, as a plugin of its own.

    pytest-asyncio in its strict mode wants its own decorator; other runners, such as anyio's, take any.
    """
    runner = sys.modules.get("pytest_asyncio", pytest)
    made = types.ModuleType("aiocouch.testing.fixtures", __doc__)
    fixtures: dict[str, Any] = {
        "couchdb_server": pytest.fixture(couchdb_server, scope="session"),
        **{one.__name__: runner.fixture(one) for one in _ASYNCHRONOUS},
    }
    vars(made).update(fixtures)
    return made


def couchdb_server(pytestconfig: pytest.Config) -> Iterator[CouchDBServer]:
    """Yield a CouchDB server for the whole run: an embedded one, or that of ``--couchdb-url``."""
    from aiocouch.testing.server import BackgroundCouchDB, CouchDBServer

    url: str | None = pytestconfig.getoption(_DEST, _url_of_environment())
    if url:
        yield CouchDBServer.from_url(url)
        return
    with BackgroundCouchDB(settings=_SETTINGS) as server:
        yield server


async def couchdb(request: pytest.FixtureRequest) -> AsyncIterator[CouchDB]:
    """Yield a session as the admin: with a server in memory that is the test's own, and has no socket.

    Where the test has to do with ``couchdb_server`` as well, the session is one with that server.
    """
    if _is_for_sessions_only(request):
        from aiocouch.embedded import EmbeddedCouchDB

        session = EmbeddedCouchDB(settings=_SETTINGS).connect()
    else:
        server: CouchDBServer = request.getfixturevalue("couchdb_server")
        session = server.connect()
    yield session
    await session.close()


def _is_for_sessions_only(request: pytest.FixtureRequest) -> bool:
    """Return whether nothing but sessions of ours can come to the server: no URL, no other server."""
    if request.config.getoption(_DEST, _url_of_environment()):
        return False
    if not _ON_THE_SERVER.isdisjoint(request.fixturenames):
        return False
    # where the project has a `couchdb_server` of its own, that is the one
    manager: Any = request.config.pluginmanager.get_plugin("funcmanage")
    where = request.node if pytest.version_tuple >= (8,) else request.node.nodeid
    return len(manager.getfixturedefs("couchdb_server", where) or ()) == 1


async def couchdb_database(couchdb: CouchDB) -> AsyncIterator[Database]:
    """Yield a new, empty database with a name of its own; delete it after the test."""
    import uuid

    database = await couchdb.create(f"test-{uuid.uuid4().hex}")
    yield database
    await delete_leftover(database)


async def delete_leftover(database: Database) -> None:
    """Delete the database of a test, if it is there.

    CouchDB can say 500 to that when it is busy. It is nobody else's, so it does no harm to ask again.
    """
    import asyncio
    import contextlib

    from aiocouch.exception import NotFoundError

    for wait in _WAITS:
        if await _is_deleted(database):
            return
        await asyncio.sleep(wait)
    with contextlib.suppress(NotFoundError):
        await database.delete()


async def _is_deleted(database: Database) -> bool:
    from aiocouch.exception import NotFoundError, RemoteResponseError

    try:
        await database.delete()
    except NotFoundError:
        return True
    except RemoteResponseError as error:
        if error.status != _BROKEN:
            raise
        return False
    return True


async def couchdb_faults(couchdb_server: CouchDBServer) -> AsyncIterator[Faults]:
    """Yield a proxy in front of the server, which breaks the requests that its rules name."""
    from aiocouch.testing.faults import Faults

    async with Faults(couchdb_server) as faults:
        yield faults


_ASYNCHRONOUS: tuple[Callable[..., Any], ...] = (couchdb, couchdb_database, couchdb_faults)
