"""The requests of a change, and a change whose answer was lost."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from aiocouch import ConflictError, NotFoundError
from tests.wire.canned import error_answer, json_answer

if TYPE_CHECKING:
    from aiocouch import Database, Document
    from tests.wire.canned import Answer, CannedServer, Request


def doc(n: int, rev: str = "1-a") -> Answer:
    return json_answer({"_id": "x", "_rev": rev, "n": n})


def saved(rev: str = "2-b") -> Answer:
    return json_answer({"ok": True, "id": "x", "rev": rev}, 201)


CONFLICT = error_answer(409, "conflict", "Document update conflict.")
MISSING = error_answer(404, "not_found", "missing")


def count_up(document: Document) -> None:
    document["n"] += 1


async def test_a_change_is_a_read_and_a_write(canned: CannedServer, base: Database) -> None:
    canned.say(doc(1), saved())
    document = await base.update("x", count_up)
    assert canned.lines == ["GET /db/x", "PUT /db/x"]
    assert canned.requests[1].json() == {"_id": "x", "_rev": "1-a", "n": 2}
    assert (document.rev, document["n"]) == ("2-b", 2)


async def test_it_is_made_again_of_what_is_there_then(canned: CannedServer, base: Database) -> None:
    canned.say(doc(1), CONFLICT, doc(5, "2-c"), saved("3-d"))
    document = await base.update("x", count_up)
    assert canned.lines == ["GET /db/x", "PUT /db/x"] * 2
    assert canned.requests[3].json() == {"_id": "x", "_rev": "2-c", "n": 6}
    assert document.rev == "3-d"


async def test_one_that_was_deleted_meanwhile(canned: CannedServer, base: Database) -> None:
    canned.say(doc(1), CONFLICT, MISSING)
    with pytest.raises(NotFoundError):
        await base.update("x", count_up)


async def test_it_ends_after_so_many_attempts(canned: CannedServer, base: Database) -> None:
    canned.say(*[doc(1), CONFLICT] * 4)
    with pytest.raises(ConflictError):
        await base.update("x", count_up, attempts=4)


async def test_a_document_is_made_where_there_is_none(canned: CannedServer, base: Database) -> None:
    canned.say(MISSING, CONFLICT, doc(5), saved())
    await base.upsert("x", count_up, {"n": 0})
    assert canned.requests[1].json() == {"_id": "x", "n": 1}
    assert canned.requests[3].json() == {"_id": "x", "_rev": "1-a", "n": 6}


async def test_an_equal_change_by_another_call_is_not_taken_for_ours(
    canned: CannedServer, base: Database
) -> None:
    # Both lose their answers, say, and find the one revision that equal changes make.
    state: dict[str, Any] = {"n": 1, "rev": "1-a"}

    def answer(request: Request) -> Answer:
        if request.method == "GET":
            return doc(state["n"], state["rev"])
        sent = request.json()
        state.update(n=sent["n"], rev=f"{sent['n']}-b")
        return saved(f"{sent['n']}-b")

    canned.handler = answer
    first, second = await asyncio.gather(base.update("x", count_up), base.update("x", count_up))
    assert {first.rev, second.rev} == {"2-b", "3-b"}
    assert canned.lines.count("PUT /db/x") == 3
    assert state["n"] == 3


async def test_many_are_read_together_and_written_together(
    canned: CannedServer, base: Database
) -> None:
    rows: list[dict[str, Any]] = [
        {"id": id, "key": id, "value": {"rev": "1-a"}, "doc": {"_id": id, "_rev": "1-a", "n": n}}
        for n, id in enumerate("ab")
    ]
    canned.say_json(
        {"total_rows": 2, "offset": 0, "rows": [*rows, {"key": "c", "error": "not_found"}]}
    )
    canned.say_json([{"ok": True, "id": id, "rev": "2-b"} for id in "ab"], 201)
    outcomes = [outcome async for outcome in base.update_many(iter("abc"), count_up)]
    assert canned.lines == ["POST /db/_all_docs?include_docs=true", "POST /db/_bulk_docs"]
    assert canned.requests[0].json() == {"keys": ["a", "b", "c"]}
    assert canned.requests[1].json() == {
        "docs": [{"_id": "a", "_rev": "1-a", "n": 1}, {"_id": "b", "_rev": "1-a", "n": 2}]
    }
    assert [outcome.state for outcome in outcomes] == ["written", "written", "failed"]
    assert outcomes[2].error == "not_found"
