"""Servers for the live tests.

The same tests run on the embedded server and, where one is installed (``/opt/couchdb``, or the
file that ``COUCHDB_BINARY`` names), on Apache CouchDB. ``--couchdb-url`` names another server
instead. ``couchdb``, ``couchdb_database`` and ``--couchdb-url`` come from the package's own pytest
plugin.
"""

from __future__ import annotations

import functools
import signal
import uuid
from typing import TYPE_CHECKING

import pytest

from _aiocouch_pytest import delete_leftover
from aiocouch.embedded import EmbeddedCouchDB
from aiocouch.testing import BackgroundCouchDB
from tests.endpoints.recorder import Recorder
from tests.support.cluster import server_of
from tests.support.inside import ServerInside
from tests.support.installed import installed_couchdb, is_installed

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from aiocouch import CouchDB, Database
    from aiocouch.testing import CouchDBServer


def pytest_configure(config: pytest.Config) -> None:
    config.pluginmanager.register(Recorder(config))
    # In the background of a shell Ctrl-C is ignored, also by the programs that tests interrupt.
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("aiocouch")
    group.addoption(
        "--endpoints",
        action="store_true",
        help="fail if an endpoint was not called, as a run of all tests does",
    )
    group.addoption(
        "--fault-seed",
        type=int,
        help="the seed of the fault suite; a random one by default, which a failure shows",
    )
    group.addoption("--long-faults", action="store_true", help="the fault suite in its full size")
    group.addoption(
        "--servers",
        choices=("embedded", "inside", "installed", "all"),
        default="all",
        help="which servers the live tests run on when there is no --couchdb-url: the embedded one "
        "by its socket, the embedded one inside this process by calls, the installed one; "
        "all are those that there are",
    )


def _servers(config: pytest.Config) -> list[str]:
    """Name the servers that the live tests of this run use."""
    if config.getoption("--couchdb-url"):
        return ["url"]
    wanted = str(config.getoption("--servers"))
    if wanted != "all":
        return [wanted]
    return ["embedded", "inside", *(["installed"] if is_installed() else [])]


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "couchdb_server" in metafunc.fixturenames:
        servers = _servers(metafunc.config)
        if not _may_be_inside(metafunc.definition):
            servers = [name for name in servers if name != "inside"]
        metafunc.parametrize("couchdb_server", servers, indirect=True)


def _may_be_inside(test: pytest.Item) -> bool:
    """Return whether a test may have its server in its own event loop: others run whole programs."""
    return "live" in test.path.parts and test.get_closest_marker("socket") is None


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if "couchdb_server" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.live)


@pytest.fixture(scope="session")
def embedded_server() -> Iterator[CouchDBServer]:
    """The embedded server, one for each test process."""
    with BackgroundCouchDB() as server:
        yield server


@pytest.fixture(scope="session")
def installed_server() -> Iterator[CouchDBServer]:
    """The installed Apache CouchDB, one for each test process."""
    with installed_couchdb() as server:
        yield server


url_server = functools.cache(server_of)


@pytest.fixture
async def inside_server() -> AsyncIterator[CouchDBServer]:
    """An embedded server in the event loop of the test, which its sessions ask by calls."""
    settings = {"chttpd_auth": {"iterations": "10"}}
    async with EmbeddedCouchDB(settings=settings) as server:
        yield ServerInside(server)


@pytest.fixture
def couchdb_server(request: pytest.FixtureRequest) -> CouchDBServer:
    """The server of this test. Not of the session: the order of the tests mixes the servers."""
    if request.param == "url":
        return url_server(str(request.config.getoption("--couchdb-url")))
    server: CouchDBServer = request.getfixturevalue(f"{request.param}_server")
    return server


@pytest.fixture
async def couchdb(couchdb_server: CouchDBServer) -> AsyncIterator[CouchDB]:
    """A session with the server of this test."""
    async with couchdb_server.connect() as session:
        yield session


@pytest.fixture
def db(couchdb_database: Database) -> Database:
    """A fresh database, under a short name."""
    return couchdb_database


@pytest.fixture
async def fresh_name(couchdb: CouchDB) -> AsyncIterator[str]:
    """The name of a database that does not exist; if the test creates it, it is deleted."""
    name = f"test-{uuid.uuid4().hex}"
    yield name
    await delete_leftover(couchdb.database(name))


@pytest.fixture
def missing(couchdb: CouchDB, fresh_name: str) -> Database:
    """A database that never was: of one just deleted, CouchDB may say 500 for a moment."""
    from aiocouch import Database

    return Database(couchdb, fresh_name)
