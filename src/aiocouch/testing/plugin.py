"""The pytest plugin: fixtures with a CouchDB server, a session and a fresh database.

pytest loads it by its entry point as soon as aiocouch is installed. Nothing starts before a test
asks for a fixture.
"""

from __future__ import annotations

import contextlib
import importlib.util
import os
import uuid
from typing import TYPE_CHECKING, Any

import pytest

from aiocouch.testing.faults import Faults
from aiocouch.testing.server import BackgroundCouchDB, CouchDBServer

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator

    from aiocouch.couchdb import CouchDB
    from aiocouch.database import Database


def _async_fixture() -> Callable[..., Any]:
    """Give the decorator for asynchronous fixtures.

    pytest-asyncio in its strict mode wants its own; other runners, such as anyio's, take any.
    """
    if importlib.util.find_spec("pytest_asyncio") is None:
        return pytest.fixture
    import pytest_asyncio

    return pytest_asyncio.fixture


_fixture = _async_fixture()

# Passwords of tests are no secrets: hashing them need not take long.
_SETTINGS = {"chttpd_auth": {"iterations": "10"}}


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add ``--couchdb-url``."""
    parser.getgroup("aiocouch").addoption(
        "--couchdb-url",
        metavar="URL",
        default=os.environ.get("COUCHDB_URL") or None,
        help="run against this CouchDB, such as http://user:password@host:5984, "
        "instead of an embedded one (also: the environment variable COUCHDB_URL)",
    )


@pytest.fixture(scope="session")
def couchdb_server(pytestconfig: pytest.Config) -> Iterator[CouchDBServer]:
    """A CouchDB server for the whole run: an embedded one, or that of ``--couchdb-url``."""
    url: str | None = pytestconfig.getoption("--couchdb-url")
    if url:
        yield CouchDBServer.from_url(url)
        return
    with BackgroundCouchDB(settings=_SETTINGS) as server:
        yield server


@_fixture
async def couchdb(couchdb_server: CouchDBServer) -> AsyncIterator[CouchDB]:
    """A session with the server, as its admin."""
    async with couchdb_server.connect() as session:
        yield session


@_fixture
async def couchdb_database(couchdb: CouchDB) -> AsyncIterator[Database]:
    """A new, empty database with a name of its own; deleted after the test."""
    from aiocouch.exception import NotFoundError

    database = await couchdb.create(f"test-{uuid.uuid4().hex}")
    yield database
    with contextlib.suppress(NotFoundError):
        await database.delete()


@_fixture
async def couchdb_faults(couchdb_server: CouchDBServer) -> AsyncIterator[Faults]:
    """A proxy in front of the server, which breaks the requests that its rules name."""
    async with Faults(couchdb_server) as faults:
        yield faults
