"""What the fault suite has in common: the seed, the size, and the look past the client."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING

import pytest

from tests.faults.oracle import Oracle

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from aiocouch import Database
    from aiocouch.testing import CouchDBServer

_SESSION_SEED = secrets.randbelow(1_000_000)


@pytest.fixture
def seed(request: pytest.FixtureRequest) -> int:
    """What decides about the faults of this test; shown when it fails."""
    given: int | None = request.config.getoption("--fault-seed")
    number = _SESSION_SEED if given is None else given
    request.node.add_report_section("setup", "faults", f"again with: --fault-seed={number}")
    return number


@pytest.fixture
def is_long(request: pytest.FixtureRequest) -> bool:
    """Whether the test shall have its full size."""
    return bool(request.config.getoption("--long-faults"))


@pytest.fixture
async def oracle(couchdb_server: CouchDBServer, db: Database) -> AsyncIterator[Oracle]:
    """The truth about the database of this test."""
    async with Oracle(couchdb_server, db.id) as oracle:
        yield oracle
