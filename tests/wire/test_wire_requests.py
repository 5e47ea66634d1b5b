"""What is sent for servers, databases and documents: exact requests, and how many."""

import json
from contextlib import suppress
from typing import Any

import pytest

from aiocouch import CouchDB, Database, Document
from tests.wire.canned import Answer, CannedServer, doc_row, row, rows_answer

WRITTEN = {"ok": True, "id": "x", "rev": "2-b"}


# -- session


async def test_opening_and_closing_sends_nothing(canned: CannedServer) -> None:
    async with CouchDB(canned.url):
        pass
    couchdb = CouchDB(canned.url)
    await couchdb.close()
    assert canned.requests == []


async def test_database_by_name_is_one_head(canned: CannedServer, session: CouchDB) -> None:
    canned.say(Answer())
    assert (await session["db"]).id == "db"
    assert canned.lines == ["HEAD /db"]


async def test_create_database(canned: CannedServer, session: CouchDB) -> None:
    canned.say_json({"ok": True}, 201)
    await session.create("db", q=2, partitioned=True)
    request = canned.only()
    assert (request.method, request.path) == ("PUT", "/db")
    assert request.query == {"q": "2", "partitioned": "true"}


async def test_create_database_that_exists_is_one_request(
    canned: CannedServer, session: CouchDB
) -> None:
    canned.say_json({"error": "file_exists", "reason": "…"}, 412)
    assert (await session.create("db", exists_ok=True)).id == "db"
    assert canned.lines == ["PUT /db"]


async def test_keys(canned: CannedServer, session: CouchDB) -> None:
    canned.say_json(["a", "b"])
    assert await session.keys(limit=2, descending=False) == ["a", "b"]
    assert canned.only().path == "/_all_dbs"
    assert canned.only().query == {"limit": "2", "descending": "false"}


async def test_server_info(canned: CannedServer, session: CouchDB) -> None:
    canned.say_json({"couchdb": "Welcome"})
    assert await session.info() == {"couchdb": "Welcome"}
    assert canned.lines == ["GET /"]


async def test_check_credentials_asks_who_we_are(canned: CannedServer, session: CouchDB) -> None:
    canned.say_json({"ok": True, "userCtx": {"name": None, "roles": []}})
    await session.check_credentials()
    assert canned.lines == ["GET /_session"]


# -- database


async def test_database_info_and_delete(canned: CannedServer, base: Database) -> None:
    canned.say_json({"db_name": "db"})
    canned.say_json({"ok": True})
    assert await base.info() == {"db_name": "db"}
    await base.delete()
    assert canned.lines == ["GET /db", "DELETE /db"]


async def test_get_document_is_one_request(canned: CannedServer, base: Database) -> None:
    canned.say_json({"_id": "x", "_rev": "1-a", "n": 1})
    assert (await base["x"])["n"] == 1
    assert canned.lines == ["GET /db/x"]


async def test_get_revision(canned: CannedServer, base: Database) -> None:
    canned.say_json({"_id": "x", "_rev": "1-a"})
    await base.get("x", rev="1-a")
    assert canned.lines == ["GET /db/x?rev=1-a"]


async def test_get_with_default_of_a_missing_document(canned: CannedServer, base: Database) -> None:
    canned.say_json({"error": "not_found", "reason": "missing"}, 404)
    canned.say_json(WRITTEN, 201)
    default = {"n": 1}
    doc = await base.get("x", default)
    assert canned.lines == ["GET /db/x"]
    assert doc["n"] == 1
    await doc.save()
    assert canned.requests[1].line == "PUT /db/x"
    assert canned.requests[1].json() == {"_id": "x", "n": 1}
    assert default == {"n": 1}


async def test_create_asks_once_and_save_writes_once(canned: CannedServer, base: Database) -> None:
    canned.say_json({"error": "not_found", "reason": "missing"}, 404)
    canned.say_json(WRITTEN, 201)
    doc = await base.create("x", data={"n": 1})
    await doc.save()
    assert [request.method for request in canned.requests] == ["HEAD", "PUT"]
    assert canned.requests[1].json() == {"_id": "x", "n": 1}


async def test_create_with_exists_ok_gets_once(canned: CannedServer, base: Database) -> None:
    canned.say_json({"_id": "x", "_rev": "1-a", "n": "stored"})
    doc = await base.create("x", exists_ok=True, data={"n": "mine"})
    assert doc["n"] == "stored"
    assert canned.lines == ["GET /db/x"]
    assert await doc.save() is None


async def test_akeys_of_the_database(canned: CannedServer, base: Database) -> None:
    canned.say(rows_answer(row("a"), row("_design/b")))
    assert [key async for key in base.akeys(limit=2)] == ["a", "_design/b"]
    assert canned.only().line == "GET /db/_all_docs?limit=2"


