"""Documents: their life, their data, their conflicts."""

import asyncio
import contextlib
from typing import Any

import pytest

import aiocouch
from aiocouch import Database, Document, HTTPResponse
from aiocouch.testing import CouchDBServer
from tests.support.cluster import Cluster

BIG = 2**200 + 1
VALUES: dict[str, Any] = {
    "null": None,
    "true": True,
    "false": False,
    "zero": 0,
    "negative": -1,
    "big": BIG,
    "minus_big": -BIG,
    "float": 0.1,
    "exponent": 1e300,
    "small": 1e-300,
    "integral_float": 2.0,
    "text": "",
    "unicode": "ü é 日本語 🦀 \u200b \u2028",
    "control": '\x00\x01\x1f\x7f\t\r\n"\\/',
    "list": [],
    "dict": {},
    "nested": [[[[{"a": [{"b": [None]}]}]]]],
    "keys": {"": 1, "a.b": 2, "ü": 3, "$x": 4, " ": 5},
    "long": "x" * 100_000,
    "many": list(range(5_000)),
}


async def stored(db: Database, name: str, **data: Any) -> Document:
    doc = await db.create(name, data=data)
    await doc.save()
    return doc


async def test_create_save_get(db: Database) -> None:
    doc = await db.create("new_doc")
    doc["name"] = "The new document"
    assert not doc.exists
    answer = await doc.save()
    assert isinstance(answer, HTTPResponse)
    assert answer.status in (201, 202)
    assert answer.etag == doc.rev
    assert answer.headers["etag"] == answer.headers["ETag"] == f'"{doc.rev}"'
    assert doc.exists
    read = await db["new_doc"]
    assert dict(read) == {"_id": "new_doc", "_rev": doc.rev, "name": "The new document"}


async def test_create_sends_nothing_to_store(db: Database) -> None:
    await db.create("x", data={"n": 1})
    with pytest.raises(aiocouch.NotFoundError):
        await db["x"]


async def test_create_with_data(db: Database) -> None:
    await (await db.create("a", data={"n": 1})).save()
    await (await db.create("b", False, {"n": 2})).save()
    assert [(await db[name])["n"] for name in "ab"] == [1, 2]


async def test_create_that_exists(db: Database) -> None:
    await stored(db, "x", n="stored")
    with pytest.raises(aiocouch.ConflictError):
        await db.create("x")
    doc = await db.create("x", exists_ok=True, data={"n": "mine"})
    assert doc["n"] == "stored"
    assert await doc.save() is None


async def test_get_missing(db: Database) -> None:
    with pytest.raises(aiocouch.NotFoundError) as caught:
        await db.get("none")
    assert (caught.value.status, caught.value.error) == (404, "not_found")
    assert caught.value.reason == "missing"


async def test_get_deleted(db: Database) -> None:
    await (await stored(db, "x")).delete()
    with pytest.raises(aiocouch.NotFoundError) as caught:
        await db["x"]
    assert caught.value.reason == "deleted"


async def test_get_with_default(db: Database) -> None:
    doc = await db.get("x", {"n": 1})
    assert not doc.exists
    await doc.save()
    again = await db.get("x", default={"n": 2})
    assert again["n"] == 1


async def test_get_with_an_empty_default(db: Database) -> None:
    doc = await db.get("x", default={})
    await doc.save()
    assert (await db["x"]).json == {}


async def test_update(db: Database) -> None:
    first = (await stored(db, "x", n=1)).rev
    doc = await db["x"]
    doc["n"] = 2
    answer = await doc.save()
    assert answer is not None
    assert doc.rev != first
    assert (await db["x"])["n"] == 2


async def test_save_without_changes_sends_nothing(db: Database) -> None:
    doc = await stored(db, "x", n=1)
    rev = doc.rev
    assert await doc.save() is None
    doc["n"] = 1
    assert await doc.save() is None
    assert (await db["x"]).rev == rev


async def test_empty_document_is_saved(db: Database) -> None:
    await Document(db, "x").save()
    assert (await db["x"]).json == {}


