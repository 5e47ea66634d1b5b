"""Fixtures of the live tests."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.support.cluster import Cluster, everywhere
from tests.support.http import HTTPClient

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from aiocouch.testing import CouchDBServer


@pytest.fixture
async def ask(couchdb_server: CouchDBServer) -> AsyncIterator[HTTPClient]:
    """Send plain requests to the server of the test."""
    admin = (couchdb_server.user, couchdb_server.password)
    middlewares = (everywhere,) if isinstance(couchdb_server, Cluster) else ()
    async with HTTPClient(couchdb_server.url, admin, middlewares) as client:
        yield client
