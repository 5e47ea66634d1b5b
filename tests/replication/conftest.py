"""Two servers, each with a database: the embedded one, and the one under test."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.replication.site import Site, embedded_site, fresh_database, open_session

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    import aiohttp

    from aiocouch.testing import CouchDBServer


@pytest.fixture
async def session() -> AsyncIterator[aiohttp.ClientSession]:
    """HTTP connections."""
    async with open_session() as session:
        yield session


@pytest.fixture
async def here(session: aiohttp.ClientSession) -> AsyncIterator[Site]:
    """An embedded server."""
    async with embedded_site(session) as site:
        yield site


@pytest.fixture
async def near(here: Site) -> AsyncIterator[str]:
    """A database on the embedded server."""
    async with fresh_database(here) as name:
        yield name


@pytest.fixture
def there(session: aiohttp.ClientSession, couchdb_server: CouchDBServer) -> Site:
    """The other server: embedded as well, an installed Apache CouchDB, or any by its URL."""
    return Site(session, couchdb_server)


@pytest.fixture
async def far(there: Site) -> AsyncIterator[str]:
    """A database on the other server."""
    async with fresh_database(there) as name:
        yield name