async def test_get_by_revision(db: Database) -> None:
    doc = await stored(db, "x", n=1)
    first = doc.rev
    doc["n"] = 2
    await doc.save()
    assert (await db.get("x", rev=first))["n"] == 1
    assert (await db.get("x", None, rev=doc.rev))["n"] == 2
    other = Document(db, "x")
    await other.fetch(rev=first)
    assert other["n"] == 1


@pytest.mark.parametrize("rev", ["nonsense", "x-1"])
async def test_get_by_an_invalid_revision(db: Database, rev: str) -> None:
    await stored(db, "x")
    with pytest.raises(aiocouch.BadRequestError):
        await db.get("x", rev=rev)


async def test_get_by_a_revision_that_is_missing(db: Database) -> None:
    await stored(db, "x")
    with pytest.raises(aiocouch.NotFoundError):
        await db.get("x", rev="5-967a00dff5e02add41819138abb3284d")


async def test_fetch(db: Database) -> None:
    doc = Document(db, "x")
    with pytest.raises(aiocouch.NotFoundError):
        await doc.fetch()
    await stored(db, "x", n=1)
    await doc.fetch()
    assert (doc["n"], doc.exists) == (1, True)


async def test_fetch_refuses_to_lose_changes(db: Database) -> None:
    doc = await stored(db, "x", n=1)
    doc["n"] = 2
    with pytest.raises(aiocouch.ConflictError):
        await doc.fetch()
    await doc.fetch(discard_changes=True)
    assert doc["n"] == 1
    doc["n"] = 3
    await doc.fetch(True)
    assert doc["n"] == 1


async def test_fetch_of_a_new_document_with_data_is_refused(db: Database) -> None:
    await stored(db, "x", n=1)
    doc = Document(db, "x", data={"n": 2})
    with pytest.raises(aiocouch.ConflictError):
        await doc.fetch()


@pytest.mark.parametrize("kind", VALUES)
async def test_every_value_comes_back(db: Database, kind: str) -> None:
    await stored(db, "x", value=VALUES[kind])
    read = await db["x"]
    assert read["value"] == VALUES[kind]
    assert type(read["value"]) is type(VALUES[kind]) or kind == "integral_float"
    read["other"] = 1
    await read.save()
    assert (await db["x"])["value"] == VALUES[kind]


async def test_delete(db: Database) -> None:
    doc = await stored(db, "x", n=1)
    answer = await doc.delete()
    assert answer.status in (200, 202)
    assert not doc.exists
    assert doc.data is None
    assert doc.json == {}
    with pytest.raises(aiocouch.NotFoundError):
        await db["x"]


async def test_delete_refuses_to_lose_changes(db: Database) -> None:
    doc = await stored(db, "x", n=1)
    doc["n"] = 2
    with pytest.raises(aiocouch.ConflictError):
        await doc.delete()
    await doc.delete(discard_changes=True)
    with pytest.raises(aiocouch.NotFoundError):
        await db["x"]


async def test_delete_of_an_old_revision(db: Database) -> None:
    doc = await stored(db, "x", n=1)
    other = await db["x"]
    other["n"] = 2
    await other.save()
    with pytest.raises(aiocouch.ConflictError):
        await doc.delete()
    assert (await db["x"])["n"] == 2


async def test_conflict_and_the_strategies_of_the_docs(db: Database) -> None:
    await stored(db, "x", n=0)
    one, other = await db["x"], await db["x"]
    one["n"], other["n"] = 1, 2
    await one.save()
    with pytest.raises(aiocouch.ConflictError) as caught:
        await other.save()
    assert (caught.value.status, caught.value.error) == (409, "conflict")
    with contextlib.suppress(aiocouch.ConflictError):
        await other.save()
    assert (await db["x"])["n"] == 1
    info = await other.info()
    other.rev = info["rev"]
    await other.save()
    assert (await db["x"])["n"] == 2


