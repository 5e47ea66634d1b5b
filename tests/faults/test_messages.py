"""What a broken answer had in its head is no part of the error."""

from __future__ import annotations

import traceback
from typing import TYPE_CHECKING

import pytest

from aiocouch import TransportError
from aiocouch.testing import Faults

if TYPE_CHECKING:
    from aiocouch import Database
    from aiocouch.testing import CouchDBServer


@pytest.mark.parametrize("count", [0, 20, 100, 150])
async def test_an_answer_that_is_cut_in_its_head(
    couchdb_server: CouchDBServer, db: Database, count: int
) -> None:
    async with (
        Faults(couchdb_server) as faults,
        faults.server.connect(retry=None) as session,
    ):
        faults.cut(count, head=True, times=None)  # aiohttp asks twice
        with pytest.raises(TransportError) as caught:
            await session.remote.request("GET", f"/{db.id}")
        shown = "".join(traceback.format_exception(caught.value)) + repr(caught.value)
    assert "no whole answer" in shown
    assert "Cache-Control" not in shown
    assert "RawResponseMessage" not in shown
