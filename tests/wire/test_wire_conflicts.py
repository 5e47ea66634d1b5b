"""The requests that look at conflicts and end them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from aiocouch import (
    Conflicted,
    CouchDB,
    Database,
    ForbiddenError,
    RemoteResponseError,
    UnexpectedAnswerError,
)
from tests.wire.canned import Answer, json_answer

if TYPE_CHECKING:
    from aiocouch import Document
    from tests.wire.canned import CannedServer

HASHES = {name: name * 32 for name in "abc"}
A, B, OLD = f"2-{HASHES['a']}", f"2-{HASHES['b']}", f"1-{HASHES['c']}"
OPEN = "GET /db/x?open_revs=all&revs=true"


def leaf(rev: str, **data: Any) -> dict[str, Any]:
    revisions = {"start": 2, "ids": [rev[2:], OLD[2:]]}
    return {"ok": {"_id": "x", "_rev": rev, "_revisions": revisions, **data}}


TWO = json_answer([leaf(A, n=1), leaf(B, n=2)])
ONE = json_answer([leaf(B, n=3)])
BASE = json_answer({"_id": "x", "_rev": OLD, "n": 0})


def together(base: Document | None, versions: list[Document]) -> dict[str, int]:
    return {"n": sum(version["n"] for version in versions)}


async def test_leaves_are_one_request(canned: CannedServer, base: Database) -> None:
    canned.say(TWO)
    leaves = await base.leaves("x")
    assert canned.lines == [OPEN]
    assert (leaves.winner.rev, [doc.rev for doc in leaves.conflicts]) == (B, [A])
    assert dict(leaves.winner) == {"_id": "x", "_rev": B, "n": 2}


async def test_fewer_copies_of_the_one_are_told(canned: CannedServer, base: Database) -> None:
    canned.say(TWO, BASE, json_answer([], 202), ONE)
    assert (await base.resolve("x", together)).accepted_only


async def test_one_in_place_of_all_is_one_request(canned: CannedServer, base: Database) -> None:
    canned.say(TWO, BASE, json_answer([], 201), ONE)
    assert not (await base.resolve("x", together)).accepted_only
    assert canned.lines == [OPEN, f"GET /db/x?rev={OLD}", "POST /db/_bulk_docs", OPEN]
    sent = canned.requests[2].json()
    assert sent["new_edits"] is False
    edit, end = sent["docs"]
    digest = edit["_rev"].removeprefix("3-")
    history = {"start": 3, "ids": [digest, B[2:], OLD[2:]]}
    assert edit == {"_id": "x", "_rev": f"3-{digest}", "_revisions": history, "n": 3}
    assert end.pop("_rev") == f"3-{end['_revisions']['ids'][0]}"
    assert end["_revisions"]["ids"][1:] == [A[2:], OLD[2:]]
    assert end["_deleted"] is True


async def test_a_lost_answer_does_no_harm(canned: CannedServer) -> None:
    canned.say(TWO, BASE, Answer(silent=True), json_answer([], 201), ONE)
    async with CouchDB(canned.url) as couchdb:
        await Database(couchdb, "db").resolve("x", together)
    assert canned.requests[2].body == canned.requests[3].body


async def test_what_was_refused_is_raised(canned: CannedServer, base: Database) -> None:
    def refused(request: Any) -> Answer:
        rev = request.json()["docs"][1]["_rev"]
        return json_answer([{"id": "x", "rev": rev, "error": "forbidden", "reason": "no"}], 201)

    canned.say(TWO, BASE, refused)
    with pytest.raises(ForbiddenError, match="no"):
        await base.resolve("x", together)


async def test_a_version_is_brought_back_when_the_merge_is_refused(
    canned: CannedServer, base: Database
) -> None:
    def refused(request: Any) -> Answer:
        rev = request.json()["docs"][0]["_rev"]
        return json_answer([{"id": "x", "rev": rev, "error": "strange", "reason": "odd"}], 201)

    canned.say(TWO, BASE, refused, json_answer([], 201))
    with pytest.raises(RemoteResponseError, match="odd"):
        await base.resolve("x", together)
    end = canned.requests[2].json()["docs"][1]
    (back,) = canned.requests[3].json()["docs"]
    assert back["n"] == 1
    assert back["_revisions"]["ids"][1:] == end["_revisions"]["ids"]
    assert back["_revisions"]["start"] == 4


@pytest.mark.parametrize(
    "answer",
    [
        {},
        [],
        [{"missing": A}],
        [{"ok": 5}],
        [{"ok": {"_id": "x", "_rev": A}}],
        [{"ok": {"_id": "x", "_rev": A, "_revisions": {}}}],
        [{"ok": {"_id": "x", "_rev": A, "_revisions": {"start": "2", "ids": ["a"]}}}],
        [{"ok": {"_id": "x", "_rev": "nonsense", "_revisions": {"start": 2, "ids": ["a"]}}}],
    ],
)
async def test_what_is_no_answer(canned: CannedServer, base: Database, answer: Any) -> None:
    canned.say_json(answer)
    with pytest.raises(UnexpectedAnswerError):
        await base.leaves("x")


async def test_conflicts_of_a_database(canned: CannedServer, base: Database) -> None:
    rows = [
        {"seq": "1", "id": "a", "changes": [{"rev": A}]},
        {"seq": "2", "id": "b", "changes": [{"rev": B}, {"rev": A}]},
        {"seq": "3", "id": "c", "changes": [{"rev": B}, {"rev": A}], "deleted": True},
        {"seq": "4", "id": "d", "changes": [{"rev": B}, {"rev": A}]},
    ]
    canned.say_json({"results": rows, "last_seq": "4", "pending": 0})
    docs = [
        {"id": "b", "key": "b", "doc": {"_id": "b", "_rev": B, "_conflicts": [A]}},
        {"id": "d", "key": "d", "doc": {"_id": "d", "_rev": B}},
    ]
    canned.say_json({"total_rows": 3, "offset": 0, "rows": docs})
    assert [found async for found in base.conflicts()] == [Conflicted("b", B, [A])]
    assert canned.lines == [
        "GET /db/_changes?style=all_docs",
        "POST /db/_all_docs?include_docs=true&conflicts=true",
    ]
    assert canned.requests[1].json() == {"keys": ["b", "d"]}
