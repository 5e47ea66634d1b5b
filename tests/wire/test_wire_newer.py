"""What CouchDB has after 3.5.2: asked for only where it may be there."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from typing import TYPE_CHECKING

import pytest

from aiocouch.exception import InvalidInputError, NotFoundError
from tests.wire.canned import error_answer

if TYPE_CHECKING:
    from aiocouch import Database
    from tests.wire.canned import CannedServer

NOON = datetime(2026, 1, 1, 12, 0, 0, 999, tzinfo=UTC)
FEED = {"results": [], "last_seq": "1-a", "pending": 0}


@pytest.mark.parametrize("version", ["3.5.3", "3.6.0", "4.0.0", "3.5.2-5a0e2d1", "unknown"])
@pytest.mark.parametrize(
    "since",
    [NOON, NOON.astimezone(timezone(timedelta(hours=9))), "2026-01-01T12:00:00Z"],
)
async def test_a_feed_since_a_time(
    canned: CannedServer, base: Database, version: str, since: datetime | str
) -> None:
    canned.say_json({"couchdb": "Welcome", "version": version})
    canned.say_json(FEED)
    assert [event async for event in base.changes(since=since)] == []
    assert canned.requests[1].query == {"since": "2026-01-01T12:00:00Z"}


@pytest.mark.parametrize("version", ["3.5.2", "3.5.0", "3.4.3", "2.3.1"])
async def test_a_feed_since_a_time_of_an_older_server(
    canned: CannedServer, base: Database, version: str
) -> None:
    canned.say_json({"couchdb": "Welcome", "version": version})
    with pytest.raises(InvalidInputError, match=f"this server is {version}"):
        await anext(base.changes(since=NOON))
    assert canned.lines == ["GET /"]


async def test_a_time_without_a_zone(base: Database) -> None:
    with pytest.raises(InvalidInputError, match="time zone"):
        base.changes(since=datetime(2026, 1, 1))  # noqa: DTZ001 - that is it
    with pytest.raises(InvalidInputError, match="time zone"):
        base.follow(since=datetime(2026, 1, 1))  # noqa: DTZ001


async def test_a_newer_server_that_refuses(canned: CannedServer, base: Database) -> None:
    canned.say(error_answer(404, "not_found", "missing"))
    canned.say_json({"couchdb": "Welcome", "version": "3.6.0"})
    with pytest.raises(NotFoundError) as caught:
        await base.maintenance.time_seq()
    assert str(caught.value).endswith("missing")