async def test_info(db: Database) -> None:
    doc = await stored(db, "x")
    assert await doc.info() == {"ok": True, "id": "x", "rev": doc.rev}
    with pytest.raises(aiocouch.NotFoundError):
        await Document(db, "none").info()


async def test_fetch_info_is_deprecated(db: Database) -> None:
    doc = await stored(db, "x")
    with pytest.warns(DeprecationWarning, match="info"):
        found = await doc.fetch_info()
    assert found["rev"] == doc.rev


async def test_copy(db: Database) -> None:
    doc = await stored(db, "x", n=1)
    answer = await doc.copy("y")
    copied = await db["y"]
    assert copied["n"] == 1
    assert answer.status in (201, 202)
    assert answer.etag == copied.rev
    with pytest.raises(aiocouch.ConflictError):
        await doc.copy("y")
    with pytest.raises(aiocouch.NotFoundError):
        await Document(db, "none").copy("z")


async def test_a_copy_of_an_older_revision_onto_a_newer_one(db: Database) -> None:
    doc = await stored(db, "x", n=1)
    old = doc.rev
    doc["n"] = 2
    await doc.save()
    target = await stored(db, "y", n=3)
    answer = await doc.copy("y", rev=target.rev, source_rev=old)
    assert (await db["y"])["n"] == 1
    assert answer.etag == (await db["y"]).rev
    with pytest.raises(aiocouch.NotFoundError):
        await doc.copy("z", source_rev="9-" + "a" * 32)


async def test_a_document_without_a_request(db: Database) -> None:
    doc = db.document("x", {"n": 1})
    assert doc.rev is None
    await doc.save()
    assert (await db["x"])["n"] == 1
    with pytest.raises(aiocouch.ConflictError):
        await db.document("x").save()


async def test_a_document_in_batch_mode(db: Database) -> None:
    doc = db.document("x", {"n": 1})
    answer = await doc.save(batch=True)
    assert answer is not None
    assert answer.status == 202
    assert not doc.is_dirty()
    assert doc.rev is None
    assert await doc.save() is None
    await there(db, "x")
    doc["n"] = 2
    with pytest.raises(aiocouch.ConflictError):
        await doc.save()
    await doc.fetch(discard_changes=True)
    doc["n"] = 2
    await doc.save()
    assert (await db["x"])["n"] == 2


async def there(db: Database, id: str) -> None:
    """Wait until the server has stored a document that it has taken."""
    for _ in range(500):
        if [found async for found in db.akeys(keys=[id])]:
            return
        await asyncio.sleep(0.01)
    raise AssertionError(f"{id!r} was not stored")


async def test_a_security_document_has_no_batch_mode(db: Database) -> None:
    with pytest.raises(aiocouch.InvalidInputError, match="batch="):
        await (await db.security()).save(batch=True)


async def test_context_manager(db: Database) -> None:
    async with Document(db, "secret_agents") as doc:
        assert not doc.exists
        doc["name"] = "James Bond"
    assert doc.exists
    async with Document(db, "secret_agents") as doc:
        assert doc["name"] == "James Bond"
        doc["code"] = "007"
    assert (await db["secret_agents"]).json == {"name": "James Bond", "code": "007"}


async def test_context_manager_with_an_error(db: Database) -> None:
    with pytest.raises(ZeroDivisionError):
        await fail_inside(Document(db, "x"))
    with pytest.raises(aiocouch.NotFoundError):
        await db["x"]


async def fail_inside(doc: Document) -> None:
    async with doc:
        doc["n"] = 1
        raise ZeroDivisionError


async def test_context_manager_that_changes_nothing(db: Database) -> None:
    rev = (await stored(db, "x", n=1)).rev
    async with Document(db, "x") as doc:
        assert doc["n"] == 1
    assert (await db["x"]).rev == rev


# -- conflicts in the database


async def conflicting(db: Database) -> tuple[str, str]:
    """Store two leaves of one document; give the winner and the loser."""
    for rev in ("aa", "bb"):
        body = {"_id": "x", "_rev": f"1-{rev * 16}", "who": rev}
        await db.bulk_docs([body], new_edits=False)
    return f"1-{'bb' * 16}", f"1-{'aa' * 16}"


