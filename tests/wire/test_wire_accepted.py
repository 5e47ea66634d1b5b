"""Whether a write was stored by as many nodes as were asked for: 201 or 202."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from tests.wire.canned import json_answer

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from aiocouch import Database, Document
    from tests.wire.canned import Answer, CannedServer, Request

STATUSES = pytest.mark.parametrize(("status", "only"), [(201, False), (202, True)])


class Book(msgspec.Struct):
    title: str


def written(status: int) -> Callable[[Request], Answer]:
    """An answer to any write of the document `x`, or of several."""

    def answer(request: Request) -> Answer:
        sent: dict[str, Any] = request.json() if request.body.startswith(b"{") else {}
        row = {"ok": True, "rev": "1-a"} | ({"accepted": True} if status == 202 else {})
        if "docs" in sent:
            return json_answer([{**row, "id": doc["_id"]} for doc in sent["docs"]], 201)
        if request.method == "GET":
            return json_answer({"_id": "x", "_rev": "1-a"})
        return json_answer({"ok": True, "id": "x", "rev": "1-a"}, status)

    return answer


async def saved(db: Database) -> Document:
    doc = db.document("x", {"n": 1})
    await doc.save()
    return doc


async def saved_with(db: Database) -> Document:
    doc = db.document("x", {"n": 1})
    await doc.save_with({"a": (b"1", "text/plain")})
    return doc


async def in_a_collection(db: Database) -> Document:
    return (await db.collection(Book).create(Book("Emma"), id="x")).document


async def in_bulk(db: Database) -> Document:
    async with db.bulk() as bulk:
        bulk.create("x", {"n": 1})
    assert bulk.ok is not None
    return bulk.ok[0]


async def in_a_stream(db: Database) -> Document:
    doc = db.document("x", {"n": 1})
    (outcome,) = [outcome async for outcome in db.write([doc])]
    assert outcome.accepted_only is doc.accepted_only
    return doc


async def added(db: Database) -> Document:
    return await db.add({"n": 1})


@STATUSES
@pytest.mark.parametrize("write", [saved, saved_with, in_a_collection, in_bulk, in_a_stream, added])
async def test_a_write_tells(
    canned: CannedServer,
    base: Database,
    write: Callable[[Database], Awaitable[Document]],
    status: int,
    only: bool,
) -> None:
    canned.handler = written(status)
    assert (await write(base)).accepted_only is only


async def test_it_is_about_the_last_write(canned: CannedServer, base: Database) -> None:
    canned.handler = written(202)
    doc = await saved(base)
    canned.handler = written(201)
    doc["n"] = 2
    assert doc.accepted_only
    await doc.save()
    assert not doc.accepted_only
    canned.handler = written(202)
    doc["n"] = 3
    await doc.save()
    await doc.fetch()
    assert not doc.accepted_only
    assert not base.document("y").accepted_only
