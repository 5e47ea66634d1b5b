"""Changing documents of which others may change the same."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from aiocouch import (
    ConflictError,
    Database,
    Document,
    Edit,
    InvalidInputError,
    InvalidTypeError,
    NotFoundError,
)

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from aiocouch.edits import Change
    from aiocouch.writing import BulkWriter


def count_up(document: Document) -> None:
    document["n"] = document.get("n", 0) + 1


async def count_up_later(document: Document) -> None:
    await asyncio.sleep(0)
    count_up(document)


async def fill(db: Database, *ids: str, **data: Any) -> None:
    assert (await db.write({"_id": id, **data} for id in ids)).written == len(ids)


async def contents(db: Database) -> dict[str, Any]:
    return {doc.id: doc.json async for doc in db.docs()}


async def states(writer: BulkWriter) -> dict[str, str]:
    return {outcome.id: outcome.error or outcome.state async for outcome in writer}


# -- one ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("change", [count_up, count_up_later, lambda doc: {"n": doc["n"] + 1}])
async def test_update(db: Database, change: Change) -> None:
    await fill(db, "a", n=1)
    document = await db.update("a", change)
    assert document["n"] == 2
    assert not document.is_dirty()
    assert document.rev == (await db["a"]).rev
    assert await contents(db) == {"a": {"n": 2}}


async def test_new_content_takes_the_place_of_the_old(db: Database) -> None:
    await fill(db, "a", n=1, old=True)
    before = await db["a"]
    await before.attachment("kept").save(b"content", "text/plain")
    await db.update("a", lambda doc: {"new": doc["n"], "_rev": "1-stale", "_id": "a"})
    after = await db["a"]
    assert after.json == {"new": 1}
    assert await after.attachment("kept").fetch() == b"content"


async def test_leave_and_delete(db: Database) -> None:
    await fill(db, "a", "b", n=1)
    rev = (await db["a"]).rev
    assert (await db.update("a", lambda doc: Edit.LEAVE)).rev == rev
    assert not (await db.update("b", lambda doc: Edit.DELETE)).exists
    assert not (await db.upsert("c", lambda doc: Edit.DELETE)).exists
    assert not (await db.upsert("c", lambda doc: Edit.LEAVE)).exists
    assert await contents(db) == {"a": {"n": 1}}
    assert (await db["a"]).rev == rev


async def test_nothing_changed_is_nothing_written(db: Database) -> None:
    await fill(db, "a", n=1)
    rev = (await db["a"]).rev
    assert (await db.update("a", lambda doc: None)).rev == rev
    assert (await db.update("a", lambda doc: {**doc})).rev == rev
    assert (await db.upsert("a", {"n": 1})).rev == rev
    assert (await db["a"]).rev == rev


async def test_update_wants_a_document_and_upsert_makes_one(db: Database) -> None:
    with pytest.raises(NotFoundError):
        await db.update("a", count_up)
    default = {"n": 10}
    assert (await db.upsert("a", count_up, default))["n"] == 11
    assert (await db.upsert("a", count_up, default))["n"] == 12
    assert (await db.upsert("b", count_up))["n"] == 1
    assert (await db.upsert("c", {"whole": True})).json == {"whole": True}
    assert (await db.upsert("c", {"other": True})).json == {"other": True}
    assert default == {"n": 10}
    await (await db["a"]).delete()
    assert (await db.upsert("a", count_up)).rev[:2] == "4-"  # type: ignore[index]
    assert await contents(db) == {"a": {"n": 1}, "b": {"n": 1}, "c": {"other": True}}


async def test_design_and_local_documents(db: Database) -> None:
    await db.upsert("_design/d", {"views": {}})
    await db.update("_design/d", lambda doc: {"views": {}, "language": "javascript"})
    await db.upsert("_local/l", count_up)
    await db.upsert("_local/l", count_up)
    assert (await db["_design/d"])["language"] == "javascript"
    assert (await db["_local/l"])["n"] == 2


async def test_many_callers_change_one_document(db: Database) -> None:
    await fill(db, "a", n=0)
    await asyncio.gather(*(db.update("a", count_up) for _ in range(40)))
    assert (await db["a"])["n"] == 40


async def test_many_callers_make_one_document(db: Database) -> None:
    await asyncio.gather(*(db.upsert("a", count_up_later) for _ in range(20)))
    assert (await db["a"])["n"] == 20


async def test_attempts_come_to_an_end(db: Database) -> None:
    await fill(db, "a", n=0)
    calls = 0

    async def disturbed(document: Document) -> None:
        nonlocal calls
        calls += 1
        other = await db["a"]
        other["n"] -= 1
        await other.save()
        count_up(document)

    with pytest.raises(ConflictError):
        await db.update("a", disturbed, attempts=3)
    assert calls == 3
    assert (await db["a"])["n"] == -3


@pytest.mark.parametrize(
    ("change", "kind", "words"),
    [
        (lambda doc: 5, InvalidTypeError, "gave int"),
        (lambda doc: {"_id": "b"}, InvalidInputError, "gave it the _id 'b'"),
        (lambda doc: {"n": float("nan")}, InvalidInputError, "nan"),
        (5, InvalidTypeError, "must be a function"),
    ],
)
async def test_bad_changes_are_named(
    db: Database, change: Any, kind: type[Exception], words: str
) -> None:
    await fill(db, "a", n=0)
    with pytest.raises(kind, match=words):
        await db.update("a", change)
    with pytest.raises(kind, match=words):
        await db.update_many(["a"], change)
    with pytest.raises(InvalidInputError, match="attempts=0"):
        await db.update("a", count_up, attempts=0)
    assert await contents(db) == {"a": {"n": 0}}


# -- many -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("change", [count_up, count_up_later])
async def test_update_many(db: Database, change: Change) -> None:
    ids = [f"{number:04}" for number in range(1_200)]
    await fill(db, *ids, n=1)
    writer = db.update_many(ids, change, batch_size=100)
    assert [outcome.id async for outcome in writer if outcome.ok] == ids
    assert await contents(db) == {id: {"n": 2} for id in ids}
    assert writer.progress.written == len(ids)


async def test_each_of_many_has_its_outcome(db: Database) -> None:
    await fill(db, "a", "b", "c", "d", n=1)
    await (await db["d"]).delete()
    found = await contents(db)

    def change(document: Document) -> dict[str, Any] | Edit | None:
        if document.id == "b":
            return Edit.LEAVE
        return Edit.DELETE if document.id == "c" else {"id": document.id}

    told = await states(db.update_many(["a", "b", "c", "d", "e"], change))
    assert told == {
        **{"a": "written", "b": "skipped", "c": "written"},
        **{"d": "not_found", "e": "not_found"},
    }
    assert await contents(db) == {"a": {"id": "a"}, "b": found["b"]}
    with pytest.raises(NotFoundError):
        await db["c"]


async def test_upsert_many(db: Database) -> None:
    await fill(db, "a", n=1)
    told = await states(db.upsert_many(["a", "b", "_design/d"], count_up, {"n": 10}))
    assert set(told.values()) == {"written"}
    assert (await db["_design/d"])["n"] == 11
    assert await contents(db) == {"a": {"n": 2}, "b": {"n": 11}}


async def test_an_id_that_comes_twice_is_changed_twice(db: Database) -> None:
    await fill(db, "a", "b", n=0)
    told = [outcome async for outcome in db.update_many(["a", "b", "a", "a"], count_up)]
    assert [outcome.state for outcome in told] == ["written"] * 4
    assert await contents(db) == {"a": {"n": 3}, "b": {"n": 1}}


async def test_several_change_many_at_the_same_time(db: Database) -> None:
    ids = [f"{number}" for number in range(60)]
    await fill(db, *ids, n=0)
    await asyncio.gather(*(db.update_many(ids, count_up, batch_size=9) for _ in range(4)))
    assert await contents(db) == {id: {"n": 4} for id in ids}


async def test_an_async_stream_of_ids_that_pauses(db: Database) -> None:
    await fill(db, "a", "b", "c", n=0)
    more = asyncio.Event()

    async def ids() -> AsyncGenerator[str, None]:
        yield "a"
        yield "b"
        await more.wait()
        yield "c"

    told = []
    async for outcome in db.update_many(ids(), count_up, delay=0.01):
        told.append(outcome.id)
        if len(told) == 2:
            more.set()
    assert told == ["a", "b", "c"]
    assert await contents(db) == {id: {"n": 1} for id in "abc"}


async def test_an_error_of_the_ids_is_raised_in_the_end(db: Database) -> None:
    await fill(db, "a", n=0)

    async def ids() -> AsyncGenerator[str, None]:
        yield "a"
        raise LookupError

    writer = db.update_many(ids(), count_up)
    with pytest.raises(LookupError):
        await writer
    assert await contents(db) == {"a": {"n": 1}}


@pytest.mark.parametrize("ids", ["a", 5, {"a": 1}])
async def test_what_are_no_ids(db: Database, ids: Any) -> None:
    with pytest.raises(InvalidTypeError, match="the ids must be a stream"):
        db.update_many(ids, count_up)


@pytest.mark.parametrize("id", [5, ""])
async def test_what_is_no_id(db: Database, id: Any) -> None:
    with pytest.raises((InvalidTypeError, InvalidInputError), match="document id"):
        await db.update_many([id], count_up)
