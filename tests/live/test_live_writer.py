"""Streams of documents, written to a server."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from aiocouch import ConflictError, CouchDB, Database, NotFoundError

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from aiocouch import Document
    from aiocouch.writing import BulkWriter, WriteOutcome


def numbers(count: int, **more: Any) -> list[dict[str, Any]]:
    return [{"_id": f"{number:04}", "n": number, **more} for number in range(count)]


async def contents(db: Database) -> dict[str, Any]:
    return {doc.id: doc.json async for doc in db.docs()}


async def collected(writer: BulkWriter) -> list[WriteOutcome]:
    return [outcome async for outcome in writer]


async def test_a_stream_is_written_whole(db: Database) -> None:
    async def source() -> AsyncGenerator[dict[str, Any], None]:
        for doc in numbers(1_000):
            yield doc

    outcomes = await collected(db.write(source(), batch_size=70, window=5))
    revisions = {row.key: row.value["rev"] async for row in db.all_docs.rows()}
    assert {outcome.id: outcome.rev for outcome in outcomes} == revisions
    assert [outcome.id for outcome in outcomes] == [doc["_id"] for doc in numbers(1_000)]
    assert await contents(db) == {doc["_id"]: {"n": doc["n"]} for doc in numbers(1_000)}


async def test_ids_are_made_for_those_without(db: Database) -> None:
    outcomes = await collected(db.write(({"n": number} for number in range(300)), batch_size=40))
    found = await contents(db)
    assert {outcome.id: outcome.doc for outcome in outcomes} == found
    assert all(outcome.rev is not None and outcome.rev[:2] == "1-" for outcome in outcomes)


async def test_documents_of_any_form(db: Database) -> None:
    one = await db.create("one", data={"a": 1})
    await one.save()
    one["a"] = 12345678901234567890123
    given: list[Any] = [
        one,
        {"_id": "two", "a": 1.0},
        '{"_id":"three","a":"ä"}',
        b'{"_id":"\\u00e4"}',
    ]
    outcomes = await collected(db.write(given))
    assert [outcome.id for outcome in outcomes] == ["one", "two", "three", "ä"]
    assert one.rev == outcomes[0].rev
    assert await one.save() is None
    assert await contents(db) == {
        "one": {"a": 12345678901234567890123},
        "two": {"a": 1.0},
        "three": {"a": "ä"},
        "ä": {},
    }


@pytest.mark.parametrize(
    ("how", "state", "expected"),
    [
        ("report", "failed", {"n": 1}),
        ("skip", "skipped", {"n": 1}),
        ("overwrite", "written", {"n": 2}),
        (lambda mine, theirs: {"n": [theirs["n"], mine["n"]]}, "written", {"n": [1, 2]}),
    ],
)
async def test_conflicts(db: Database, how: Any, state: str, expected: dict[str, Any]) -> None:
    await db.write([{"_id": f"{number}", "n": 1} for number in range(20)])
    docs: list[dict[str, Any]] = [{"_id": f"{number}", "n": 2} for number in range(25)]
    outcomes = await collected(db.write(docs, on_conflict=how, batch_size=6))
    assert [outcome.state for outcome in outcomes] == [state] * 20 + ["written"] * 5
    assert await contents(db) == {
        doc["_id"]: expected if int(doc["_id"]) < 20 else {"n": 2} for doc in docs
    }


async def test_a_conflict_is_raised(db: Database) -> None:
    await db.write([{"_id": "a"}])
    writer = db.write([{"_id": "a"}, {"_id": "b"}], on_conflict="raise")
    with pytest.raises(ConflictError):
        await writer
    assert (writer.progress.written, writer.progress.failed) == (1, 1)
    assert list(await contents(db)) == ["a", "b"]


async def test_what_was_deleted_meanwhile(db: Database) -> None:
    (old,) = await collected(db.write([{"_id": "a", "n": 1}]))
    await (await db["a"]).delete()
    stale = {"_id": "a", "_rev": old.rev, "n": 2}

    def bring_back(mine: dict[str, Any], theirs: Document) -> dict[str, Any]:
        assert not theirs.exists
        return mine

    gone = {**stale, "_deleted": True}
    (kept,) = await collected(db.write([gone], on_conflict="overwrite"))
    assert kept.state == "skipped"
    (back,) = await collected(db.write([stale], on_conflict=bring_back))
    assert back.rev is not None
    assert back.rev[:2] == "3-"
    assert await contents(db) == {"a": {"n": 2}}


async def test_two_edits_of_one_document_keep_their_order(db: Database) -> None:
    docs: list[dict[str, Any]] = [{"_id": f"{number % 7}", "n": number} for number in range(50)]
    outcomes = await collected(db.write(docs, on_conflict="overwrite", batch_size=5))
    assert all(outcome.ok for outcome in outcomes)
    assert await contents(db) == {f"{doc['n'] % 7}": {"n": doc["n"]} for doc in docs[-7:]}


@pytest.mark.parametrize(
    "bad", [{"_id": "_bad"}, {"_id": "x", "_other": 1}, {"_id": "x", "_rev": "nonsense"}]
)
async def test_one_that_spoils_its_request(db: Database, bad: dict[str, Any]) -> None:
    docs = [*numbers(9), bad, *numbers(20)[9:]]
    outcomes = await collected(db.write(docs))
    failed = [outcome for outcome in outcomes if not outcome.ok]
    assert [outcome.doc for outcome in failed] == [bad]
    assert failed[0].error is not None
    assert list(await contents(db)) == [doc["_id"] for doc in numbers(20)]


async def test_a_document_that_refers_to_an_attachment_that_is_not_there(db: Database) -> None:
    # CouchDB refuses the request, and has stored others of it.
    bad = {"_id": "bad", "_attachments": {"a": {"stub": True, "content_type": "text/plain"}}}
    docs: list[dict[str, Any]] = [*numbers(9), bad, {"n": "no id"}, *numbers(20)[9:]]
    outcomes = await collected(db.write(docs))
    failed = [outcome for outcome in outcomes if not outcome.ok]
    assert [(outcome.id, outcome.error) for outcome in failed] == [("bad", "missing_stub")]
    found = await contents(db)
    assert len(found) == 21
    assert all([(await db[id]).rev[:2] == "1-" for id in found])  # type: ignore[index]


async def test_without_its_database(couchdb: CouchDB, fresh_name: str) -> None:
    writer = Database(couchdb, fresh_name).write(numbers(30), batch_size=10)
    with pytest.raises(NotFoundError):
        await writer
    assert {outcome.state for outcome in writer.left} == {"unsent"}
    assert len(writer.left) == writer.progress.taken
