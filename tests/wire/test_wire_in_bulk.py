"""Documents in bulk: the requests, and rows that break off."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from aiocouch import CouchDB, Database
from aiocouch.exception import TruncatedError
from tests.wire.canned import Answer, json_answer

if TYPE_CHECKING:
    from tests.wire.canned import CannedServer


def rows(*ids: str) -> Answer:
    return json_answer({"results": [{"id": id, "docs": [{"ok": {"_id": id}}]} for id in ids]})


async def found(url: str, docs: list[Any], **params: Any) -> list[str]:
    async with CouchDB(url) as couchdb:
        return [
            str(row["id"]) async for row in Database(couchdb, "db").bulk_get_rows(docs, **params)
        ]


async def test_rows_go_on_after_the_last(canned: CannedServer) -> None:
    whole = rows("a", "b", "c")
    cut = whole.body.index(b'{"id": "c"')
    canned.say(Answer(pieces=[whole.body[:cut]], cut=True))
    canned.say(rows("c"))
    assert await found(canned.url, ["a", {"id": "b", "rev": "1-b"}, "c"], revs=True) == [*"abc"]
    first, second = canned.requests
    assert first.target == second.target == "/db/_bulk_get?revs=true"
    assert first.json() == {"docs": [{"id": "a"}, {"id": "b", "rev": "1-b"}, {"id": "c"}]}
    assert second.json() == {"docs": [{"id": "c"}]}


async def test_rows_that_are_complete_but_for_the_end(canned: CannedServer) -> None:
    canned.say(Answer(pieces=[rows("a").body[:-2]], cut=True))
    assert await found(canned.url, ["a"]) == ["a"]


async def test_rows_in_another_order_do_not_go_on(canned: CannedServer) -> None:
    canned.say(Answer(pieces=[rows("b", "a").body[:-20]], cut=True))
    with pytest.raises(TruncatedError):
        await found(canned.url, ["a", "b"])