async def test_conflicts(db: Database) -> None:
    winner, loser = await conflicting(db)
    doc = await db["x"]
    assert doc.rev == winner
    assert await doc.conflicts() == [loser]
    assert (await db.get("x", rev=loser))["who"] == "aa"


async def test_open_revisions(db: Database) -> None:
    winner, loser = await conflicting(db)
    doc = db.document("x")
    found = await doc.open_revs([loser, "9-" + "a" * 32, winner])
    assert {one.rev: one["who"] for one in found} == {loser: "aa", winner: "bb"}
    assert await db.document("none").open_revs([winner]) == []
    every = await doc.open_revs("all")
    assert {one.rev: one["who"] for one in every} == {loser: "aa", winner: "bb"}
    losing = found[0] if found[0].rev == loser else found[1]
    losing["who"] = "changed"
    await losing.save()
    (newest,) = await doc.open_revs([loser], latest=True)
    assert newest["who"] == "changed"
    revs: Any = loser
    with pytest.raises(aiocouch.InvalidTypeError, match="revs"):
        await doc.open_revs(revs)


async def test_no_conflicts(db: Database) -> None:
    doc = await stored(db, "x")
    assert await doc.conflicts() == []


async def test_conflicts_of_a_missing_document(db: Database) -> None:
    with pytest.raises(aiocouch.NotFoundError):
        await Document(db, "none").conflicts()
    with pytest.raises(aiocouch.NotFoundError):
        await Document(db, "none").revs()


async def test_revs(db: Database) -> None:
    doc = await stored(db, "x", n=1)
    revs = [doc.rev]
    for n in (2, 3):
        doc["n"] = n
        await doc.save()
        revs.insert(0, doc.rev)
    assert await doc.revs() == revs


async def test_conflict_is_resolved_by_deleting_the_loser(db: Database) -> None:
    _, loser = await conflicting(db)
    other = await db.get("x", rev=loser)
    await other.delete()
    assert await (await db["x"]).conflicts() == []


# -- ids

IDS = [
    "a/b",
    "a+b",
    "a b",
    "ü 1",
    "%41",
    "%2F",
    "100%",
    "?#",
    "a?b=c&d",
    ".",
    "..",
    "../x",
    "...",
    "a:b",
    "日本",
    "🦀",
    "a\nb",
    '"quoted"',
    "back\\slash",
    "~'()*!;,@&=$",
    "x" * 200,
    "_local/x",
    "_local/a+b/c",
    "_design/x",
    "_design/ü x",
]


@pytest.mark.parametrize("name", IDS)
async def test_any_id(db: Database, name: str) -> None:
    doc = Document(db, name)
    doc["language" if name.startswith("_design") else "n"] = "one"
    await doc.save()
    read = await db[name]
    assert (read.id, read["_id"], read.rev) == (name, name, doc.rev)
    read["language" if name.startswith("_design") else "n"] = "two"
    await read.save()
    if not name.startswith("_local/"):
        assert (await read.info())["rev"] == read.rev
        assert [key async for key in db.akeys()] == [name]
        await read.copy("copied")
        await (await db["copied"]).copy(f"copy of {name}")
        assert (await db[f"copy of {name}"]).json == read.json
    await read.delete()
    with pytest.raises(aiocouch.NotFoundError):
        await db[name]


@pytest.mark.parametrize("name", [name for name in IDS if not name.startswith("_")])
async def test_any_id_as_target_of_a_copy(db: Database, name: str) -> None:
    doc = await stored(db, "source", n=1)
    await doc.copy(name)
    # COPY takes no number of copies to wait for: not every node of a cluster may have it yet
    async with asyncio.timeout(60):
        while [key async for key in db.akeys()] == ["source"]:
            pass
    assert sorted([key async for key in db.akeys()]) == sorted(["source", name])
    assert (await db[name])["n"] == 1


