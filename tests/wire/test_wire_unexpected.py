"""JSON that is not what was asked for is an `UnexpectedAnswerError`, whatever was asked."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from aiocouch import CouchDB, Database, DesignDocument, Document, UnexpectedAnswerError
from aiocouch._tracked import of_text
from tests.wire.canned import Answer, CannedServer, json_answer

if TYPE_CHECKING:
    from collections.abc import AsyncIterable, Awaitable, Callable


def known(db: Database) -> Document:
    """A document as it was fetched."""
    return of_text(Document, db, "a", b'{"_id":"a","_rev":"1-a"}')


async def all_of(found: AsyncIterable[Any]) -> list[Any]:
    return [one async for one in found]


async def attached(db: Database) -> None:
    await known(db).attachment("x").save(b"x", "text/plain")


async def detached(db: Database) -> None:
    await known(db).attachment("x").delete()


async def bulk(db: Database) -> None:
    async with db.bulk() as operation:
        operation.create("a", {"n": 1})


async def bulk_update(db: Database) -> None:
    async with db.update_docs(["a"]):
        pass


async def made_view(db: Database) -> None:
    await DesignDocument(db, "d").create_view("v", "function (doc) {}")


async def changed_security(db: Database) -> None:
    async with await db.security() as security:
        security.add_member("me")


CALLS: dict[str, Callable[[Database], Awaitable[Any]]] = {
    "couchdb.info": lambda db: db.couchdb.info(),
    "couchdb.keys": lambda db: db.couchdb.keys(),
    "couchdb.create": lambda db: db.couchdb.create("db"),
    "couchdb.check_credentials": lambda db: db.couchdb.check_credentials(),
    "db.info": lambda db: db.info(),
    "db.delete": lambda db: db.delete(),
    "db[]": lambda db: db["a"],
    "db.get": lambda db: db.get("a", {}),
    "db.get with a rev": lambda db: db.get("a", rev="1-a"),
    "db.create": lambda db: db.create("a", exists_ok=True),
    "db.design_doc": lambda db: db.design_doc("a", exists_ok=True),
    "db.batched": lambda db: db.batched()["a"],
    "db.akeys": lambda db: all_of(db.akeys()),
    "db.docs": lambda db: all_of(db.docs()),
    "db.docs of ids": lambda db: all_of(db.docs(["a"])),
    "db.docs in slices": lambda db: all_of(db.docs(streams=2)),
    "db.values": lambda db: all_of(db.values()),
    "db.find": lambda db: all_of(db.find({})),
    "db.index": lambda db: db.index({"fields": ["n"]}),
    "db.bulk_docs": lambda db: db.bulk_docs([{"_id": "a"}]),
    "db.bulk_docs without an id": lambda db: db.bulk_docs([{}]),
    "db.bulk_get": lambda db: db.bulk_get(["a"]),
    "db.purge": lambda db: db.purge({"a": ["1-a"]}),
    "db.changes": lambda db: all_of(db.changes()),
    "db.changes of now": lambda db: all_of(db.changes(feed="longpoll", since="now")),
    "db.bulk": bulk,
    "db.update_docs": bulk_update,
    "doc.fetch": lambda db: known(db).fetch(),
    "doc.save": lambda db: Document(db, "a", {"n": 1}).save(),
    "doc.delete": lambda db: known(db).delete(),
    "doc.copy": lambda db: known(db).copy("b"),
    "doc.info": lambda db: known(db).info(),
    "doc.conflicts": lambda db: known(db).conflicts(),
    "doc.revs": lambda db: known(db).revs(),
    "attachment.save": attached,
    "attachment.delete": detached,
    "create_view": made_view,
    "security": lambda db: db.security(),
    "security.save": changed_security,
    "view.get": lambda db: db.view("d", "v").get(),
    "view.post": lambda db: db.view("d", "v").post(["a"]),
    "view.rows": lambda db: all_of(db.view("d", "v").rows()),
    "view.row_keys": lambda db: all_of(db.view("d", "v").row_keys()),
    "view.akeys": lambda db: all_of(db.view("d", "v").akeys()),
    "view.aitems": lambda db: all_of(db.view("d", "v").aitems()),
    "view.avalues": lambda db: all_of(db.view("d", "v").avalues()),
    "view.ids": lambda db: all_of(db.view("d", "v").ids()),
    "view.docs": lambda db: all_of(db.view("d", "v").docs()),
}

WRONG: dict[str, Any] = {
    "an empty object": {},
    "an empty list": [],
    "other members": {"other": 1},
    "a list of numbers": [1, 2],
    "a text": "text",
    "null": None,
    "rows that are none": {"total_rows": 1, "offset": 0, "rows": [1]},
    "rows without members": {"total_rows": 1, "offset": 0, "rows": [{}]},
    "results without members": {"results": [{}], "last_seq": "1", "pending": 0},
    "results that are none": {"results": [3], "last_seq": "1", "pending": 0},
    "documents without an id": {"docs": [{"n": 1}], "bookmark": "nil"},
    "documents that are none": {"docs": [1], "bookmark": "nil"},
    "objects without members": [{}],
    "another document": {"ok": 1, "_id": "other", "_rev": 5, "id": 5, "rev": 5},
}
# What is right: any object is a security object, which may be empty; and a list without rows is one.
RIGHT: dict[str, set[str]] = {
    "security": {name for name, value in WRONG.items() if isinstance(value, dict)},
    "couchdb.keys": {"an empty list"},
    "couchdb.create": {"another document"},
    "db.delete": {"another document"},
}


@pytest.mark.parametrize("wrong", WRONG)
@pytest.mark.parametrize("call", CALLS)
async def test_an_answer_to_something_else_is_refused(
    canned: CannedServer, base: Database, call: str, wrong: str
) -> None:
    canned.handler = lambda request: json_answer(WRONG[wrong])
    if wrong in RIGHT.get(call, ()):
        await CALLS[call](base)
        return
    with pytest.raises(UnexpectedAnswerError) as caught:
        await CALLS[call](base)
    assert caught.value.path in {request.path for request in canned.requests}


@pytest.mark.parametrize("value", [{"name": "me"}, {"userCtx": 3}, {"userCtx": {}}])
async def test_the_session_must_tell_who_we_are(canned: CannedServer, value: Any) -> None:
    canned.say(json_answer(value))
    async with CouchDB(canned.url, "me", "secret") as couchdb:
        with pytest.raises(UnexpectedAnswerError, match="GET /_session: the answer is not what"):
            await couchdb.check_credentials()


ROWS = {
    "of another document": [{"ok": True, "id": "b", "rev": "1-a"}],
    "too many": [{"ok": True, "id": "a", "rev": "1-a"}] * 2,
    "too few": [],
    "without a revision": [{"ok": True, "id": "a"}],
}


@pytest.mark.parametrize("name", ROWS)
@pytest.mark.parametrize("call", ["db.bulk", "db.bulk_docs"])
async def test_rows_are_held_against_the_documents(
    canned: CannedServer, base: Database, call: str, name: str
) -> None:
    canned.say(json_answer(ROWS[name], 201))
    with pytest.raises(UnexpectedAnswerError, match="POST /db/_bulk_docs: the answer is not what"):
        await CALLS[call](base)


async def test_replicated_revisions_have_rows_for_refusals_only(
    canned: CannedServer, base: Database
) -> None:
    canned.say(json_answer([], 201))
    assert await base.bulk_docs([{"_id": "a", "_rev": "1-a"}], new_edits=False) == []


async def test_a_document_without_an_etag_has_no_info(canned: CannedServer, base: Database) -> None:
    canned.say(Answer())
    with pytest.raises(UnexpectedAnswerError, match="no ETag"):
        await known(base).info()