async def test_docs_streams_all_docs_with_documents(canned: CannedServer, base: Database) -> None:
    canned.say(rows_answer(doc_row("a", n=1), doc_row("_design/b"), doc_row("c", n=3)))
    assert [doc["n"] async for doc in base.docs()] == [1, 3]
    assert canned.only().line == "GET /db/_all_docs?include_docs=true"


async def test_docs_include_ddocs(canned: CannedServer, base: Database) -> None:
    canned.say(rows_answer(doc_row("a"), doc_row("_design/b")))
    assert [doc.id async for doc in base.docs(include_ddocs=True)] == ["a", "_design/b"]


async def test_docs_by_ids_are_one_post(canned: CannedServer, base: Database) -> None:
    canned.say(rows_answer(doc_row("a"), doc_row("b")))
    assert [doc.id async for doc in base.docs(["a", "b"])] == ["a", "b"]
    request = canned.only()
    assert request.line == "POST /db/_all_docs?include_docs=true"
    assert request.json() == {"keys": ["a", "b"]}


async def test_docs_by_prefix(canned: CannedServer, base: Database) -> None:
    canned.say(rows_answer(doc_row("ab")))
    assert [doc.id async for doc in base.docs(prefix='a"\\')] == ["ab"]
    query = canned.only().query
    assert json.loads(query["startkey"]) == 'a"\\'
    assert json.loads(query["endkey"]) == 'a"\\\U0010fffe'
    assert query["include_docs"] == "true"


async def test_docs_of_no_ids_send_nothing(canned: CannedServer, base: Database) -> None:
    assert [doc async for doc in base.docs([])] == []
    assert canned.requests == []


async def test_find(canned: CannedServer, base: Database) -> None:
    canned.say_json({"docs": [{"_id": "a", "_rev": "1-a", "n": 1}], "bookmark": "nil"})
    found = [doc async for doc in base.find({"n": 1}, limit=5, skip=2, sort=["n"], use_index="d")]
    assert [(doc.id, doc.rev, doc["n"]) for doc in found] == [("a", "1-a", 1)]
    request = canned.only()
    assert request.line == "POST /db/_find"
    assert request.json() == {
        "selector": {"n": 1},
        "limit": 5,
        "skip": 2,
        "sort": ["n"],
        "use_index": "d",
    }


async def test_index(canned: CannedServer, base: Database) -> None:
    canned.say_json({"result": "created", "id": "_design/d", "name": "n"})
    answer = await base.index({"fields": ["a"]}, name="n", ddoc="d", type="json")
    assert answer["result"] == "created"
    assert canned.only().line == "POST /db/_index"
    assert canned.only().json() == {
        "index": {"fields": ["a"]},
        "name": "n",
        "ddoc": "d",
        "type": "json",
    }


async def test_purge(canned: CannedServer, base: Database) -> None:
    canned.say_json({"purge_seq": None, "purged": {"x": ["1-a"]}}, 201)
    await base.purge({"x": ["1-a"]})
    assert canned.only().line == "POST /db/_purge"
    assert canned.only().json() == {"x": ["1-a"]}


async def test_bulk_get(canned: CannedServer, base: Database) -> None:
    canned.say_json({"results": []})
    await base.bulk_get([{"id": "x", "rev": "1-a"}], revs=True)
    assert canned.only().line == "POST /db/_bulk_get?revs=true"
    assert canned.only().json() == {"docs": [{"id": "x", "rev": "1-a"}]}


async def test_bulk_docs(canned: CannedServer, base: Database) -> None:
    canned.say_json([], 201)
    await base.bulk_docs([{"_id": "x", "_rev": "1-a"}], new_edits=False)
    assert canned.only().line == "POST /db/_bulk_docs"
    assert canned.only().json() == {"docs": [{"_id": "x", "_rev": "1-a"}], "new_edits": False}


# -- document


async def test_save_sends_what_is_there_and_takes_the_new_revision(
    canned: CannedServer, base: Database
) -> None:
    canned.say_json({"_id": "x", "_rev": "1-a", "n": 1})
    canned.say_json(WRITTEN, 201, ETag='"2-b"')
    doc = await base["x"]
    doc["n"] = 2
    answer = await doc.save()
    assert answer is not None
    assert (answer.status, answer.etag, doc.rev) == (201, "2-b", "2-b")
    assert canned.requests[1].line == "PUT /db/x"
    assert canned.requests[1].json() == {"_id": "x", "_rev": "1-a", "n": 2}
    assert canned.requests[1].headers["content-type"].startswith("application/json")


async def test_clean_document_sends_nothing(canned: CannedServer, base: Database) -> None:
    canned.say_json({"_id": "x", "_rev": "1-a", "n": 1})
    doc = await base["x"]
    assert doc["n"] == 1
    assert await doc.save() is None
    assert canned.lines == ["GET /db/x"]