@pytest.mark.parametrize("name", [name for name in IDS if not name.startswith("_local")])
async def test_any_id_in_bulk_and_lists(db: Database, name: str) -> None:
    async with db.create_docs([name, "plain"]):
        pass
    ids = [doc.id async for doc in db.docs([name, "plain"])]
    assert ids == [name, "plain"]
    async with db.update_docs([name]) as bulk:
        async for doc in bulk:
            doc["language"] = "x"
    assert bulk.ok is not None
    assert [doc.id for doc in bulk.ok] == [name]
    assert (await db[name])["language"] == "x"


@pytest.mark.parametrize("name", ["_private", "_"])
async def test_reserved_id(db: Database, name: str) -> None:
    with pytest.raises(aiocouch.BadRequestError):
        await Document(db, name).save()


async def test_dots_never_reach_another_resource(db: Database) -> None:
    for name in (".", ".."):
        with pytest.raises(aiocouch.NotFoundError):
            await db[name]
        with pytest.raises(aiocouch.CouchDBError):
            await Document(db, name, data={"_rev": "1-" + "a" * 32}).delete(discard_changes=True)
    assert (await db.info())["doc_count"] == 0


# -- more than one at a time


async def test_many_at_once(db: Database) -> None:
    await asyncio.gather(*(Document(db, f"d{at}", data={"n": at}).save() for at in range(50)))
    docs = await asyncio.gather(*(db[f"d{at}"] for at in range(50)))
    assert [doc["n"] for doc in docs] == list(range(50))


async def test_one_of_many_writers_wins(couchdb_server: CouchDBServer, db: Database) -> None:
    docs = [Document(db, "x", data={"n": at}) for at in range(10)]
    results = await asyncio.gather(*(doc.save() for doc in docs), return_exceptions=True)
    errors = [result for result in results if isinstance(result, BaseException)]
    # each node of a cluster may let another one win, which is a conflict that it keeps
    losers = range(10) if isinstance(couchdb_server, Cluster) else (9,)
    assert len(errors) in losers
    assert all(isinstance(error, aiocouch.ConflictError) for error in errors)


async def test_fewer_copies_than_were_asked_for(db: Database) -> None:
    doc = db.document("a", {"n": 1})
    await doc.save(w=9)
    assert doc.accepted_only
    doc["n"] = 2
    await doc.save()
    assert not doc.accepted_only
    response = await doc.delete(w=9)
    assert (response.status, doc.accepted_only) == (202, True)
    rev = response.json()["rev"]
    assert (await db.purge({"a": [rev]}, w=9)).get("accepted") is True
    local = await db.local.create("b")
    await local.save(w=9)
    assert local.accepted_only
    await local.delete(w=9)
    assert local.accepted_only


async def test_options_of_a_read_go_with_get(db: Database) -> None:
    saved = await stored(db, "x")
    read = await db.get("x", revs_info=True, local_seq=True)
    assert read["_revs_info"] == [{"rev": saved.rev, "status": "available"}]
    assert "_local_seq" in read
    new = await db.get("none", {"n": 1}, conflicts=True)
    assert (new.exists, new["n"]) == (False, 1)
    with pytest.raises(aiocouch.InvalidTypeError, match="did you mean 'revs_info'"):
        await db.get("x", revs_inf=True)  # type: ignore[call-arg]


async def test_a_document_that_was_read_with_its_history_is_saved(db: Database) -> None:
    await stored(db, "x")
    read = await db.get("x", revs=True, revs_info=True, local_seq=True, conflicts=True)
    read["more"] = 1
    await read.save()
    assert (await db["x"])["more"] == 1
    assert len(await read.revs()) == 2


async def test_one_text_in_place_of_revisions(db: Database) -> None:
    doc = await stored(db, "x")
    rev: Any = doc.rev
    with pytest.raises(aiocouch.InvalidTypeError, match="atts_since must be a list"):
        await doc.fetch(atts_since=rev)
    with pytest.raises(aiocouch.InvalidTypeError, match="the revisions of 'x' must be a list"):
        await db.purge({"x": rev})
