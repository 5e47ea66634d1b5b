"""Fixtures of the live tests."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.live.asking import Asking

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from aiocouch.testing import CouchDBServer


@pytest.fixture
async def ask(couchdb_server: CouchDBServer) -> AsyncIterator[Asking]:
    """Send plain requests to the server of the test."""
    async with Asking(couchdb_server) as asking:
        yield asking