async def test_saved_document_is_clean(canned: CannedServer, base: Database) -> None:
    canned.say_json(WRITTEN, 201)
    doc = Document(base, "x")
    await doc.save()
    assert await doc.save() is None
    assert canned.only().json() == {"_id": "x"}


@pytest.mark.parametrize(
    ("before", "after"),
    [(1, True), (0, False), (1, 1.0), (True, 1), ([1], [True]), ({"a": 0}, {"a": False})],
)
async def test_equal_values_of_another_type_are_a_change(
    canned: CannedServer, base: Database, before: Any, after: Any
) -> None:
    canned.say_json({"_id": "x", "_rev": "1-a", "n": before})
    canned.say_json(WRITTEN, 201)
    doc = await base["x"]
    doc["n"] = after
    await doc.save()
    assert json.dumps(canned.requests[1].json()["n"]) == json.dumps(after)


async def test_change_deep_inside_is_noticed(canned: CannedServer, base: Database) -> None:
    canned.say_json({"_id": "x", "_rev": "1-a", "list": [{"a": [1]}]})
    canned.say_json(WRITTEN, 201)
    doc = await base["x"]
    doc["list"][0]["a"].append(2)
    await doc.save()
    assert canned.requests[1].json()["list"] == [{"a": [1, 2]}]


async def test_change_taken_back_is_no_change(canned: CannedServer, base: Database) -> None:
    canned.say_json({"_id": "x", "_rev": "1-a", "n": 1})
    doc = await base["x"]
    doc["n"] = 2
    doc["n"] = 1
    assert await doc.save() is None


async def test_change_by_the_data_property_is_noticed(canned: CannedServer, base: Database) -> None:
    canned.say_json({"_id": "x", "_rev": "1-a", "n": 1})
    canned.say_json(WRITTEN, 201)
    doc = await base["x"]
    data = doc.data
    assert data is not None
    data["n"] = 2
    await doc.save()
    assert canned.requests[1].json()["n"] == 2


async def test_delete_sends_the_revision(canned: CannedServer, base: Database) -> None:
    canned.say_json({"_id": "x", "_rev": "1-a", "n": 1})
    canned.say_json(WRITTEN, ETag='"2-b"')
    doc = await base["x"]
    answer = await doc.delete()
    assert answer.status == 200
    assert canned.lines[1] == "DELETE /db/x?rev=1-a"


async def test_copy_names_the_target_in_a_header(canned: CannedServer, base: Database) -> None:
    canned.say_json({"ok": True, "id": "y", "rev": "1-c"}, 201, ETag='"1-c"')
    answer = await Document(base, "x").copy("y")
    assert answer.etag == "1-c"
    assert canned.only().line == "COPY /db/x"
    assert canned.only().headers["destination"] == "y"


async def test_document_info_is_a_head(canned: CannedServer, base: Database) -> None:
    canned.say(Answer(headers={"ETag": '"3-c"'}))
    assert await Document(base, "x").info() == {"ok": True, "id": "x", "rev": "3-c"}
    assert canned.lines == ["HEAD /db/x"]


async def test_context_manager_fetches_and_saves(canned: CannedServer, base: Database) -> None:
    canned.say_json({"_id": "x", "_rev": "1-a", "n": 1})
    canned.say_json(WRITTEN, 201)
    async with Document(base, "x") as doc:
        doc["n"] += 1
    assert canned.lines == ["GET /db/x", "PUT /db/x"]
    assert canned.requests[1].json()["n"] == 2


async def test_context_manager_does_not_save_after_an_error(
    canned: CannedServer, base: Database
) -> None:
    canned.say_json({"_id": "x", "_rev": "1-a", "n": 1})
    with suppress(ZeroDivisionError):
        async with Document(base, "x") as doc:
            doc["n"] = 2 // 0
    assert canned.lines == ["GET /db/x"]


async def test_conflicts_and_revs_are_one_request_each(
    canned: CannedServer, base: Database
) -> None:
    canned.say_json({"_id": "x", "_rev": "2-b", "_conflicts": ["2-a"]})
    canned.say_json(
        {"_id": "x", "_rev": "2-b", "_revisions": {"start": 2, "ids": ["b", "a"]}}
        | {
            "_revs_info": [
                {"rev": "2-b", "status": "available"},
                {"rev": "1-a", "status": "missing"},
            ]
        }
    )
    doc = Document(base, "x")
    assert await doc.conflicts() == ["2-a"]
    assert (await doc.revs())[0] == "2-b"
    assert [request.method for request in canned.requests] == ["GET", "GET"]
    assert canned.requests[0].query == {"conflicts": "true"}
