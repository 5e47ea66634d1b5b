"""Fixtures: a server that says what it is told, and a session and a database that talk to it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from aiocouch import CouchDB, Database
from tests.wire.canned import CannedServer, canned_server

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


@pytest.fixture
async def canned() -> AsyncIterator[CannedServer]:
    """The server; at the end all the answers given to it must have been asked for."""
    async with canned_server() as server:
        yield server
        assert not server.answers, "fewer requests than answers"


@pytest.fixture
async def session(canned: CannedServer) -> AsyncIterator[CouchDB]:
    """A session without credentials, and without retries: what it is told is what comes out.

    Nothing is sent for opening or closing it.
    """
    async with CouchDB(canned.url, retry=None) as couchdb:
        yield couchdb


@pytest.fixture
def base(session: CouchDB) -> Database:
    """The database `db` of that session; nothing is sent for it."""
    return Database(session, "db")
