"""Conflicts that replication leaves, and one document in place of them."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import Any

import pytest

from aiocouch import (
    Conflicted,
    ConflictError,
    Database,
    Document,
    ForbiddenError,
    InvalidInputError,
    InvalidTypeError,
    NotFoundError,
)
from tests.support.validation import refuses, until_validated, validating

OLD = "1-00000000000000000000000000000000"
A, B, C, D = ("2-" + digit * 32 for digit in "abcd")


async def replicate(db: Database, rev: str, *older: str, id: str = "x", **data: Any) -> None:
    """Do what replication does: add a revision, with those before it."""
    path = [rev, *older]
    revisions = {"start": int(rev[0]), "ids": [each[2:] for each in path]}
    doc = {"_id": id, "_rev": rev, "_revisions": revisions, **data}
    assert await db.bulk_docs([doc], new_edits=False) == []


async def split(db: Database) -> None:
    """A document that has three versions, of one revision, and one that was deleted."""
    await replicate(db, OLD, n=0, who=[])
    await replicate(db, A, OLD, n=1, who=["a"])
    await replicate(db, B, OLD, n=2, who=["b"])
    await replicate(db, C, OLD, n=3, who=["c"])
    await replicate(db, D, OLD, _deleted=True)


def together(base: Document | None, versions: list[Document]) -> dict[str, Any]:
    return {"who": sorted(who for version in versions for who in version["who"])}


async def left(db: Database, id: str = "x") -> list[str]:
    return await (await db[id]).conflicts()


# -- leaves ---------------------------------------------------------------------------------------


async def test_all_leaves(db: Database) -> None:
    await split(db)
    leaves = await db.leaves("x")
    assert leaves.id == "x"
    assert (leaves.winner.rev, leaves.winner["n"]) == (C, 3)
    assert [(doc.rev, doc["n"]) for doc in leaves.conflicts] == [(B, 2), (A, 1)]
    assert [doc.rev for doc in leaves.deleted] == [D]
    assert not leaves.deleted[0].exists
    assert leaves.ancestor == OLD
    base = await leaves.base()
    assert base is not None
    assert base.json == {"n": 0, "who": []}
    assert leaves.history(leaves.conflicts[0]) == [B, OLD]
    assert A in repr(leaves)


async def test_a_leaf_is_a_document(db: Database) -> None:
    await split(db)
    loser = (await (await db["x"]).leaves()).conflicts[1]
    assert not loser.is_dirty()
    assert loser.json == {"n": 1, "who": ["a"]}
    loser["n"] = 10
    await loser.save()
    assert [doc.rev for doc in (await db.leaves("x")).conflicts] == [C, B]


async def test_a_document_without_conflicts_has_one_leaf(db: Database) -> None:
    await db.upsert("x", {"n": 1})
    await db.upsert("x", {"n": 2})
    leaves = await db.leaves("x")
    assert (leaves.winner["n"], leaves.conflicts, leaves.deleted) == (2, [], [])
    assert leaves.ancestor == leaves.winner.rev
    assert await leaves.base() is leaves.winner


async def test_a_deleted_document_has_deleted_leaves(db: Database) -> None:
    await (await db.upsert("x", {"n": 1})).delete()
    leaves = await db.leaves("x")
    assert not leaves.winner.exists
    assert leaves.conflicts == []
    assert not (await db.resolve("x", together)).exists


async def test_a_missing_document(db: Database) -> None:
    with pytest.raises(NotFoundError):
        await db.leaves("x")
    with pytest.raises(NotFoundError):
        await db.resolve("x", together)


async def test_without_a_common_ancestor(db: Database) -> None:
    await replicate(db, A, n=1)
    await replicate(db, B, n=2)
    leaves = await db.leaves("x")
    assert leaves.ancestor is None
    assert await leaves.base() is None


async def test_an_ancestor_that_is_gone(db: Database) -> None:
    await replicate(db, A, OLD, n=1)
    await replicate(db, B, OLD, n=2)
    leaves = await db.leaves("x")
    assert leaves.ancestor == OLD
    assert await leaves.base() is None


@pytest.mark.parametrize("id", ["a/b+c%", "_design/d", "ä"])
async def test_ids_of_any_kind(db: Database, id: str) -> None:
    await replicate(db, A, id=id, who=["a"])
    await replicate(db, B, id=id, who=["b"])
    assert [each async for each in db.conflicts()] == [Conflicted(id, B, [A])]
    assert (await db.resolve(id, together))["who"] == ["a", "b"]


# -- resolve --------------------------------------------------------------------------------------


@pytest.mark.parametrize("is_async", [True, False])
async def test_resolve(db: Database, is_async: bool) -> None:
    await split(db)
    seen: list[Any] = []

    def merge(base: Document | None, versions: list[Document]) -> dict[str, Any]:
        assert base is not None
        seen.append((base["n"], [version.rev for version in versions]))
        return {**versions[0], "n": sum(version["n"] - base["n"] for version in versions)}

    async def merge_later(base: Document | None, versions: list[Document]) -> dict[str, Any]:
        await asyncio.sleep(0)
        return merge(base, versions)

    document = await db.resolve("x", merge_later if is_async else merge)
    assert seen == [(0, [C, B, A])]
    assert document.json == {"n": 6, "who": ["c"]}
    assert document.rev == (await db["x"]).rev
    assert not document.is_dirty()
    assert await left(db) == []
    assert (await document.revs())[1:] == [C, OLD]
    document["n"] = 7
    await document.save()


async def test_resolve_in_place_and_by_a_version(db: Database) -> None:
    await split(db)

    def in_place(base: Document | None, versions: list[Document]) -> None:
        versions[0]["n"] = 9

    assert (await db.resolve("x", in_place)).json == {"n": 9, "who": ["c"]}
    await replicate(db, A, OLD, id="y", n=1)
    await replicate(db, B, OLD, id="y", n=2)
    assert (await db.resolve("y", lambda base, versions: versions[1])).json == {"n": 1}
    assert await left(db) == await left(db, "y") == []


async def test_resolve_by_a_deletion(db: Database) -> None:
    await split(db)
    assert not (await db.resolve("x", lambda base, versions: {"_deleted": True})).exists
    assert (await db.leaves("x")).conflicts == []
    with pytest.raises(NotFoundError):
        await db["x"]


async def test_without_conflicts_nothing_is_written(db: Database) -> None:
    rev = (await db.upsert("x", {"n": 1})).rev
    assert (await db.resolve("x", together)).rev == rev


async def test_two_who_resolve_alike_make_one_revision(db: Database) -> None:
    await split(db)
    first, second = await asyncio.gather(db.resolve("x", together), db.resolve("x", together))
    assert first.rev == second.rev
    assert first["who"] == ["a", "b", "c"]
    assert await left(db) == []


async def test_who_resolves_computes_the_revision_of_an_edit(db: Database) -> None:
    for id in "xy":
        await replicate(db, A, id=id, n=1)
        await replicate(db, B, id=id, n=2)
    winner = await db["y"]
    winner["n"] = 3
    await winner.save()
    assert (await db.resolve("x", lambda base, versions: {"n": 3})).rev == winner.rev


async def test_an_edit_in_between_is_not_lost(db: Database) -> None:
    await split(db)
    calls: list[list[list[str]]] = []

    async def disturbed(base: Document | None, versions: list[Document]) -> dict[str, Any]:
        calls.append([version["who"] for version in versions])
        if len(calls) == 1:
            winner = await db["x"]
            winner["who"] = [*winner["who"], "later"]
            await winner.save()
        return {"who": sorted({who for version in versions for who in version["who"]})}

    document = await db.resolve("x", disturbed)
    assert document["who"] == ["a", "b", "c", "later"]
    assert sorted(calls[1]) == [["a", "b", "c"], ["c", "later"]]
    assert await left(db) == []


async def test_conflicts_without_end(db: Database) -> None:
    await split(db)

    async def disturbed(base: Document | None, versions: list[Document]) -> dict[str, Any]:
        await db.upsert("x", {"n": len(versions), "who": [f"{len(versions)}"]})
        return together(base, versions)

    with pytest.raises(ConflictError):
        await db.resolve("x", disturbed, attempts=1)
    assert len(await left(db)) == 1


async def test_attachments(db: Database) -> None:
    await replicate(db, OLD, n=0)
    for rev, name, data in ((A, "a", "YQ=="), (B, "b/ä", "Yg==")):
        attachment = {"content_type": "text/plain", "revpos": 2, "data": data}
        await replicate(db, rev, OLD, _attachments={name: attachment})
    await replicate(db, C, OLD, n=3)

    def all_of_them(base: Document | None, versions: list[Document]) -> dict[str, Any]:
        attachments: dict[str, Any] = {"new": {"content_type": "text/plain", "data": "bmV3"}}
        for version in versions:
            attachments |= version.get("_attachments", {})
        return {"n": 4, "_attachments": attachments}

    document = await db.resolve("x", all_of_them)
    assert {name: await document.attachment(name).fetch() for name in document["_attachments"]} == {
        **{"a": b"a", "b/ä": b"b", "new": b"new"}
    }
    await replicate(db, A, id="y", _attachments={"a": {"content_type": "a/b", "data": "YQ=="}})
    await replicate(db, B, id="y", _attachments={"b": {"content_type": "a/b", "data": "Yg=="}})
    kept = await db.resolve("y", lambda base, versions: {"n": 1})
    assert list(kept["_attachments"]) == ["b"]
    assert await kept.attachment("b").fetch() == b"b"


@pytest.mark.parametrize(
    ("made", "kind", "words"),
    [
        (5, InvalidTypeError, "merge gave int"),
        ({"_id": "y"}, InvalidInputError, "the _id 'y'"),
        ({"n": float("inf")}, InvalidInputError, "inf"),
        ({"_attachments": {"a": {"stub": True}}}, InvalidInputError, "the attachment 'a'"),
        ({"_attachments": {"a": 5}}, InvalidInputError, "the attachment 'a'"),
    ],
)
async def test_what_a_merge_may_not_give(
    db: Database, made: Any, kind: type[Exception], words: str
) -> None:
    await split(db)
    with pytest.raises(kind, match=words):
        await db.resolve("x", lambda base, versions: made)
    assert await left(db) == [B, A]


async def test_what_is_no_merge(db: Database) -> None:
    function: Any = {"n": 1}
    with pytest.raises(InvalidTypeError, match="merge must be a function"):
        await db.resolve("x", function)
    with pytest.raises(InvalidInputError, match="attempts=0"):
        await db.resolve("x", together, attempts=0)


async def test_what_is_refused_takes_no_version_along(db: Database) -> None:
    await split(db)
    attachment = {"content_type": "text/plain", "data": "YQ=="}
    await replicate(db, A[:-1] + "b", OLD, n=4, who=["d"], _attachments={"a": attachment})
    before = {doc["n"]: dict(doc) for doc in (await db.leaves("x")).conflicts}
    rule = validating("if (doc.n === 99) throw({forbidden: 'never 99'});")
    await db.upsert("_design/v", {"validate_doc_update": rule})
    await until_validated(partial(refuses, db))
    with pytest.raises(ForbiddenError, match="never 99"):
        await db.resolve("x", lambda base, versions: {"n": 99})
    leaves = await db.leaves("x")
    assert {doc["n"] for doc in [leaves.winner, *leaves.conflicts]} == {3, *before}
    there = {doc["n"]: doc for doc in [leaves.winner, *leaves.conflicts]}
    assert {n: doc.json for n, doc in there.items() if n != 3} == {
        n: {"n": n, "who": doc["who"]} for n, doc in before.items()
    }
    assert await db.remote.request("GET", f"{db.endpoint}/x/a?rev={there[4].rev}")
    assert (await db.resolve("x", together))["who"] == ["a", "b", "c", "d"]


# -- the conflicts of a database ------------------------------------------------------------------


async def test_the_conflicts_of_a_database(db: Database) -> None:
    assert [found async for found in db.conflicts()] == []
    await db.write({"_id": f"{number:04}", "n": number} for number in range(700))
    for number in range(0, 700, 2):
        await replicate(db, "1-00", id=f"{number:04}", n=-number)
    for number in (1, 3):
        await replicate(db, "2-00", id=f"{number:04}", _deleted=True)
    await replicate(db, "1-ff", id="gone", _deleted=True)
    await replicate(db, "1-ee", id="gone", _deleted=True)
    found = {each.id: each async for each in db.conflicts()}
    assert sorted(found) == [f"{number:04}" for number in range(0, 700, 2)]
    first = found["0000"]
    assert first.rev == (await db["0000"]).rev
    assert first.conflicts == await left(db, "0000") != []


async def test_all_of_a_database_resolved(db: Database) -> None:
    for number in range(20):
        await replicate(db, A, id=f"{number}", who=["a"])
        await replicate(db, B, id=f"{number}", who=["b"])
    async for found in db.conflicts():
        await db.resolve(found.id, together)
    assert [found async for found in db.conflicts()] == []
    assert [doc["who"] async for doc in db.docs()] == [["a", "b"]] * 20


async def test_a_database_that_is_not_there(db: Database) -> None:
    missing = Database(db.couchdb, f"{db.id}-missing")
    with pytest.raises(NotFoundError):
        _ = [found async for found in missing.conflicts()]
