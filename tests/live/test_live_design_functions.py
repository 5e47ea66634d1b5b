"""Shows, lists, updates and rewrites through the client, on every server."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from aiocouch import BadRequestError, InvalidInputError, NotFoundError

if TYPE_CHECKING:
    from aiocouch import CouchDB, Database

DESIGN = {
    "_id": "_design/d",
    "views": {"all": {"map": "function (doc) { emit(doc._id, doc.n); }"}},
    "shows": {
        "hello": "function (doc, req) { return (doc ? doc._id : 'nobody') + '/' + req.method"
        " + '/' + (req.query.x || ''); }"
    },
    "lists": {
        "keys": "function (head, req) { var row; var found = [];"
        " while (row = getRow()) { found.push(row.key); } return found.join(' '); }"
    },
    "updates": {
        "put": "function (doc, req) { doc = doc || {_id: req.id || req.uuid};"
        " doc.said = req.body; return [doc, {json: {id: doc._id}}]; }"
    },
    "rewrites": [{"from": "all", "to": "_view/all"}],
}


@pytest.fixture
async def design(db: Database) -> Database:
    """A database with the functions."""
    await db.bulk_docs([DESIGN, {"_id": "a/1", "n": 1}, {"_id": "b", "n": 2}])
    return db


async def test_shows(design: Database) -> None:
    functions = design.functions("d")
    assert (await functions.show("hello")).body == b"nobody/GET/"
    assert (await functions.show("hello", "a/1", params={"x": "y"})).body == b"a/1/GET/y"
    assert (await functions.show("hello", "b", json={})).body == b"b/POST/"
    assert (await functions.show("hello", body=b"x")).body == b"nobody/POST/"
    with pytest.raises(NotFoundError):
        await functions.show("nothing")
    with pytest.raises(InvalidInputError):
        await functions.show("hello", "")


async def test_lists(design: Database) -> None:
    functions = design.functions("_design/d")
    assert (await functions.list("keys", "all")).body == b"a/1 b"
    assert (await functions.list("keys", "all", "d", params={"key": '"b"'})).body == b"b"
    posted = await functions.list("keys", "all", json={"keys": ["b"]})
    assert posted.body == b"b"
    posted = await functions.list("keys", "all", "d", json={"keys": ["b"]})
    assert posted.body == b"b"


async def test_updates(design: Database) -> None:
    functions = design.functions("d")
    answer = await functions.update(
        "put", "ü/2", body=b"hi", headers={"Content-Type": "text/plain"}
    )
    assert answer.status == 201
    assert answer.json() == {"id": "ü/2"}
    document = await design.get("ü/2")
    assert document["said"] == "hi"
    assert document.rev == answer.headers["X-Couch-Update-NewRev"]
    made = (await functions.update("put", json={"a": 1})).json()["id"]
    assert (await design.get(made))["said"] == '{"a":1}'


async def test_rewrites(design: Database) -> None:
    answer = await design.functions("d").rewrite("GET", "/all", params={"limit": 1})
    assert [row["key"] for row in answer.json()["rows"]] == ["a/1"]


async def test_figures_of_a_design_document(design: Database) -> None:
    info = await design.functions("d").info()
    assert info["name"] == "d"
    assert info["view_index"]["language"] == "javascript"


async def test_what_only_newer_servers_have(couchdb: CouchDB, db: Database) -> None:
    if (await couchdb.info())["version"] not in {"3.5.0", "3.5.1", "3.5.2"}:
        pytest.skip("this server may have it")
    upkeep = db.maintenance
    for call in (upkeep.auto_purge, upkeep.time_seq):
        with pytest.raises(NotFoundError, match=r"after 3\.5\.2, and this server is 3\.5\.\d"):
            await call()
    with pytest.raises(BadRequestError, match=r"_auto_purge after 3\.5\.2"):
        await upkeep.set_auto_purge("3_hour")
    with pytest.raises(NotFoundError, match=r"_time_seq after 3\.5\.2"):
        await upkeep.reset_time_seq()
    moment = datetime(2026, 1, 1, tzinfo=UTC)
    for since in (moment, "2026-01-01T00:00:00Z"):
        with pytest.raises(InvalidInputError, match=r"times as since= after 3\.5\.2"):
            await anext(db.changes(since=since))
        with pytest.raises(InvalidInputError, match=r"times as since= after 3\.5\.2"):
            await anext(aiter(db.follow(since=since)))


async def test_newer_requests_of_a_database_that_is_not_there(couchdb: CouchDB) -> None:
    with pytest.raises(NotFoundError) as caught:
        await couchdb.database("not-there").maintenance.time_seq()
    assert "after" not in str(caught.value)
